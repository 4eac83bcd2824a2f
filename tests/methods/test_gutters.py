"""The gutter splitter on drawn figures of known layout."""

import numpy as np
import pytest

from napari_medssl.methods.simcfs.gutters import ground_color, ink_mask, split_by_gutters

GROUNDS = {"white": 255, "grey": 200, "black": 0}


def draw(boxes, size=(300, 400), ground=255, seed=0):
    """Return a figure (Y, X, 3) with a noisy square at each box."""
    rng = np.random.default_rng(seed)
    image = np.full((*size, 3), ground, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = rng.integers(60, 150, (y1 - y0, x1 - x0, 3))
    return image


def grid(rows, columns, panel=80, gap=12, margin=10):
    step = panel + gap
    return [
        (margin + c * step, margin + r * step, margin + c * step + panel, margin + r * step + panel)
        for r in range(rows)
        for c in range(columns)
    ]


@pytest.mark.parametrize("ground", GROUNDS)
def test_grid_is_split_exactly(ground):
    """Panels of a 3 x 4 grid come back to the pixel, on every ground, in reading order."""
    boxes = grid(3, 4)
    assert split_by_gutters(draw(boxes, ground=GROUNDS[ground])) == boxes


def test_nested_layout_is_split():
    """One tall panel beside two stacked ones needs two cuts of different direction."""
    boxes = [(10, 10, 190, 290), (210, 10, 390, 140), (210, 160, 390, 290)]
    assert split_by_gutters(draw(boxes)) == boxes


def test_title_stays_with_its_panel():
    """A thin strip of text joins the panel that it is nearest to."""
    image = draw([(20, 40, 180, 280), (220, 40, 380, 280)])
    image[20:30, 60:140:2] = 0
    assert split_by_gutters(image) == [(20, 20, 180, 280), (220, 40, 380, 280)]


def test_single_image_is_one_box():
    """An image up to its border is not split."""
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    assert split_by_gutters(image) == [(0, 0, 300, 200)]


def test_blank_image_has_no_panel():
    """A blank canvas gives no box."""
    assert split_by_gutters(np.full((100, 100, 3), 255, np.uint8)) == []


def test_touching_panels_stay_together():
    """The known limit of the baseline: without a gutter there is no cut."""
    assert len(split_by_gutters(draw([(10, 10, 200, 290), (200, 10, 390, 290)]))) == 1


def test_specks_do_not_bridge_a_gutter():
    """A dark row of single pixels across a gutter does not hide it."""
    image = draw([(20, 20, 380, 780), (420, 20, 780, 780)], size=(800, 800))
    image[400, 380:420] = 0
    assert len(split_by_gutters(image)) == 2


@pytest.mark.parametrize("size", [(1, 1), (2, 400), (300, 3)])
def test_tiny_images_are_taken(size):
    """Images of a few pixels raise nothing."""
    assert len(split_by_gutters(np.zeros((*size, 3), np.uint8))) <= 1


def test_ground_is_the_color_of_the_ring():
    """The canvas colour is read at the border; a border without one counts as white."""
    np.testing.assert_array_equal(ground_color(draw(grid(2, 2), ground=200)), [200, 200, 200])
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3)).astype(np.uint8)
    np.testing.assert_array_equal(ground_color(noise), [255, 255, 255])


def test_ink_mask_equals_the_pixel_loop():
    """Ink is any channel more than `step` levels off the ground."""
    image = np.random.default_rng(1).integers(180, 255, (20, 30, 3)).astype(np.uint8)
    image[:3] = image[-3:] = image[:, :3] = image[:, -3:] = 230
    expected = [[max(abs(int(v) - 230) for v in pixel) > 24 for pixel in row] for row in image]
    np.testing.assert_array_equal(ink_mask(image, 24), expected)
