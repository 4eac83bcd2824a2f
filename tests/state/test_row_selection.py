"""One selection of rows for all views: set algebra on masks, told once, walked back and forward."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_medssl.state.row_selection import RowSelection


def heard_by(selection):
    heard = []
    selection.changed.connect(lambda mask, source: heard.append((np.flatnonzero(mask), source)))
    return heard


def test_each_change_is_told_once_with_its_source():
    selection, view = RowSelection(6), object()
    heard = heard_by(selection)
    assert selection.replace([4, 1], view)
    assert not selection.replace(np.array([1, 4]), view)
    assert selection.union(np.array([0, 1, 0, 0, 0, 1], bool))
    assert selection.intersection([1, 5, 2])
    assert selection.toggle([1, 2])
    assert selection.difference([5, 0], view)
    assert selection.clear()
    assert not selection.clear()
    rows = [list(rows) for rows, _ in heard]
    assert rows == [[1, 4], [1, 4, 5], [1, 5], [2, 5], [2], []]
    assert [source for _, source in heard] == [view, None, None, None, view, None]


def test_it_is_the_same_as_sets():
    """A thousand random steps against Python's sets."""
    random = np.random.default_rng(0)
    selection, oracle = RowSelection(40), set()
    sets = {
        "replace": lambda a, b: b,
        "union": set.union,
        "intersection": set.intersection,
        "difference": set.difference,
        "toggle": set.symmetric_difference,
    }
    for _ in range(1000):
        mode = str(random.choice(list(sets)))
        rows = random.integers(0, 40, random.integers(0, 20))
        oracle = set(sets[mode](oracle, set(rows.tolist())))
        selection.combine(rows, mode)
        assert set(selection.rows.tolist()) == oracle
        assert len(selection) == len(oracle) == selection.mask.sum()


def test_rows_are_asked_for_by_number():
    selection = RowSelection(3)
    selection.replace([2])
    assert (2 in selection, 1 in selection, -1 in selection, 3 in selection) == (True, *[False] * 3)


def test_masks_handed_out_never_change():
    selection = RowSelection(4)
    before = selection.mask
    given = np.array([True, False, False, True])
    selection.replace(given)
    given[:] = False
    assert not before.any()
    assert selection.mask.sum() == 2
    with pytest.raises(ValueError, match="read-only"):
        selection.mask[0] = False


def test_former_selections_come_back_and_go_again():
    selection = RowSelection(5)
    assert not selection.back()
    assert not selection.forward()
    for row in range(3):
        selection.replace([row])
    assert selection.back()
    assert selection.back()
    assert list(selection.rows) == [0]
    assert selection.can_go_forward
    assert selection.forward()
    assert list(selection.rows) == [1]
    selection.replace([4])
    assert not selection.can_go_forward
    assert not selection.forward()
    assert selection.back()
    assert selection.back()
    assert selection.back()
    assert len(selection) == 0
    assert not selection.can_go_back


def test_fifty_former_selections_are_kept():
    selection = RowSelection(100)
    for row in range(100):
        selection.replace([row])
    steps = 0
    while selection.back():
        steps += 1
    assert steps == 50
    assert list(selection.rows) == [49]


def test_rows_that_are_added_are_not_selected_and_former_selections_stay():
    selection = RowSelection(3)
    heard = heard_by(selection)
    selection.replace([0, 2])
    selection.extend(10)
    assert selection.count == 10
    assert list(selection.rows) == [0, 2]
    assert len(heard) == 2
    selection.invert()
    assert len(selection) == 8
    assert selection.back()
    assert list(selection.rows) == [0, 2]
    with pytest.raises(ValueError, match="4 rows came, there are 10 already"):
        selection.extend(4)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ([True, False], r"a mask \(2,\) came for 3 rows"),
        ([0, 3], "rows 0 to 3 came, there are 0 to 2"),
        ([-1], "rows -1 to -1 came"),
        ([0.5], "float64"),
        ([[0, 1]], "whole numbers"),
        (["a"], "whole numbers"),
    ],
)
def test_what_are_no_rows_is_refused_and_nothing_changes(which, message):
    selection = RowSelection(3)
    with pytest.raises(ValueError, match=message):
        selection.union(which)
    assert not len(selection)


def test_no_rows_at_all():
    selection = RowSelection(0)
    assert not selection.replace([])
    assert not selection.invert()
    assert not len(selection)
    with pytest.raises(ValueError, match="mode is 'xor'"):
        selection.combine([], "xor")
    with pytest.raises(ValueError, match="count is -1"):
        RowSelection(-1)


def test_a_million_rows_change_in_milliseconds():
    """The best of many, so that what else runs on the machine does not count: 0.3 ms here."""
    count = 1_000_000
    random = np.random.default_rng(0)
    selection, taken = RowSelection(count), []
    masks = [random.random(count) < 0.3 for _ in range(2)]
    for number in range(20):
        start = time.perf_counter()
        selection.toggle(masks[number % 2])
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.010
