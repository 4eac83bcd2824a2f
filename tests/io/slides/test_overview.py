"""A small picture of a slide: the mean of what lies under each pixel, with little memory."""

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.slides import ArraySlide, open_slide
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide
from napari_medssl.io.slides.overview import read_overview


class RampSlide(LevelSlide):
    """A slide whose grey grows from left to right, and that notes its largest read."""

    def __init__(self, width, height, downsamples=(1,)):
        levels = [Level(width // d, height // d, float(d)) for d in downsamples]
        super().__init__(About("ramp"), levels)
        self.largest = 0

    def _read_inside(self, level, x, y, width, height):
        self.largest = max(self.largest, width * height)
        total = self._levels[level].width
        row = ((np.arange(x, x + width) + 0.5) / total * 255).astype(np.uint8)
        return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()

    def _make_fingerprint(self):
        return "0" * 32


@pytest.mark.parametrize(
    ("size", "downsamples"),
    [
        ((9000, 3000), (1,)),
        ((30_000, 20_000), (1, 16)),
        ((5000, 7001), (1, 4, 16)),
        ((90, 40), (1,)),
    ],
)
def test_it_is_the_slide_at_the_asked_size(size, downsamples):
    slide = RampSlide(*size, downsamples)
    found = read_overview(slide, 200)
    scale = min(1, 200 / max(size))
    width, height = round(size[0] * scale), round(size[1] * scale)
    assert found.shape == (height, width, 3)
    due = (np.arange(width) + 0.5) / width * 255
    assert np.abs(found[height // 2, :, 0] - due).max() < 2.5
    assert slide.largest <= 2**24 + 30_000 * 200


def test_white_and_black_halves_keep_their_mean():
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    pixels[::2] = 255
    found = read_overview(ArraySlide(pixels), 100)
    assert np.abs(found.astype(int) - 128).max() <= 1


@pytest.mark.data
def test_the_overview_of_a_real_slide_is_its_lowest_level_made_smaller(data_dir):
    with open_slide(data_dir / "slides" / "her2st_C2.tif") as slide:
        found = read_overview(slide, 310)
        small = slide.read_pixels(4, (0, 0), slide.level_dimensions[4])
        assert found.shape == (310, 290, 3)
        assert np.abs(found.mean((0, 1)) - small.mean((0, 1))).max() < 1


def test_a_size_that_is_none_is_told():
    with pytest.raises(UserError, match="An overview of 0 pixels"):
        read_overview(ArraySlide(np.zeros((5, 5))), 0)
