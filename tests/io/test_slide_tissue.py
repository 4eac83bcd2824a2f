"""The tissue of a slide from any level, and the part of it under a tile."""

import numpy as np
import pytest

from napari_medssl.io import slide_tissue
from napari_medssl.io.slide_tissue import SlideTissue, find_tissue
from napari_medssl.io.slides import ArraySlide, SlideReadError


def stained(side=2048, seed=0):
    """A slide at 1 micron with a square of tissue in its middle half."""
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 243.0)
    quarter = side // 4
    coarse = rng.random((side // 16, side // 16)) * 0.2 + 0.4
    tissue = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[..., None] * (0.3, 1.0, 0.4)
    middle = slice(quarter, 3 * quarter)
    pixels[middle, middle] *= np.exp(-tissue)
    return np.clip(pixels + rng.normal(0, 1, pixels.shape), 0, 255).astype(np.uint8)


PIXELS = stained()


def test_tissue_is_found_where_it_lies():
    found = find_tissue(ArraySlide(PIXELS), 1.0)
    assert found.downsample == 8
    assert found.mask.shape == (256, 256)
    inside = found.mask[64:192, 64:192]
    assert inside.mean() > 0.98
    assert found.mask.sum() < 1.05 * inside.size


def test_without_lower_levels_it_is_the_same(monkeypatch):
    due = find_tissue(ArraySlide(PIXELS), 1.0).mask
    flat = ArraySlide(PIXELS)
    flat._levels = flat._levels[:1]
    monkeypatch.setattr(slide_tissue, "_BLOCK", 500)
    found = find_tissue(flat, 1.0)
    assert found.downsample == 8
    assert (found.mask == due).mean() > 0.995


def test_a_slide_without_mpp_is_looked_at_small():
    found = find_tissue(ArraySlide(PIXELS), None)
    assert max(found.mask.shape) <= 2048


def test_the_fraction_is_that_of_the_area():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    tissue = SlideTissue(mask, 4.0)
    big = np.repeat(np.repeat(mask, 4, 0), 4, 1)
    big = np.pad(big, 40)
    places = np.random.default_rng(0).integers(-20, 130, (200, 2))
    found = tissue.fraction(places, 17)
    due = [big[y + 40 : y + 57, x + 40 : x + 57].sum() / 17**2 for x, y in places]
    np.testing.assert_allclose(found, due, atol=1e-6)
    assert tissue.fraction(np.zeros((0, 2), int), 5).shape == (0,)


class DamagedSlide(ArraySlide):
    def _read_inside(self, level, x, y, width, height):
        if x < 130 and y < 130:
            raise SlideReadError("damaged there", level, (x, y), (width, height))
        return super()._read_inside(level, x, y, width, height)


def test_what_is_damaged_counts_as_glass_and_costs_little():
    found = find_tissue(DamagedSlide(PIXELS), 8.0)
    assert found.failures
    assert "damaged there" in str(found.failures[0])
    whole = find_tissue(ArraySlide(PIXELS), 8.0)
    assert (found.mask[192:, 192:] == whole.mask[192:, 192:]).mean() > 0.98


def test_it_stops_when_asked():
    assert not find_tissue(ArraySlide(PIXELS), 1.0, should_stop=lambda: True).mask.any()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("CMU-1-Small-Region.svs", 0.38, 0.45), ("her2st_C2.tif", 0.155, 0.18)],
)
def test_tissue_of_real_slides(data_dir, name, low, high):
    from napari_medssl.io.slides import open_slide

    with open_slide(data_dir / "slides" / name) as slide:
        assert low < find_tissue(slide, slide.mpp[0]).mask.mean() < high
