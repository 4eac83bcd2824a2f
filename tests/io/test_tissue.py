"""Tissue is found on every ground and none of what lies beside it; one picture per disturbance.

The pictures are made of real texture: the immunohistochemistry that scikit-image ships, taken
apart into stains and put together again, in a region whose outline is known.
"""

import functools
from pathlib import Path

import numpy as np
import pytest
import skimage
from scipy import ndimage
from skimage.color import rgb2hed

from napari_medssl._errors import UserError
from napari_medssl.io.local_filters import opened
from napari_medssl.io.tissue import tissue_mask

MPP = 8.0
SIDE = 512
HAEMATOXYLIN, EOSIN, DAB = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)


@functools.cache
def stains():
    """Amounts of two stains of a real section, each (SIDE, SIDE), mean 1."""
    picture = skimage.io.imread(Path(skimage.__file__).parent / "data" / "ihc.png")[..., :3]
    fine = picture.reshape(256, 2, 256, 2, 3).mean((1, 3)).astype(np.uint8)
    amounts = np.clip(rgb2hed(fine)[..., [0, 2]], 0, None)
    amounts = np.pad(amounts, ((0, 256), (0, 256), (0, 0)), mode="symmetric")
    return tuple(amounts[..., k] / amounts[..., k].mean() for k in (0, 1))


def region(seed=3, share=0.3):
    """A few smooth pieces of tissue that cover `share` of the picture."""
    field = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    field = ndimage.gaussian_filter(field, 40, mode="constant")
    pieces, _ = ndimage.label(field > np.quantile(field, 1 - share))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return sizes[pieces] > 2000


def density(stain="he", strength=1.0):
    first, second = stains()
    vectors = {"he": (HAEMATOXYLIN, EOSIN), "ihc": (HAEMATOXYLIN, DAB)}[stain]
    amounts = 0.25 * first[..., None] * vectors[0] + 0.3 * second[..., None] * vectors[1]
    return ndimage.gaussian_filter(strength * amounts, (0.6, 0.6, 0))


def picture(absorbed, glass=(243, 243, 243), seed=0):
    """What a scanner sees of density (Y, X, 3) on glass, with its noise."""
    light = np.asarray(glass, float) * np.exp(-absorbed)
    light += np.random.default_rng(seed).normal(0, 1, light.shape)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def soft(mask, sigma=0.7):
    return ndimage.gaussian_filter(mask.astype(float), sigma)[..., None]


def stroke(angle=35.0, width=75, offset=0):
    """A straight stroke of a felt tip across the picture."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    turned = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle)) - offset
    along = -x * np.sin(np.radians(angle)) + y * np.cos(np.radians(angle))
    return (np.abs(turned) < width / 2) & (np.abs(along) < 190)


def overlap(found, truth):
    return (found & truth).sum() / max(1, (found | truth).sum())


def white():
    truth = region()
    return picture(density() * soft(truth)), truth


def grey():
    truth = region()
    return picture(density() * soft(truth), (186, 187, 186)), truth


def tinted():
    truth = region()
    return picture(density() * soft(truth), (227, 214, 227)), truth


def uneven():
    truth = region()
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    shade = (1 - 0.12 * (x * x + y * y) / 2 + 0.06 * x)[..., None] * (240, 238, 232)
    return picture(density() * soft(truth), shade), truth


def pale():
    truth = region()
    return picture(density(strength=0.3) * soft(truth)), truth


def fat():
    """Half of the tissue is fat: cells of 80 microns with thin pale walls."""
    truth = region()
    rng = np.random.default_rng(1)
    centres = np.ones((SIDE, SIDE), bool)
    spots = np.mgrid[5:SIDE:10, 5:SIDE:10].reshape(2, -1) + rng.integers(-2, 3, (2, 51 * 51))
    centres[tuple(np.clip(spots, 0, SIDE - 1))] = False
    near = ndimage.distance_transform_edt(centres, return_indices=True)[1]
    cells = near[0] * SIDE + near[1]
    walls = (cells != np.roll(cells, 1, 0)) | (cells != np.roll(cells, 1, 1))
    absorbed = density()
    absorbed[:, SIDE // 2 :] *= 0.5 * walls[:, SIDE // 2 :, None]
    return picture(absorbed * soft(truth)), truth


def ihc():
    truth = region()
    return picture(density("ihc") * soft(truth)), truth


def bone():
    """Strong eosin, as red as ink, with the texture of fibres."""
    truth = region()
    fibres = stains()[1] - ndimage.uniform_filter(stains()[1], 15)
    amount = 1.4 + 0.1 * fibres / fibres.std()
    return picture(amount[..., None] * (0.17, 1.0, 0.8) * soft(truth)), truth


def black_fill():
    """The scanner has left a band and a corner black."""
    truth = region()
    seen = picture(density() * soft(truth))
    seen[:90] = seen[300:, 430:] = 0
    truth[:90] = truth[300:, 430:] = False
    return seen, truth


def cut_out_on_black():
    truth = region()
    seen = picture(density() * soft(truth, 0.1))
    seen[~truth] = 0
    return seen, truth


def fluorescence():
    truth = region()
    light = 12 + 90 * density()[..., 1:2] * soft(truth)
    noise = np.random.default_rng(0).normal(0, 1.5, light.shape)
    return np.clip(light * (0.3, 1, 0.4) + noise, 0, 255).astype(np.uint8), truth


def pen(colour):
    """Two strokes of 0.6 mm, one over the tissue; tissue under the ink is not to be seen."""
    truth = region()
    ink = -np.log((np.array(colour) + 1) / 244)
    marks = stroke(width=75) | stroke(100, 75, 170)
    absorbed = density() * soft(truth) * (1 - 0.7 * soft(marks))
    return picture(absorbed + ink * soft(marks, 1.5)), truth & ~marks


def bubbles():
    """Air: grey rings with clear insides, some beside the tissue and one on it."""
    truth = region()
    absorbed = density() * soft(truth)
    y, x = np.mgrid[:SIDE, :SIDE]
    for cx, cy, radius in ((90, 90, 60), (430, 120, 45), (250, 400, 70), (60, 420, 30)):
        away = np.hypot(x - cx, y - cy) - radius
        absorbed += 0.9 * np.exp(-((away / 3) ** 2))[..., None] * (1.0, 0.97, 0.95)
    return picture(absorbed), truth


def edge_shadow_and_dust():
    """A cover-slip edge, a broad shadow along one side, fifty specks of dust."""
    truth = region()
    absorbed = density() * soft(truth)
    absorbed[:, 478:483] += 0.7
    shade = np.linspace(0.35, 0, 140)[:, None, None]
    absorbed[:140] += shade
    specks = np.zeros((SIDE, SIDE), bool)
    specks[tuple(np.random.default_rng(5).integers(4, SIDE - 4, (2, 50)))] = True
    absorbed += 1.2 * soft(ndimage.binary_dilation(specks, iterations=2))
    return picture(absorbed), truth


def halo():
    """Washed-out eosin around the tissue."""
    truth = region()
    washed = 0.12 * ndimage.gaussian_filter(truth.astype(float), 25)[..., None] * EOSIN
    return picture(density() * soft(truth) + washed, (240, 236, 240)), truth


def blurred():
    """Out of focus by 12 microns: still tissue (the tile table tells the blur)."""
    truth = region()
    return picture(ndimage.gaussian_filter(density() * soft(truth), (1.5, 1.5, 0))), truth


def full():
    """Tissue from edge to edge."""
    return picture(density()), np.ones((SIDE, SIDE), bool)


# Least intersection over union; what was measured stands in docs/slides.md.
CASES = {
    "white": (white, 0.97),
    "grey": (grey, 0.97),
    "tinted": (tinted, 0.97),
    "uneven": (uneven, 0.97),
    "pale": (pale, 0.8),
    "fat": (fat, 0.87),
    "ihc": (ihc, 0.91),
    "bone": (bone, 0.96),
    "black fill": (black_fill, 0.96),
    "cut out on black": (cut_out_on_black, 0.93),
    "fluorescence": (fluorescence, 0.95),
    "blue pen": (lambda: pen((30, 60, 180)), 0.94),
    "green pen": (lambda: pen((20, 120, 70)), 0.93),
    "red pen": (lambda: pen((215, 30, 40)), 0.95),
    "black pen": (lambda: pen((25, 24, 28)), 0.95),
    "bubbles": (bubbles, 0.97),
    "edge, shadow, dust": (edge_shadow_and_dust, 0.97),
    "halo": (halo, 0.96),
    "blurred": (blurred, 0.84),
    "full": (full, 0.9),
}


@pytest.mark.parametrize("name", CASES)
def test_tissue_is_found_and_nothing_else(name):
    make, least = CASES[name]
    seen, truth = make()
    assert overlap(tissue_mask(seen, MPP), truth) >= least


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 30), (200, 200)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_slide_has_no_tissue(size, value):
    assert not tissue_mask(np.full((*size, 3), value, np.uint8), MPP).any()


def test_ink_and_air_alone_are_no_tissue():
    nothing = np.zeros((SIDE, SIDE, 3))
    for colour in ((30, 60, 180), (20, 120, 70), (215, 30, 40), (25, 24, 28)):
        ink = -np.log((np.array(colour) + 1) / 244) * soft(stroke(width=75), 1.5)
        assert not tissue_mask(picture(nothing + ink), MPP).any()
    y, x = np.mgrid[:SIDE, :SIDE]
    ring = 0.9 * np.exp(-(((np.hypot(x - 200, y - 200) - 90) / 3) ** 2))[..., None]
    assert not tissue_mask(picture(ring * (1.0, 0.97, 0.95)), MPP).any()


def spotted(radius, hole=0):
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    away = np.hypot(x, y)
    return picture(density(strength=1.5) * soft((away < radius) & (away >= hole)))


def test_specks_and_holes_are_ruled_by_their_area():
    piece = np.pi * (10 * MPP) ** 2  # square microns
    assert tissue_mask(spotted(10), MPP, min_area_um2=0.8 * piece).any()
    assert not tissue_mask(spotted(10), MPP, min_area_um2=1.3 * piece).any()
    hole = np.pi * (30 * MPP) ** 2
    middle = (SIDE // 2, SIDE // 2)
    assert tissue_mask(spotted(150, 30), MPP, max_hole_um2=1.3 * hole)[middle]
    assert not tissue_mask(spotted(150, 30), MPP, max_hole_um2=0.7 * hole)[middle]


@pytest.mark.parametrize(("mpp", "times"), [(2.0, 4), (4.0, 2)])
def test_finer_pictures_give_the_same_tissue_in_their_own_size(mpp, times):
    seen, truth = white()
    fine = np.repeat(np.repeat(seen, times, 0), times, 1)[:-3, :-1]
    found = tissue_mask(fine, mpp)
    assert found.shape == fine.shape[:2]
    coarse = found[::times, ::times]
    assert overlap(coarse, truth[: len(coarse)]) > 0.97


def test_without_mpp_a_pixel_counts_as_eight_microns():
    seen, _ = white()
    assert (tissue_mask(seen, None) == tissue_mask(seen, 8.0)).all()


def test_the_opening_is_that_of_scipy():
    mask = ndimage.binary_dilation(np.random.default_rng(0).random((60, 70)) < 0.01, iterations=4)
    for side in (2, 3, 4, 5, 8):
        wide = np.pad(mask, 20, mode="edge")
        due = ndimage.binary_opening(wide, np.ones((side, side)))[20:-20, 20:-20]
        assert (opened(mask, side) == due)[side:-side, side:-side].all()


@pytest.mark.parametrize(
    ("bad", "mpp", "text"),
    [
        (np.zeros((4, 4), np.uint8), 8.0, r"shape \(4, 4\) and type uint8; due is"),
        (np.zeros((4, 4, 3)), 8.0, "type float64; due is"),
        (np.zeros((0, 4, 3), np.uint8), 8.0, "due is uint8 RGB"),
        (np.zeros((4, 4, 3), np.uint8), 0.0, r"mpp is 0.0; due are microns per pixel"),
        (np.zeros((4, 4, 3), np.uint8), float("nan"), "mpp is nan"),
    ],
)
def test_bad_input_is_told(bad, mpp, text):
    with pytest.raises(UserError, match=text):
        tissue_mask(bad, mpp)


# Outlines drawn by hand on the overview, (x, y) in thousandths of width and height.
OUTLINES = {
    "her2st_C2.tif": (
        *((750, 337), (767, 348), (793, 449), (816, 531), (840, 582), (857, 663), (771, 729)),
        *((708, 778), (661, 821), (556, 778), (442, 729), (331, 681), (282, 656), (196, 626)),
        *((301, 582), (419, 520), (556, 430), (654, 381)),
    ),
    "her2st_C4.tif": (
        *((630, 183), (656, 282), (683, 374), (708, 451), (722, 513), (646, 566), (587, 612)),
        *((524, 659), (391, 608), (254, 548), (157, 505), (51, 451), (157, 392), (294, 322)),
        *((431, 264), (558, 200)),
    ),
    "visium_mouse_brain_hires.tif": (
        *((712, 244), (761, 256), (787, 273), (789, 310), (777, 346), (755, 396), (765, 425)),
        *((761, 465), (761, 557), (751, 630), (728, 712), (708, 804), (689, 817), (654, 786)),
        *((624, 769), (575, 786), (497, 821), (429, 822), (370, 804), (331, 767), (311, 703)),
        *((288, 658), (288, 612), (272, 566), (272, 520), (282, 456), (311, 401), (356, 352)),
        *((409, 310), (477, 273), (556, 251), (644, 238)),
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("name", OUTLINES)
def test_real_tissue_is_found_as_a_person_outlines_it(data_dir, name):
    from skimage.draw import polygon2mask

    from napari_medssl.io.slides import open_slide

    with open_slide(data_dir / "slides" / name) as slide:
        wanted = 16 / slide.mpp[0]
        level = min(
            range(slide.level_count), key=lambda k: abs(slide.level_downsamples[k] / wanted - 1)
        )
        width, height = slide.level_dimensions[level]
        seen = slide.read_pixels(level, (0, 0), (width, height))
        found = tissue_mask(seen, slide.mpp[0] * slide.level_downsamples[level])
    corners = np.array(OUTLINES[name])[:, ::-1] / 1000 * (height, width)
    assert overlap(found, polygon2mask((height, width), corners)) > 0.93


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "least"),
    [
        ("osteosarcoma_crop256/Non-Tumor", 0.9),
        ("osteosarcoma_crop256/Viable", 0.9),
        ("nct_crc224/ADI", 0.85),
        ("nct_crc224/MUC", 0.95),
        ("nct_crc224/MUS", 0.95),
        ("nct_crc224/LYM", 0.95),
        ("kather2016_150/02_STROMA", 0.95),
    ],
)
def test_real_tissue_of_every_kind_is_found(data_dir, folder, least):
    """Pieces of three by three tiles on glass; tiles of glass are left out."""
    found = []
    for path in sorted((data_dir / "tiles" / folder).iterdir())[:60]:
        tile = skimage.io.imread(path)[..., :3]
        if (tile.max(axis=2) < 225).mean() + (np.ptp(tile, axis=2) > 25).mean() < 0.4:
            continue
        tile = np.pad(tile, ((0, -len(tile) % 16), (0, -len(tile) % 16), (0, 0)), mode="reflect")
        small = tile.reshape(len(tile) // 16, 16, -1, 16, 3).mean((1, 3))
        side = 3 * len(small)
        canvas = np.random.default_rng(0).normal(240, 1, (120 + side, 120 + side, 3))
        canvas[60:-60, 60:-60] = np.pad(small, ((0, 2 * len(small)),) * 2 + ((0, 0),), "symmetric")
        mask = tissue_mask(np.clip(canvas, 0, 255).astype(np.uint8), MPP)
        found.append(mask[60:-60, 60:-60].mean())
    assert len(found) >= 3
    assert np.mean(found) > least
