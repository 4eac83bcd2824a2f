"""Tiles equal a slow float64 reference at any ratio, place and level, edges included."""

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io import tile_sampling
from napari_medssl.io.slides import ArraySlide
from napari_medssl.io.tile_sampling import TileSampler, best_level


def texture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    fine = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width]
    return np.clip(fine + rng.integers(-60, 61, (height, width, 3)), 0, 255).astype(np.uint8)


def weights(start, step, count, low, high):
    """The triangle of each tile pixel at the centres of the level's pixels low..high, float64."""
    support = max(step, 1.0)
    centres = start + (np.arange(count) + 0.5) * step
    away = np.abs(np.arange(low, high) + 0.5 - centres[:, None]) / support
    triangle = np.maximum(0, 1 - away)
    return triangle / triangle.sum(1, keepdims=True)


def reference(slide, level, location, size, pixels):
    """The tile as a sum over all pixels of the level in float64, white outside."""
    downsample = slide.level_downsamples[level]
    width, height = slide.level_dimensions[level]
    x, y = (value / downsample for value in location)
    step = size / downsample / pixels
    reach = int(np.ceil(max(step, 1))) + 2
    low = [int(np.floor(value)) - reach for value in (x, y)]
    high = [int(np.ceil(value + size / downsample)) + reach for value in (x, y)]
    canvas = np.full((high[1] - low[1], high[0] - low[0], 3), 255.0)
    whole = slide.read_pixels(level, (0, 0), (width, height)).astype(float)
    ys = np.arange(max(0, low[1]), min(height, high[1]))
    xs = np.arange(max(0, low[0]), min(width, high[0]))
    canvas[np.ix_(ys - low[1], xs - low[0])] = whole[np.ix_(ys, xs)]
    rows = weights(y, step, pixels, low[1], high[1])
    columns = weights(x, step, pixels, low[0], high[0])
    return np.einsum("ia,abc,jb->ijc", rows, canvas, columns)


SLIDE = ArraySlide(texture(1100, 1301), mpp=0.25)
RATIOS = [0.31, 0.5, 0.77, 1.0, 1.002, 1.1234, 1.5, 2.0, 2.004, 3.3, 4.0, 6.5, 8.9]
PLACES = [(0, 0), (3, 5), (401, 333), (1290, 1000), (-37, 600), (700, -90), (1100, 1050)]


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_tile_is_within_one_grey_level_of_the_float64_reference(ratio):
    pixels = 50
    size = max(1, round(ratio * pixels))
    sampler = TileSampler(SLIDE, size, pixels)
    found = sampler.read(PLACES)
    assert found.shape == (len(PLACES), pixels, pixels, 3)
    for tile, place in zip(found, PLACES, strict=True):
        due = reference(SLIDE, sampler.level, place, size, pixels)
        assert np.abs(tile - due).max() <= 1.01


@pytest.mark.parametrize("size", [12, 16, 24, 32, 50, 64])
def test_no_pixel_is_shifted_by_half(size):
    """A ramp stays on its line at every ratio and level: the centre of a pixel is its middle."""
    ramp = np.repeat(2 * np.arange(120, dtype=np.uint8)[None, :, None], 2048, 0)
    slide = ArraySlide(np.repeat(ramp, 3, 2))  # its steps of 2 stay whole numbers when halved
    for x in (20, 21, 23):
        tile = TileSampler(slide, size, 16).read([(x, 300)])[0].astype(float)
        centres = x + (np.arange(16) + 0.5) * size / 16 - 0.5
        assert abs(tile.mean() / 2 - centres.mean()) < 0.13  # level-0 pixels


def test_whole_pixels_are_copied():
    tile = TileSampler(SLIDE, 64, 64).read([(17, 23)])[0]
    assert (tile == SLIDE.read_pixels(0, (17, 23), (64, 64))).all()
    tile = TileSampler(SLIDE, 256, 64).read([(16, 24)])[0]
    assert (tile == SLIDE.read_pixels(2, (4, 6), (64, 64))).all()


def test_tiles_larger_than_a_read_are_made_in_bands(monkeypatch):
    whole = TileSampler(SLIDE, 777, 41).read([(-20, 300), (600, 400)])
    monkeypatch.setattr(tile_sampling, "_BAND", 9000)
    banded = TileSampler(SLIDE, 777, 41).read([(-20, 300), (600, 400)])
    # Pillow keeps the box in single precision: a value near a half may round the other way.
    assert np.abs(banded.astype(int) - whole).max() <= 1


def test_the_level_is_the_smallest_that_is_fine_enough():
    downsamples = (1.0, 2.0001, 4.002, 8.01)
    assert [best_level(downsamples, w) for w in (0.5, 1, 1.9, 2, 2.1, 3.9, 4.1, 100)] == [
        *(0, 0, 0, 1, 1, 1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("size", "pixels", "text"),
    [
        (10, 0, "Tiles of 0 pixels are asked for; due is 1 to 4096"),
        (10, 5000, "Tiles of 5000 pixels"),
        (0, 10, "Tiles of 0 level-0 pixels are asked for, but the slide is 1301 x 1100"),
        (3000, 10, "choose a smaller mpp or size"),
    ],
)
def test_sizes_that_make_no_sense_are_told(size, pixels, text):
    with pytest.raises(UserError, match=text):
        TileSampler(SLIDE, size, pixels)
