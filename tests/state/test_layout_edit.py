"""Grids, merging, splitting, snapping, gutters and reading order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box
from napari_medssl.state import layout_edit as le
from napari_medssl.state.gutter_edit import drag_gutter, find_gutters, gutter_near


def overlap(a: Box, b: Box) -> float:
    return max(0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0, min(a.y1, b.y1) - max(a.y0, b.y0))


def numbered(boxes) -> dict[int, Box]:
    return dict(enumerate(boxes, start=1))


@pytest.mark.parametrize("text", ["4x3", " 4 X 3 ", "4×3", "4*3"])
def test_grid_text_is_columns_by_rows(text):
    assert le.parse_grid(text) == (4, 3)


@pytest.mark.parametrize("text", ["", "4", "x3", "0x3", "4x-3", "99x99", "4x3x2", "4.5x2"])
def test_bad_grid_text_says_what_to_type(text):
    with pytest.raises(UserError, match="Type for example 4x3"):
        le.parse_grid(text)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.floats(0, 20))
def test_grid_fills_the_region_without_overlap(columns, rows, gap, offset):
    region = Box(offset, offset, offset + 200, offset + 150)
    boxes = le.lay_grid(region, columns, rows, gap)
    assert len(boxes) == columns * rows
    assert min(b.x0 for b in boxes) == round(region.x0)
    assert max(b.x1 for b in boxes) == round(region.x1)
    assert max(b.y1 for b in boxes) == round(region.y1)
    for i, a in enumerate(boxes):
        assert a.width >= 1
        assert all(overlap(a, b) == 0 for b in boxes[:i])
    assert le.reading_order(numbered(boxes)) == list(numbered(boxes))


def test_grid_too_fine_for_its_region_is_refused():
    with pytest.raises(UserError, match="does not fit"):
        le.lay_grid(Box(0, 0, 10, 10), 20, 1)


def test_merge_is_the_hull_with_the_first_label():
    merged = le.merge([Box(5, 5, 9, 9, 0.4, "b"), Box(0, 7, 3, 20, 0.9, "c")])
    assert merged == Box(0, 5, 9, 20, None, "b")


def test_merge_of_one_is_refused():
    with pytest.raises(UserError, match="needs two boxes"):
        le.merge([Box(0, 0, 1, 1)])


def test_split_along_a_gutter_leaves_the_gutter_out():
    parts = le.split(Box(0, 0, 100, 50, 0.5, "a"), "x", 40, 46)
    assert parts == (Box(0, 0, 40, 50, None, "a"), Box(46, 0, 100, 50))


def test_split_on_the_edge_is_refused():
    with pytest.raises(UserError, match="leaves nothing"):
        le.split(Box(0, 0, 100, 50), "y", 50)


@given(st.integers(1, 99), st.sampled_from(["x", "y"]))
def test_merging_a_split_gives_the_box_back(at, axis):
    whole = Box(0, 0, 100, 100)
    assert le.merge(le.split(whole, axis, at)) == whole


def test_snap_takes_the_nearest_line_within_the_tolerance():
    assert le.snap(10.0, [4, 12, 13], 3) == 12
    assert le.snap(10.0, [4, 14], 3) == 10.0
    assert le.snap(10.0, [], 3) == 10.0


def test_snapping_never_inverts_a_box():
    box = Box(10, 10, 14, 30)
    assert le.snap_box(box, {"x": [12]}, 5) == box
    assert le.snap_box(box, {"y": [12, 33]}, 5) == Box(10, 12, 14, 33)


def test_gutter_at_finds_the_strip():
    assert le.gutter_at([(3, 5), (10, 14)], 11) == (10, 14)
    assert le.gutter_at([(3, 5)], 6) is None


@pytest.mark.parametrize(
    ("index", "text"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (52, "ba"), (701, "zz")]
)
def test_letters_count_like_columns_of_a_sheet(index, text):
    assert le.letter(index) == text


def test_letters_are_all_different():
    assert len({le.letter(index) for index in range(2000)}) == 2000


def test_reading_order_takes_a_tall_panel_first():
    boxes = {1: Box(50, 0, 90, 40), 2: Box(50, 50, 90, 90), 3: Box(0, 0, 40, 90)}
    assert le.reading_order(boxes) == [3, 1, 2]
    assert le.letters_in_order(boxes) == {3: "a", 1: "b", 2: "c"}


def test_reading_order_overlooks_small_overlaps():
    boxes = {1: Box(48, 2, 100, 51), 2: Box(0, 0, 50, 50), 3: Box(0, 49, 50, 100)}
    assert le.reading_order(boxes) == [2, 1, 3]


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_reading_order_does_not_depend_on_ids(order):
    grid = le.lay_grid(Box(0, 0, 90, 60), 3, 2, 4)
    boxes = {key: grid[place] for place, key in enumerate(order)}
    assert [boxes[key] for key in le.reading_order(boxes)] == grid


# -- gutters -------------------------------------------------------------------------------------


def test_grid_has_a_gutter_between_each_pair():
    boxes = numbered(le.lay_grid(Box(0, 0, 90, 60), 3, 2, 4))
    gutters = find_gutters(boxes)
    assert sorted((g.axis, g.before, g.after) for g in gutters) == [
        ("x", (1,), (2,)),
        ("x", (2,), (3,)),
        ("x", (4,), (5,)),
        ("x", (5,), (6,)),
        ("y", (1,), (4,)),
        ("y", (2,), (5,)),
        ("y", (3,), (6,)),
    ]


def test_wide_panel_shares_one_gutter_with_all_below():
    boxes = {1: Box(0, 0, 100, 40), 2: Box(0, 44, 48, 90), 3: Box(52, 44, 100, 90)}
    below = next(g for g in find_gutters(boxes) if g.axis == "y")
    assert (below.before, below.after) == ((1,), (2, 3))
    moved = drag_gutter(boxes, below, 10)
    assert moved == {
        1: Box(0, 0, 100, 50),
        2: Box(0, 54, 48, 90),
        3: Box(52, 54, 100, 90),
    }


def test_drag_stops_before_a_neighbour_inverts():
    boxes = {1: Box(0, 0, 40, 40), 2: Box(44, 0, 60, 40)}
    (gutter,) = find_gutters(boxes)
    assert drag_gutter(boxes, gutter, 1000)[2] == Box(59, 0, 60, 40)
    assert drag_gutter(boxes, gutter, -1000)[1] == Box(0, 0, 1, 40)


def test_small_overlap_is_taken_away_by_a_drag():
    boxes = {1: Box(0, 0, 42, 40), 2: Box(40, 0, 60, 40)}
    (gutter,) = find_gutters(boxes)
    moved = drag_gutter(boxes, gutter, 5)
    assert moved == {1: Box(0, 0, 45, 40), 2: Box(45, 0, 60, 40)}


def test_wide_strip_is_no_gutter_when_told_so():
    boxes = {1: Box(0, 0, 10, 10), 2: Box(50, 0, 60, 10)}
    assert find_gutters(boxes, max_gap=20) == []


def test_gutter_near_prefers_the_strip_that_holds_the_point():
    boxes = numbered(le.lay_grid(Box(0, 0, 90, 60), 3, 2, 4))
    gutters = find_gutters(boxes)
    hit = gutter_near(gutters, 30, 10, tolerance=5)
    assert (hit.before, hit.after) == ((1,), (2,))
    assert gutter_near(gutters, 14, 10, tolerance=2) is None


@st.composite
def layouts(draw):
    """Boxes that do not overlap: a grid with some cells left out and all edges shaken inwards."""
    columns, rows = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    grid = le.lay_grid(Box(0, 0, 160, 160), columns, rows, draw(st.integers(0, 6)))
    boxes = {}
    for key, b in enumerate(grid, start=1):
        if draw(st.integers(0, 5)):
            dx, dy = draw(st.integers(0, 12)), draw(st.integers(0, 12))
            boxes[key] = Box(b.x0 + dx, b.y0 + dy, b.x1 - dy / 2, b.y1 - dx / 2)
    return boxes


@settings(deadline=None, max_examples=150)
@given(layouts(), st.floats(-200, 200), st.data())
def test_dragging_any_gutter_never_overlaps_nor_inverts(boxes, shift, data):
    gutters = find_gutters(boxes)
    if not gutters:
        return
    gutter = data.draw(st.sampled_from(gutters))
    after = {**boxes, **drag_gutter(boxes, gutter, shift)}
    keys = list(after)
    for i, a in enumerate(keys):
        assert after[a].width >= 1 - 1e-9
        assert after[a].height >= 1 - 1e-9
        for b in keys[:i]:
            assert overlap(after[a], after[b]) <= 1e-6


@settings(deadline=None, max_examples=60)
@given(layouts(), st.data())
def test_dragging_by_nothing_changes_nothing(boxes, data):
    gutters = find_gutters(boxes)
    if gutters:
        gutter = data.draw(st.sampled_from(gutters))
        assert {**boxes, **drag_gutter(boxes, gutter, 0)} == boxes
