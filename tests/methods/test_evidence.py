"""Line evidence against pixel loops, and snapping on drawn figures of known edges."""

import numpy as np
import pytest

from napari_medssl.methods.simcfs.evidence import LineEvidence
from napari_medssl.methods.simcfs.gutters import gutter_lines
from napari_medssl.methods.simcfs.metrics import intersection_over_union
from napari_medssl.methods.simcfs.snapping import edge_support, snap_box, snap_boxes

BOX = (50, 40, 150, 120)


def draw(boxes, size=(200, 300), ground=255):
    rng = np.random.default_rng(0)
    image = np.full((*size, 3), ground, np.uint8)
    for x0, y0, x1, y1 in boxes:
        low = rng.integers(20, 180)
        image[y0:y1, x0:x1] = low + rng.integers(0, 24, (y1 - y0, x1 - x0, 3))
    return image


def differs(first, second, step=16):
    return max(abs(int(a) - int(b)) for a, b in zip(first, second, strict=True)) > step


def test_step_share_equals_the_pixel_loop():
    """The running sums give the share of rows with a step across a line, on both axes."""
    image = np.random.default_rng(0).integers(0, 40, (12, 9, 3)).astype(np.uint8)
    evidence = LineEvidence.of(image)
    for axis, pixels in ((0, image), (1, image.transpose(1, 0, 2))):
        rows, columns = pixels.shape[:2]
        lines = np.arange(1, columns)
        expected = [
            np.mean([differs(pixels[y, x - 1], pixels[y, x]) for y in range(2, rows - 1)])
            for x in lines
        ]
        share = evidence.step_share(axis, lines, np.array(2), np.array(rows - 1))
        np.testing.assert_allclose(share, expected)


def test_change_share_equals_the_pixel_loop():
    """The running sums give the share of a column that differs from the pixel over it."""
    image = np.random.default_rng(1).integers(0, 40, (12, 9, 3)).astype(np.uint8)
    evidence = LineEvidence.of(image)
    for axis, pixels in ((0, image), (1, image.transpose(1, 0, 2))):
        rows, columns = pixels.shape[:2]
        expected = [
            sum(differs(pixels[y, x], pixels[y - 1, x]) for y in range(3, rows - 1)) / (rows - 3)
            for x in range(columns)
        ]
        share = evidence.change_share(axis, np.arange(columns), np.array(2), np.array(rows - 1))
        np.testing.assert_allclose(share, expected)


@pytest.mark.parametrize("ground", [255, 200, 0])
@pytest.mark.parametrize("shift", [(-6, -5, 6, 5), (6, 5, -6, -5), (4, -4, 4, -4), (0, 0, 0, 0)])
def test_box_snaps_to_ink(ground, shift):
    """From a few pixels off, each edge comes back to the ink, on every ground."""
    evidence = LineEvidence.of(draw([BOX], ground=ground))
    assert snap_box(evidence, np.add(BOX, shift), 8) == BOX


@pytest.mark.parametrize("shift", [-5, 5])
def test_box_snaps_to_the_edge_of_touching_panels(shift):
    """Without a gutter the step of grey levels is found."""
    boxes = [(0, 0, 100, 100), (100, 0, 200, 100), (0, 100, 100, 200), (100, 100, 200, 200)]
    image = np.random.default_rng(0).integers(0, 24, (200, 200, 3)).astype(np.uint8)
    image[:, 100:] += 60
    image[100:] += 120
    for box in boxes:
        moved = np.clip(np.add(box, shift), 0, 200)
        assert snap_box(image, moved, 8) == box


def touching_with_a_rim():
    """Three panels side by side; the middle one has a plain rim of 12 px at its top."""
    image = draw([(0, 0, 100, 200), (100, 12, 200, 200), (200, 0, 300, 200)])
    image[:12, 100:200] = 60
    return image


@pytest.mark.parametrize("shift", [-5, 0, 7])
def test_plain_rim_of_a_touching_picture_is_no_gutter(shift):
    """It ends at the sides of the picture, where a gutter would go on."""
    box = (100 + shift, max(0, shift), 200 + shift, 200)
    assert snap_box(touching_with_a_rim(), box, 12) == (100, 0, 200, 200)


def test_strip_that_goes_on_to_the_sides_is_a_gutter():
    image = draw([(0, 0, 100, 90), (100, 0, 200, 90), (0, 102, 100, 200), (100, 102, 200, 200)])
    assert snap_box(image, (98, 95, 198, 198), 12) == (100, 102, 200, 200)


def test_box_takes_its_letter_in():
    """A letter that sticks out at the corner is inside the snapped box."""
    image = draw([BOX])
    image[40:52, 42:47] = 0
    assert snap_box(image, (45, 42, 149, 121), 8) == (42, 40, 150, 120)


def test_edge_without_evidence_stays():
    """Inside a flat surface there is nothing to snap to."""
    assert snap_box(np.full((100, 100, 3), 90, np.uint8), (30, 31, 60, 61), 9) == (30, 31, 60, 61)


def test_no_edge_moves_farther_than_the_tolerance():
    """The tolerance holds on each axis, also after two rounds."""
    rng = np.random.default_rng(0)
    evidence = LineEvidence.of(rng.integers(0, 255, (200, 300, 3)).astype(np.uint8))
    for _ in range(50):
        x0, y0 = rng.integers(0, 100, 2)
        box = (x0, y0, x0 + rng.integers(20, 150), y0 + rng.integers(20, 90))
        moves = np.abs(np.subtract(snap_box(evidence, box, (7, 3)), box))
        assert moves[[0, 2]].max() <= 7
        assert moves[[1, 3]].max() <= 3


def test_many_boxes_snap_as_each_alone():
    """Snapping a batch gives what snapping one by one gives."""
    boxes = [(10, 10, 90, 90), (110, 10, 190, 90), (210, 20, 290, 190)]
    evidence = LineEvidence.of(draw(boxes))
    proposed = np.add(boxes, np.random.default_rng(0).integers(-4, 5, (3, 4)))
    together = snap_boxes(evidence, proposed, share=0.06)
    alone = [
        snap_box(evidence, box, (0.06 * (box[2] - box[0]), 0.06 * (box[3] - box[1])))
        for box in proposed
    ]
    assert together.tolist() == [list(box) for box in alone]
    assert together.tolist() == [list(box) for box in boxes]


def test_boxes_are_clamped_to_the_image():
    """Boxes that hang over the border, or lie outside, come back inside with an area."""
    evidence = LineEvidence.of(draw([BOX]))
    snapped = snap_boxes(evidence, np.array([[-20, -9, 400, 300], [310, 220, 330, 240]]))
    assert (snapped[:, :2] >= 0).all()
    assert (snapped[:, 2:] <= [300, 200]).all()
    assert (snapped[:, 2:] > snapped[:, :2]).all()


def test_no_boxes_are_taken():
    """No boxes give no boxes."""
    evidence = LineEvidence.of(draw([BOX]))
    assert snap_boxes(evidence, np.zeros((0, 4))).shape == (0, 4)
    assert edge_support(evidence, np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 2)])
def test_tiny_images_are_taken(size):
    """Images of a pixel raise nothing."""
    image = np.zeros((*size, 3), np.uint8)
    assert snap_box(image, (0, 0, 60, 60), 5) == (0, 0, size[1], size[0])


def test_support_is_high_at_true_edges_only():
    """Each true edge is supported; an edge inside the blank canvas is not."""
    evidence = LineEvidence.of(draw([BOX]))
    support = edge_support(evidence, np.array([BOX, (50, 40, 170, 120)]))
    assert (support[0] > 1).all()
    assert support[1, 2] == 0


def test_other_kinds_of_image_are_refused():
    """The text names what came and what is due."""
    with pytest.raises(ValueError, match="float64; due is uint8"):
        LineEvidence.of(np.zeros((5, 5, 3)))


def test_gutter_lines_have_the_stretch_over_which_they_hold():
    """A tall panel beside two stacked ones: one line across the figure, one across its half."""
    image = draw([(0, 0, 140, 200), (160, 0, 300, 90), (160, 110, 300, 200)])
    lines = [(g.axis, g.start, g.stop, g.low, g.high) for g in gutter_lines(image)]
    assert lines == [(0, 140, 160, 0, 200), (1, 90, 110, 160, 300)]


def test_gutter_lines_see_touching_panels():
    """Where panels touch the line has no width."""
    image = draw([(0, 0, 150, 200)], ground=0)
    image[:, 150:] = 200 + np.random.default_rng(0).integers(0, 12, (200, 150, 3))
    (line,) = gutter_lines(image)
    assert (line.axis, line.start, line.stop, line.support) == (0, 150, 150, 1.0)
    assert line.middle == 150


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "noise", "least"), [("figures", 0.04, 0.94), ("figures_hard", 0.04, 0.94)]
)
def test_snapping_mends_jittered_boxes(data_dir, folder, noise, least):
    """True boxes of real figures with noise on every edge come back: IoU .88 to over .94."""
    from PIL import Image

    from napari_medssl.backend.true_figures import read_true_figures

    rng = np.random.default_rng(0)
    before, after = [], []
    for figure in read_true_figures(data_dir / folder)[:40]:
        image = np.asarray(Image.open(figure.path).convert("RGB"))
        if len(figure.truth) < 2:
            continue
        sides = np.tile(figure.truth[:, 2:] - figure.truth[:, :2], 2)
        noisy = figure.truth + rng.normal(0, noise, figure.truth.shape) * sides
        snapped = snap_boxes(LineEvidence.of(image), noisy, share=2 * noise)
        before.extend(np.diag(intersection_over_union(noisy, figure.truth)))
        after.extend(np.diag(intersection_over_union(snapped, figure.truth)))
    assert np.mean(before) < 0.9
    assert np.mean(after) > least
