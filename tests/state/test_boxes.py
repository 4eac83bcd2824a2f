"""The box store: clamping, edit sessions, undo, events."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.history import Edit, History, box_from_row, box_to_row

WIDTH, HEIGHT = 100, 60
number = st.floats(-50, 200, allow_nan=False)
box = st.builds(Box, number, number, number, number)


def is_inside(b: Box) -> bool:
    # Adding 1 and taking it away again may differ in the last bit.
    is_large_enough = min(b.width, b.height) >= 1 - 1e-9
    return b.x0 >= 0 and b.x1 <= WIDTH and b.y0 >= 0 and b.y1 <= HEIGHT and is_large_enough


def a_store(*boxes: Box) -> BoxStore:
    return BoxStore(WIDTH, HEIGHT, boxes or (Box(10, 10, 30, 30), Box(40, 10, 60, 30)))


@given(box)
def test_store_holds_every_box_inside_the_image(b):
    (key,) = (store := a_store()).add(b)
    assert is_inside(store[key])


def test_box_inside_is_kept_to_the_last_bit():
    b = Box(0.1, 0.2, 33.3, 44.4, 0.7, "a", "plot")
    assert a_store(b).boxes() == (b,)


def test_inverted_corners_are_put_in_order():
    assert a_store(Box(30, 25, 10, 5)).boxes() == (Box(10, 5, 30, 25),)


def test_not_finite_coordinate_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        a_store().add(Box(0, 0, float("nan"), 5))


def test_move_stops_at_the_edge_and_keeps_sizes():
    store = a_store()
    store.move([1, 2], 1000, -1000)
    assert store.boxes() == (Box(50, 0, 70, 20), Box(80, 0, 100, 20))


def test_resize_stops_one_pixel_from_the_other_edge():
    store = a_store()
    store.resize(1, x0=500)
    store.resize(1, y1=-3)
    assert store[1] == Box(29, 10, 30, 11)


def test_resize_refuses_what_is_no_edge():
    with pytest.raises(TypeError, match="edges are x0, y0, x1, y1"):
        a_store().resize(1, width=5)


def test_drag_is_one_entry_however_many_steps():
    store = a_store()
    with store.edit("move"):
        for _ in range(25):
            store.move([1], 1, 0)
    assert len(store.history) == 1
    store.undo()
    assert store[1] == Box(10, 10, 30, 30)
    store.redo()
    assert store[1] == Box(35, 10, 55, 30)


def test_drag_back_to_the_start_is_no_entry():
    store = a_store()
    with store.edit("move"):
        store.move([1], 5, 0)
        store.move([1], -5, 0)
    assert len(store.history) == 0


def test_failing_session_puts_the_boxes_back():
    store = a_store()
    before = store.as_dict()

    def fail_midway() -> None:
        with store.edit("split"):
            store.remove([1])
            store.add(Box(0, 0, 5, 5))
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert store.as_dict() == before
    assert len(store.history) == 0


def test_undo_inside_a_session_is_refused():
    store = a_store()
    with store.edit("move"), pytest.raises(RuntimeError, match="while an edit is open"):
        store.undo()


def test_ids_are_never_used_twice():
    store = a_store()
    (first,) = store.add(Box(0, 0, 5, 5))
    store.remove([first])
    (second,) = store.add(Box(0, 0, 5, 5))
    store.undo()
    store.undo()
    assert first != second
    assert first in store


def test_unknown_id_is_refused_and_nothing_changes():
    store = a_store()
    with pytest.raises(KeyError):
        store.remove([1, 99])
    assert len(store) == 2


def test_score_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        a_store().set_score(1, 1.5)


def test_undo_goes_back_at_least_two_hundred_edits():
    store = a_store(Box(0, 0, 10, 10))
    for _ in range(300):
        before = store[1]
        store.resize(1, x1=11 if before.x1 == 10 else 10)
    undone = 0
    while store.undo() is not None:
        undone += 1
    assert undone == 300


def test_history_forgets_the_oldest_beyond_its_limit():
    history = History(limit=3)
    for index in range(5):
        history.push(Edit(f"e{index}"))
    assert [edit.name for edit in history.edits] == ["e2", "e3", "e4"]


def test_events_tell_each_change_once_and_entries_once():
    store = a_store()
    changes, entries = [], []
    store.changed.connect(changes.append)
    store.edited.connect(lambda kind, edit: entries.append((kind, edit.name)))
    with store.edit("move"):
        store.move([1], 1, 0)
        store.move([1], 0, 0)
        store.move([1], 1, 0)
    store.undo()
    store.redo()
    assert len(changes) == 4
    assert entries == [("do", "move"), ("undo", "move"), ("redo", "move")]


def test_replace_all_is_one_entry():
    store = a_store()
    before = store.as_dict()
    keys = store.replace_all([Box(0, 0, 20, 20, 0.9)])
    assert tuple(store) == keys
    store.undo()
    assert store.as_dict() == before


action = st.one_of(
    st.tuples(st.just("add"), box),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("move"), st.integers(0, 9), number, number),
    st.tuples(st.just("resize"), st.integers(0, 9), st.sampled_from(["x0", "y1"]), number),
    st.tuples(st.just("label"), st.integers(0, 9), st.text(max_size=2)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


def do(store: BoxStore, step: tuple) -> None:
    kind, *rest = step
    if kind == "add":
        store.add(rest[0])
    elif kind in ("undo", "redo"):
        getattr(store, kind)()
    elif len(store):
        key = list(store)[rest[0] % len(store)]
        if kind == "remove":
            store.remove([key])
        elif kind == "move":
            store.move([key], rest[1], rest[2])
        elif kind == "resize":
            store.resize(key, **{rest[1]: rest[2]})
        else:
            store.set_labels({key: rest[1]})


@settings(max_examples=60, deadline=None)
@given(st.lists(action, max_size=30))
def test_any_edits_stay_inside_and_undo_to_the_start(steps):
    """A second store fed with the journal's words follows the first one exactly."""
    store, mirror = a_store(), a_store()
    start = store.as_dict()
    store.edited.connect(
        lambda kind, edit: mirror.replay(
            kind, Edit.from_json(json.loads(json.dumps(edit.to_json(box_to_row))), box_from_row)
        )
    )
    for step in steps:
        do(store, step)
        assert all(is_inside(b) for b in store.boxes())
        assert mirror.as_dict() == store.as_dict()
        assert mirror.history.to_json(box_to_row) == store.history.to_json(box_to_row)
    end = store.as_dict()
    undone = 0
    while store.undo() is not None:
        undone += 1
    assert store.as_dict() == start
    for _ in range(undone):
        store.redo()
    assert store.as_dict() == end


@settings(max_examples=30, deadline=None)
@given(st.lists(action, max_size=20))
def test_history_survives_being_written(steps):
    store = a_store()
    for step in steps:
        do(store, step)
    copy = BoxStore(
        WIDTH,
        HEIGHT,
        store.as_dict(),
        History.from_json(json.loads(json.dumps(store.history.to_json(box_to_row))), box_from_row),
        store.next_id,
    )
    while store.undo() is not None:
        copy.undo()
        assert copy.as_dict() == store.as_dict()
    assert copy.undo() is None


def test_history_position_out_of_range_is_refused():
    with pytest.raises(ValueError, match="history position 4"):
        History.from_json({"position": 4, "edits": []}, box_from_row)


def test_coordinates_are_in_order_of_ids():
    store = a_store()
    ids, rows = store.coordinates()
    assert ids.tolist() == [1, 2]
    assert rows.tolist() == [[10, 10, 30, 30], [40, 10, 60, 30]]


def test_empty_store_has_coordinates_of_no_rows():
    _, rows = BoxStore(5, 5).coordinates()
    assert rows.shape == (0, 4)


def test_labels_are_set_in_one_entry():
    store = a_store()
    store.set_labels({1: "a", 2: "b"})
    assert [b.label for b in store.boxes()] == ["a", "b"]
    assert len(store.history) == 1
    assert store[1] == replace(Box(10, 10, 30, 30), label="a")
