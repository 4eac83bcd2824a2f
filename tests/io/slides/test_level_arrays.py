"""Levels index like arrays and read no more than was asked; coarse levels are added."""

import pickle

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.slides import ArraySlide, open_slide
from napari_medssl.io.slides.deep_slide import with_coarse_levels
from napari_medssl.io.slides.halving import halve
from napari_medssl.io.slides.level_arrays import SlideLevel, slide_levels
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide
from napari_medssl.io.slides.tile_cache import TileCache


class FlatSlide(LevelSlide):
    """A slide of one level that notes how much of it is read."""

    def __init__(self, pixels, width=None, height=None):
        size = (width or pixels.shape[1], height or pixels.shape[0])
        super().__init__(About("flat", mpp=(1.0, 1.0)), [Level(*size, 1.0, 128, 128)])
        self.pixels = pixels
        self.read = 0

    def _read_inside(self, level, x, y, width, height):
        self.read += width * height
        return self.pixels[y : y + height, x : x + width].copy()

    def _make_fingerprint(self):
        return "f" * 32


@pytest.fixture
def cache():
    cache = TileCache(2**26, workers=2)
    yield cache
    cache.close()


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:],
        np.s_[...],
        np.s_[10:20, 30:50],
        np.s_[10:20, 30:50, :],
        np.s_[5],
        np.s_[-1, -2],
        np.s_[3, 4, 2],
        np.s_[..., 1],
        np.s_[::7, 100:2:-3, ::-1],
        np.s_[50:20],
        np.s_[-30:, -500:9999],
        np.s_[np.int64(4) : np.int64(9), np.int32(3)],
        np.s_[:, :, 1:],
    ],
    ids=str,
)
def test_indexing_is_that_of_an_array(cache, make_tissue, key):
    pixels = make_tissue(150, 220)
    level = SlideLevel(ArraySlide(pixels), 0, cache)
    assert level.shape == pixels.shape
    assert (level.ndim, level.size, len(level)) == (3, pixels.size, 150)
    found, due = level[key], pixels[key]
    assert np.shape(found) == np.shape(due)
    assert (found == due).all()
    assert (np.asarray(level) == pixels).all()
    assert np.asarray(level, float).dtype == float


def test_bad_indices_raise_as_arrays_do(cache, make_tissue):
    level = SlideLevel(ArraySlide(make_tissue(15, 22)), 0, cache)
    with pytest.raises(IndexError, match="Index 15 is outside"):
        level[15]
    with pytest.raises(IndexError, match="4 indices"):
        level[0, 0, 0, 0]
    with pytest.raises(TypeError, match="numbers and slices"):
        level[[1, 2]]


def test_a_whole_slide_is_not_read_by_accident(cache):
    slide = FlatSlide(np.zeros((1, 1, 3), np.uint8), 100_000, 80_000)
    with pytest.raises(UserError, match="100000 x 80000 pixels of a slide were asked for at once"):
        np.asarray(slide_levels(slide, cache)[0])
    assert not slide.read


def test_only_the_tiles_under_a_window_are_read(cache):
    slide = FlatSlide(np.zeros((2000, 2000, 3), np.uint8))
    slide_levels(slide, cache)[0][1000:1010, 1000:1010]
    assert slide.read == 256 * 256


def test_dask_takes_it(cache, make_tissue):
    dask = pytest.importorskip("dask.array")
    pixels = make_tissue(300, 310)
    lazy = dask.from_array(SlideLevel(ArraySlide(pixels), 0, cache), chunks=(100, 100, 3))
    assert (lazy[40:250, 60:300].compute() == pixels[40:250, 60:300]).all()


def test_coarse_levels_are_added_where_they_lack(make_tissue):
    pixels = make_tissue(1203, 1701)
    slide = with_coarse_levels(FlatSlide(pixels), 500)
    assert slide.level_dimensions == ((1701, 1203), (851, 602), (426, 301))
    assert slide.level_downsamples == (1.0, 2.0, 4.0)
    assert (slide.mpp, slide.fingerprint, slide.name) == ((1.0, 1.0), "f" * 32, "flat")
    due = [pixels, halve(pixels), halve(halve(pixels))]
    for level, expected in enumerate(due):
        whole = slide.read_pixels(level, (0, 0), slide.level_dimensions[level])
        assert (whole == expected).all()
        part = slide.read_many(level, [(130, 77), (300, 250)], (90, 60))
        for row, (x, y) in zip(part, [(130, 77), (300, 250)], strict=True):
            inside = expected[y : y + 60, x : x + 90]
            assert (row[: inside.shape[0], : inside.shape[1]] == inside).all()
    slide.close()
    with pytest.raises(UserError, match="is closed"):
        slide.read_pixels(0, (0, 0), (5, 5))


def test_a_slide_with_added_levels_goes_to_another_process(tmp_path, make_tissue):
    from PIL import Image

    Image.fromarray(make_tissue(100, 900)).save(tmp_path / "a.png")
    slide = with_coarse_levels(open_slide(tmp_path / "a.png"), 300)
    with pickle.loads(pickle.dumps(slide)) as again:
        assert again.level_dimensions == slide.level_dimensions
        found, due = (s.read_pixels(2, (0, 0), (225, 25)) for s in (again, slide))
        assert (found == due).all()


def test_each_stored_pixel_is_read_once_for_the_coarsest_level():
    flat = FlatSlide(np.zeros((2000, 3000, 3), np.uint8))
    slide = with_coarse_levels(flat, 400)
    slide.read_pixels(slide.level_count - 1, (0, 0), slide.level_dimensions[-1])
    assert flat.read == 2000 * 3000


def test_a_slide_with_coarse_levels_stays_as_it_is(make_tissue):
    slide = ArraySlide(make_tissue(1000, 1000))
    assert with_coarse_levels(slide) is slide
