"""The batch effect: groups that show, groups that do not, and bad input."""

import json

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend import map_batch
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.map_batch import check_batch

GROUPS = ("a", "b", "c")


def made(shift, count=240, seed=0):
    """Return unit vectors and groups that shift them so far."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    values = rng.normal(size=(count, 10)) + shift * np.eye(3, 10)[labels]
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values.astype(np.float32), [GROUPS[each] for each in labels]


def test_groups_that_shift_embeddings_are_told():
    effect = check_batch(*made(6.0))
    assert effect.accuracy > 0.97
    assert effect.strength > 0.95
    assert effect.same_neighbours > 0.95
    assert effect.chance == pytest.approx(1 / 3)
    assert [each.name for each in effect.groups] == list(GROUPS)
    assert sum(each.rows for each in effect.groups) == effect.rows == 240


def test_groups_that_do_not_are_guessed():
    effect = check_batch(*made(0.0))
    assert abs(effect.accuracy - 1 / 3) < 0.12
    assert abs(effect.same_neighbours - effect.same_by_chance) < 0.04


def test_chance_of_neighbours_counts_pairs():
    values, _ = made(0.0, 12)
    effect = check_batch(values, ["a"] * 7 + ["b"] * 5)
    assert effect.same_by_chance == pytest.approx((7 * 6 + 5 * 4) / (12 * 11))


def test_small_and_empty_groups_are_left_out():
    values, groups = made(6.0)
    groups[:3] = ["few"] * 3
    groups[3:20] = [""] * 17
    effect = check_batch(values, groups)
    assert effect.left_out == ("few",)
    assert effect.rows == 220


def test_of_many_rows_a_part_of_each_group_is_looked_at(monkeypatch):
    monkeypatch.setattr(map_batch, "MOST_ROWS", 100)
    effect = check_batch(*made(6.0, 1000))
    assert abs(effect.rows - 100) <= 3
    assert effect.accuracy > 0.9
    assert json.loads(effect.to_json())["rows"] == effect.rows


def test_what_cannot_be_compared_is_told():
    values, groups = made(0.0)
    with pytest.raises(UserError, match="1 of 1 groups have 5 rows or more; at least 2"):
        check_batch(values, ["a"] * 240)
    with pytest.raises(UserError, match="3 groups came for 240 embeddings"):
        check_batch(values, groups[:3])
    with pytest.raises(Cancelled):
        check_batch(values, groups, should_stop=lambda: True)


def test_too_many_groups_are_told(monkeypatch):
    monkeypatch.setattr(map_batch, "MOST_GROUPS", 2)
    with pytest.raises(UserError, match="3 groups came to tell apart; due are 2 at most"):
        check_batch(*made(0.0))
