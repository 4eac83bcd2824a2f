"""Tiles of a slide as a small picture."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medssl.backend.tile_colors import FRAME, INSIDE, PALE, grid_of, paint_tiles


def _painted(locations, size, selected=(0,)):
    grid = grid_of(np.array(locations, np.int64), np.full(len(locations), size))
    count = len(locations)
    colors = np.arange(3 * count).reshape(count, 3).astype(np.uint8)
    chosen = np.isin(np.arange(count), selected)
    return grid, paint_tiles(grid, colors, np.ones(count, bool), chosen)


def test_a_selected_tile_has_a_frame_and_the_others_are_pale():
    grid, picture = _painted([(100, 200), (356, 200), (100, 712)], 256)
    assert (grid.step, grid.width, grid.corner) == (16, 16, (100, 200))
    assert picture.shape == (48, 32, 4)
    assert (picture[:16, :16, :3] == [0, 1, 2]).all()
    assert (picture[1:15, 1:15, 3] == INSIDE).all()
    for edge in (picture[0, :16], picture[15, :16], picture[:16, 0], picture[:16, 15]):
        assert (edge[:, 3] == FRAME).all()
    assert (picture[:16, 16:] == [3, 4, 5, PALE]).all()
    assert (picture[32:, :16] == [6, 7, 8, PALE]).all()
    assert picture[16:32].max() == 0


def test_a_frame_lies_over_the_tiles_that_overlap_it():
    grid, picture = _painted([(0, 0), (128, 0)], 256)
    assert grid.width == 16
    assert (picture[:, :16, 3] >= INSIDE).all()
    assert (picture[:, 15, 3] == FRAME).all()


@pytest.mark.parametrize(("count", "spread"), [(200, 5000), (400, 5_000_000)])
def test_tiles_that_lie_at_will_are_about_where_they_are(count, spread):
    locations = np.random.default_rng(0).integers(0, spread, (count, 2))
    grid, picture = _painted([tuple(one) for one in locations.tolist()], 100)
    assert np.prod(grid.shape) < 1_200_000
    x, y = (locations - locations.min(axis=0)).T
    rows, columns = (np.round(values / grid.step).astype(int) for values in (y, x))
    assert (picture[rows, columns, 3] > 0).all()


def test_one_tile_of_a_pixel_is_a_cell():
    grid, picture = _painted([(5, 5)], 1)
    assert (grid.width, picture.shape) == (1, (1, 1, 4))
    assert picture[0, 0, 3] == FRAME - PALE
