"""Scores of tiles on their grid."""

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.similarity_map import similarity_map
from napari_medssl.index.arrays import TILE
from napari_medssl.index.results import SlideScores


def scores(places, size=100):
    tiles = np.zeros(len(places), TILE)
    tiles["x"], tiles["y"] = np.array(places, np.int64).reshape(-1, 2).T
    tiles["size"] = size
    return SlideScores(tiles, np.linspace(0.1, 0.9, len(places)).astype(np.float32))


def test_each_tile_is_one_cell_and_the_rest_is_nan():
    made = similarity_map(scores([(0, 0), (200, 0), (100, 300)]))
    assert made.step == 100
    assert made.middle == (50, 50)
    assert made.values.shape == (4, 3)
    assert made.values[0, 0] == pytest.approx(0.1)
    assert made.values[0, 2] == pytest.approx(0.5)
    assert made.values[3, 1] == pytest.approx(0.9)
    assert np.isnan(made.values).sum() == 9


def test_overlapping_tiles_are_as_far_apart_as_they_are():
    made = similarity_map(scores([(0, 0), (50, 0), (50, 100)]))
    assert made.step == 50
    assert made.values.shape == (3, 2)
    assert made.middle == (50, 50)


def test_a_threshold_counts_what_is_above_and_its_area():
    made = similarity_map(scores([(0, 0), (100, 0), (0, 100), (100, 100)]))
    values, count = made.above(0.5)
    assert count == 2
    assert np.isfinite(values).sum() == 2
    assert made.area_mm2(count, (0.5, 0.5)) == pytest.approx(2 * 100 * 100 * 0.25 / 1e6)
    assert made.limits == pytest.approx((0.1, 0.9))


def test_one_tile_has_limits_that_differ():
    low, high = similarity_map(scores([(300, 200)])).limits
    assert high > low


def test_no_tile_is_told():
    with pytest.raises(UserError, match="no tissue"):
        similarity_map(scores([]))
