"""A rectangle of a slide as a picture of any size."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io import slide_rectangles
from napari_medssl.io.slide_rectangles import MAX_SIDE, read_rectangle
from napari_medssl.io.slides import ArraySlide
from napari_medssl.io.tile_sampling import TileSampler

PIXELS = np.random.default_rng(0).integers(0, 256, (900, 1300, 3)).astype(np.uint8)
SLIDE = ArraySlide(PIXELS, mpp=0.5)


def test_at_the_size_of_the_slide_it_is_a_copy():
    found = read_rectangle(SLIDE, (30, 40, 130, 90), (100, 50))
    assert (found == PIXELS[40:90, 30:130]).all()


@pytest.mark.parametrize(("size", "pixels"), [(300, 100), (333, 97), (500, 30), (64, 128)])
def test_a_square_is_what_the_sampler_of_tiles_reads(size, pixels):
    found = read_rectangle(SLIDE, (57, 81, 57 + size, 81 + size), (pixels, pixels))
    assert (found == TileSampler(SLIDE, size, pixels).read([(57, 81)])[0]).all()


@pytest.mark.parametrize("band", [1, 3000, 40_000])
def test_bands_leave_no_seam(monkeypatch, band):
    box, size = (11.5, 20.25, 611.5, 820.25), (210, 280)
    whole = read_rectangle(SLIDE, box, size)
    monkeypatch.setattr(slide_rectangles, "_BAND", band)
    parts = read_rectangle(SLIDE, box, size)
    assert np.abs(whole.astype(int) - parts).max() <= 1


def test_white_surrounds_the_slide():
    found = read_rectangle(SLIDE, (-20, -10, 20, 30), (20, 20))
    assert (found[:4] == 255).all()
    assert (found[:, :9] == 255).all()
    assert (found[6:, 11:] != 255).any()


@pytest.mark.parametrize("size", [(0, 5), (5, MAX_SIDE + 1)])
def test_sizes_that_make_no_picture_are_refused(size):
    with pytest.raises(UserError, match=f"due is 1 to {MAX_SIDE} a side"):
        read_rectangle(SLIDE, (0, 0, 10, 10), size)


def test_rows_are_told_after_each_read_and_what_that_raises_ends_it(monkeypatch):
    monkeypatch.setattr(slide_rectangles, "_BAND", 1000)
    told = []
    read_rectangle(SLIDE, (0, 0, 100, 90), (50, 45), on_rows=lambda *rows: told.append(rows))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 1
    assert told[-1] == (45, 45)

    def refuse(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_rectangle(SLIDE, (0, 0, 100, 90), (50, 45), on_rows=refuse)
