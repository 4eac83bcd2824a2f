"""Groups of rows as a person edits them: every edit is one step that undo takes back whole."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.grouped_rows import lightened
from napari_medssl.state.history import History
from napari_medssl.state.point_group import NONE, GroupEdit
from napari_medssl.state.point_groups import PointGroups

LABELS = np.array([0, 0, 0, 1, 1, 2, -1, 0])


def made():
    return PointGroups.of_labels(LABELS, {2: "mitoses"})


def state(groups):
    return list(groups.ids), groups.groups


def test_labels_become_groups_and_below_zero_is_none():
    groups = made()
    assert list(groups.ids) == [1, 1, 1, 2, 2, 3, NONE, 1]
    assert [group.name for group in groups.groups.values()] == [
        "none", "cluster 0", "cluster 1", "mitoses",
    ]  # fmt: skip
    assert groups.counts() == {NONE: 1, 1: 4, 2: 2, 3: 1}
    assert groups.history.undo_name is None
    assert len({group.color for group in groups.groups.values()}) == 4
    assert list(groups.names()) == [
        "cluster 0", "cluster 0", "cluster 0", "cluster 1", "cluster 1", "mitoses", "", "cluster 0",
    ]  # fmt: skip


def test_merge_keeps_the_first_that_was_given():
    groups = made()
    assert groups.merge([3, 1]) == 3
    assert list(groups.rows_of(3)) == [0, 1, 2, 5, 7]
    assert 1 not in groups
    assert groups[3].name == "mitoses"
    assert groups.history.undo_name == "merge into mitoses"


def test_split_leaves_the_largest_part_as_it_was():
    groups = made()
    before = groups[1]
    assert groups.split(1, np.array([5, 0, 5, 9])) == (1, 4, 5)
    assert groups[1] == before
    assert list(groups.rows_of(1)) == [0, 2]
    assert [groups[key].name for key in (4, 5)] == ["cluster 0 2", "cluster 0 3"]
    assert list(groups.rows_of(4)) == [1]
    assert list(groups.rows_of(5)) == [7]
    assert groups.split(2, np.array([7, 7])) == (2,)
    assert groups.history.undo_name == "split cluster 0"


def test_split_finds_names_that_are_free():
    groups = made()
    groups.rename(3, "cluster 0 2")
    groups.split(1, np.array([0, 0, 0, 1]))
    assert groups[4].name == "cluster 0 3"


def test_rows_are_assigned_by_id_by_name_and_to_a_group_that_is_made():
    groups = made()
    assert groups.assign([6, 0], 2) == 2
    assert groups.assign(np.arange(8) == 5, "cluster 1") == 2
    key = groups.assign([1], "  debris\n and pen ")
    assert groups[key].name == "debris and pen"
    groups.assign([2], NONE)
    assert list(groups.ids) == [2, key, NONE, 2, 2, 2, 2, 1]


def test_names_for_many_rows_are_one_edit():
    groups = made()
    before = state(groups)
    groups.assign_names([7, 0, 6, 1], ["b", "a", "b", ""])
    assert groups.id_of("b") == 4
    assert groups.id_of("a") == 5
    assert list(groups.ids) == [5, NONE, 1, 2, 2, 3, 4, 4]
    groups.undo()
    assert state(groups) == before
    with pytest.raises(ValueError, match="2 names came for 2 rows, each due once"):
        groups.assign_names([1, 1], ["a", "b"])


def test_rows_of_deleted_groups_are_in_none():
    groups = made()
    groups.delete([1, 3])
    assert list(groups.groups) == [NONE, 2]
    assert groups.counts() == {NONE: 6, 2: 2}
    assert groups.assign([0], "other") == 4, "ids are never used twice"


def test_hide_show_and_show_only():
    groups = made()
    groups.hide([1, NONE])
    assert list(groups.shown()) == [False, False, False, True, True, True, False, False]
    groups.show([1])
    assert groups.shown().sum() == 7
    groups.show_only([2])
    assert list(np.flatnonzero(groups.shown())) == [3, 4]
    groups.undo()
    assert groups.shown().sum() == 7


def test_colors_are_those_of_the_groups():
    groups = made()
    groups.recolor(1, (1, 2, 3))
    groups.recolor(NONE, (9, 9, 9))
    colors = groups.colors()
    assert colors.dtype == np.uint8
    assert colors.shape == (8, 3)
    assert (colors[[0, 1, 2, 7]] == (1, 2, 3)).all()
    assert (colors[6] == 9).all()
    assert (colors == [groups[key].color for key in groups.ids]).all()


def test_new_labels_take_the_place_of_all_groups_and_undo_brings_those_back():
    groups = made()
    groups.rename(1, "stroma")
    before = state(groups)
    groups.relabel(np.array([3, 3, 3, 3, -1, -1, 8, 8]))
    assert list(groups.groups) == [NONE, 4, 5]
    assert groups[5].name == "cluster 8"
    groups.undo()
    assert state(groups) == before


def random_edit(groups, random):
    keys = [key for key in groups.groups if key != NONE]
    rows = random.random(groups.count) < 0.3
    key = int(random.choice(keys)) if keys else None
    step = random.integers(0, 9)
    if step == 0 and len(keys) > 1:
        groups.merge(random.permutation(keys)[:3].tolist())
    elif step == 1 and key is not None:
        groups.split(key, random.integers(0, 3, len(groups.rows_of(key))))
    elif step == 2 and key is not None:
        groups.rename(key, f"name {random.integers(1_000_000)}")
    elif step == 3 and key is not None:
        groups.recolor(key, tuple(random.integers(0, 256, 3).tolist()))
    elif step == 4 and key is not None:
        groups.hide([key, NONE])
    elif step == 5 and key is not None and random.random() < 0.3:
        groups.delete([key])
    elif step == 6:
        groups.relabel(random.integers(-1, 4, groups.count))
    else:
        groups.assign(rows, key if key is not None and step == 7 else f"g{random.integers(99)}")


def test_undo_and_redo_of_random_edits_walk_through_the_same_states():
    random = np.random.default_rng(0)
    groups = made()
    states = [state(groups)]
    while len(states) < 120:
        steps = len(groups.history)
        random_edit(groups, random)
        if len(groups.history) > steps:
            states.append(state(groups))
    for expected in states[-2::-1]:
        assert groups.undo() is not None
        assert state(groups) == expected
    assert groups.undo() is None
    for expected in states[1:]:
        assert groups.redo() is not None
        assert state(groups) == expected
    assert groups.redo() is None


def test_what_was_told_makes_another_store_the_same():
    """As a journal does it: the edits that were done, and the words undo and redo."""
    random = np.random.default_rng(1)
    groups, twin = made(), made()

    def repeat(kind, edit):
        twin.replay(kind, edit if kind == "do" else None)

    groups.changed.connect(repeat)
    for _ in range(200):
        choice = random.random()
        if choice < 0.2:
            groups.undo()
        elif choice < 0.3:
            groups.redo()
        else:
            random_edit(groups, random)
        assert state(twin) == state(groups)
        assert twin.history.position == groups.history.position
        assert twin.next_id == groups.next_id


def test_each_change_is_told_once_and_none_is_told_where_there_is_none():
    groups, heard = made(), []
    groups.changed.connect(lambda kind, edit: heard.append((kind, edit)))
    groups.merge([1, 2])
    groups.assign([0], 1)  # is there already
    groups.rename(1, "cluster 0")
    groups.show([1])
    groups.undo()
    assert [kind for kind, _ in heard] == ["do", "undo"]
    edit = heard[0][1]
    assert list(edit.rows) == [3, 4]
    assert edit.removed == (2,)
    assert list(edit.ids_before) == [2, 2]
    assert list(edit.ids_after) == [1, 1]


def test_arrays_handed_out_never_change():
    groups = made()
    before = groups.ids
    groups.assign([0, 1], 3)
    assert list(before) == [1, 1, 1, 2, 2, 3, NONE, 1]
    with pytest.raises(ValueError, match="read-only"):
        groups.ids[0] = 2


def test_rows_that_are_added_are_in_no_group():
    groups, heard = made(), []
    groups.changed.connect(lambda kind, edit: heard.append(kind))
    groups.extend(10)
    assert groups.count == 10
    assert groups.counts()[NONE] == 3
    assert heard == ["extend"]
    groups.delete([1])
    groups.undo()
    assert groups.counts()[1] == 4
    with pytest.raises(ValueError, match="3 rows came, there are 10"):
        groups.extend(3)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda g: g.rename(1, "mitoses"), "There is a group 'mitoses' already"),
        (lambda g: g.rename(1, "none"), "There is a group 'none' already"),
        (lambda g: g.rename(1, " \n"), r"' \\n' is no name of a group. Write at least one letter"),
        (lambda g: g.rename(1, "x" * 201), "201 letters came; a group's has 200 at most"),
        (lambda g: g.rename(NONE, "rest"), "can be coloured and hidden only"),
        (lambda g: g.merge([1, NONE]), "can be coloured and hidden only"),
        (lambda g: g.delete([]), "No group came"),
        (lambda g: g.relabel(LABELS, {0: "a", 1: "a"}), "Two groups have one name"),
        (lambda g: g.relabel(LABELS, {0: "none"}), "is called 'none'"),
    ],
)
def test_what_a_person_may_not_do_is_said_and_nothing_changes(act, message):
    groups = made()
    before = state(groups)
    with pytest.raises(UserError, match=message):
        act(groups)
    assert state(groups) == before
    assert not len(groups.history)


@pytest.mark.parametrize(
    "act",
    [
        lambda g: g.merge([1, 99]),
        lambda g: g.assign([0], 99),
        lambda g: g.hide([99]),
        lambda g: g.assign([8], 1),
        lambda g: g.split(1, np.array([0, 1])),
        lambda g: g.relabel(LABELS[:-1]),
        lambda g: g.recolor(1, (0, 0, 256)),
    ],
)
def test_what_is_no_group_or_row_changes_nothing(act):
    groups = made()
    before = state(groups)
    with pytest.raises((KeyError, ValueError)):
        act(groups)
    assert state(groups) == before


def test_thirty_five_groups_have_colours_of_their_own():
    groups = PointGroups.of_labels(np.arange(35))
    assert len({group.color for group in groups.groups.values()}) == 36


def test_labels_may_be_any_whole_numbers():
    labels = np.array([-(2**40), 2**40, 7, 2**40])
    groups = PointGroups.of_labels(labels)
    assert list(groups.ids) == [NONE, 2, 1, 2]
    assert groups[2].name == f"cluster {2**40}"
    assert PointGroups.of_labels(np.array([], int)).counts() == {NONE: 0}


def test_the_memory_of_undo_is_bounded():
    def edit(rows):
        ids = np.zeros(rows, np.int32)
        return GroupEdit("e", rows=ids, ids_before=ids, ids_after=ids)

    history = History()
    for _ in range(4):
        history.push(edit(100))
    assert lightened(history, 4 * 1200) is history
    lighter = lightened(history, 2 * 1200)
    assert len(lighter) == lighter.position == 2
    assert len(lightened(history, 0)) == 1, "the last can be undone whatever it takes"
    history.undo()
    history.undo()
    history.undo()
    assert lightened(history, 0).position == 0
    assert len(lightened(history, 0)) == 3


def test_a_million_rows_are_coloured_and_edited_in_milliseconds():
    """The best of several: 3 ms for the colours here."""
    count = 1_000_000
    random = np.random.default_rng(0)
    groups = PointGroups.of_labels(random.integers(0, 20, count))
    half = random.random(count) < 0.5

    def best_s(act):
        taken = []
        for _ in range(7):
            start = time.perf_counter()
            act()
            taken.append(time.perf_counter() - start)
        return min(taken)

    assert best_s(groups.colors) < 0.020
    assert best_s(lambda: groups.assign(half, "half")) < 0.050
