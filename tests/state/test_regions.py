"""Regions of a slide: shapes, classes, locks, undo, and what the index finds."""

from __future__ import annotations

import json

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.geojson import Feature, Plane, Roi, read_geojson, write_geojson
from napari_medssl.io.geojson.feature import ellipse, rectangle
from napari_medssl.state.colors import next_color
from napari_medssl.state.history import Edit
from napari_medssl.state.region_classes import (
    DEFAULT_CLASSES,
    RegionClass,
    read_classes,
    write_classes,
)
from napari_medssl.state.region_rows import item_from_row, item_to_row
from napari_medssl.state.regions import Region, RegionIndex, RegionStore


def a_store(*rois: Roi) -> RegionStore:
    store = RegionStore(DEFAULT_CLASSES)
    for roi in rois:
        store.draw(roi)
    return store


def box(x0, y0, x1, y1, **members) -> Roi:
    return Roi(shapely.box(x0, y0, x1, y1), **members)


# -- regions -------------------------------------------------------------------------------------


def test_drawn_region_is_an_annotation_with_an_id():
    store = a_store()
    tumor = store.find_class("Tumor")
    key = store.draw(box(0, 0, 4, 4), tumor, "a")
    feature = store.feature(key)
    assert (feature.class_name, feature.class_color, feature.name) == ("Tumor", (200, 0, 0), "a")
    assert (feature.object_type, len(feature.id)) == ("annotation", 36)
    assert store.history.undo_name == "draw rectangle"


def test_move_takes_the_nucleus_along_and_keeps_the_third_number():
    shape = shapely.Polygon([(0, 0, 7), (4, 0, 7), (4, 4, 7)])
    store = a_store()
    cell = Feature(Roi(shape), object_type="cell", nucleus=box(1, 1, 2, 2))
    (key,) = store.add_features([cell])
    store.move([key], 10, -1)
    moved = store.region(key).feature
    assert shapely.get_coordinates(moved.roi.shape, include_z=True)[0].tolist() == [10, -1, 7]
    assert moved.nucleus is not None
    assert moved.nucleus.shape.bounds == (11, 0, 12, 1)


def test_drag_is_one_entry():
    store = a_store(box(0, 0, 4, 4))
    (key,) = store.region_keys()
    before = len(store.history)
    with store.edit("move"):
        for _ in range(20):
            store.move([key], 1, 0)
    assert len(store.history) == before + 1
    store.undo()
    assert store.region(key).shape.bounds == (0, 0, 4, 4)


def test_five_hundred_edits_can_be_undone():
    store = a_store(box(0, 0, 4, 4))
    (key,) = store.region_keys()
    for _ in range(600):
        store.move([key], 1, 0)
    undone = 0
    while store.undo() is not None:
        undone += 1
    assert undone == 500


def test_reshape_to_an_ellipse_and_back():
    store = a_store(box(0, 0, 4, 4, plane=Plane(-1, 3, 0)))
    (key,) = store.region_keys()
    store.reshape(key, ellipse(0, 0, 10, 4))
    roi = store.region(key).feature.roi
    assert (roi.kind, roi.plane.z) == ("ellipse", 3)
    store.undo()
    assert store.region(key).feature.roi.kind == "rectangle"


def test_locked_region_keeps_its_shape_but_takes_a_class():
    store = a_store(box(0, 0, 4, 4), box(1, 1, 6, 6))
    a, b = store.region_keys()
    store.set_name(a, "margin")
    store.set_locked([a], True)
    for refused in (
        lambda: store.move([b, a], 1, 1),
        lambda: store.remove([b, a]),
        lambda: store.reshape(a, box(0, 0, 1, 1)),
        lambda: store.merge([b, a]),
        lambda: store.subtract(a, [b]),
    ):
        with pytest.raises(UserError, match=r"The region 'margin' is locked\. Unlock it first"):
            refused()
    assert store.region(b).shape.bounds == (1, 1, 6, 6)
    store.set_class([a], store.find_class("Stroma"))
    store.subtract(b, [a])  # a locked region may cut another
    assert store.region(b).feature.roi.area() == 25 - 9
    store.set_locked([a], False)
    store.remove([a])
    assert store.region_keys() == (b,)


def test_shapes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="empty"):
        a_store(Roi(shapely.Polygon()))
    with pytest.raises(ValueError, match="not finite or beyond"):
        a_store(Roi(shapely.Point(3e9, 0)))
    with pytest.raises(ValueError, match="not finite or beyond"):
        a_store(Roi(shapely.Point(float("nan"), 0)))


# -- merge and subtract --------------------------------------------------------------------------


def test_merge_is_the_union_in_the_first_and_undoes():
    store = a_store(box(0, 0, 4, 4), box(2, 0, 6, 4), box(10, 10, 12, 12))
    a, b, c = store.region_keys()
    store.set_class([b], store.find_class("Tumor"))
    before = store.as_dict()
    assert store.merge([b, a, c]) == b
    assert store.region_keys() == (b,)
    merged = store.region(b)
    assert merged.class_key == store.find_class("Tumor")
    assert merged.shape.equals(
        shapely.union_all([shapely.box(0, 0, 6, 4), shapely.box(10, 10, 12, 12)])
    )
    store.undo()
    assert store.as_dict() == before


def test_merge_of_an_outline_that_crosses_itself_is_sound():
    bow = Roi(shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]))
    store = a_store(bow, box(0, 0, 1, 1))
    assert store.region(store.merge(store.region_keys())).shape.is_valid


def test_merge_of_points_and_of_lines():
    store = a_store(Roi(shapely.Point(0, 0)), Roi(shapely.MultiPoint([(1, 1), (2, 2)])))
    assert len(store.region(store.merge(store.region_keys())).shape.geoms) == 3
    lines = [Roi(shapely.LineString([(0, 0), (4, 4)])), Roi(shapely.LineString([(0, 4), (4, 0)]))]
    store = a_store(*lines)
    assert len(store.region(store.merge(store.region_keys())).shape.geoms) == 2


def test_what_cannot_be_merged_or_cut():
    store = a_store(box(0, 0, 4, 4), Roi(shapely.Point(1, 1)), box(0, 0, 9, 9),
                    box(0, 0, 4, 4, plane=Plane(-1, 1, 0)))  # fmt: skip
    area, point, large, other_plane = store.region_keys()
    with pytest.raises(UserError, match="two regions or more"):
        store.merge([area, area])
    with pytest.raises(UserError, match="cannot be merged with each other"):
        store.merge([area, point])
    with pytest.raises(UserError, match="several planes"):
        store.merge([area, other_plane])
    with pytest.raises(UserError, match="Nothing would be left"):
        store.subtract(area, [large])
    with pytest.raises(UserError, match="Select an area, and areas to cut"):
        store.subtract(area, [point])
    with pytest.raises(UserError, match="Select an area, and areas to cut"):
        store.subtract(area, [area])


def test_subtract_leaves_a_hole():
    store = a_store(box(0, 0, 10, 10), box(2, 2, 4, 4))
    a, b = store.region_keys()
    store.subtract(a, [b])
    assert (store.region(a).feature.roi.area(), len(store.region_keys())) == (96, 2)
    assert store.region(a).feature.roi.kind == "polygon"


def test_areas_of_union_and_difference_add_up():
    """|A and B| + |A without B| + |B without A|, for an ellipse and a rectangle."""
    a, b = ellipse(0, 0, 10, 6), rectangle(4, 1, 14, 9)
    merged, left, right = a_store(a, b), a_store(a, b), a_store(a, b)
    union = merged.region(merged.merge(merged.region_keys())).feature.roi.area()
    one, two = left.region_keys()
    left.subtract(one, [two])
    right.subtract(two, [one])
    common = a.shape.intersection(b.shape).area
    parts = left.region(one).feature.roi.area() + right.region(two).feature.roi.area()
    assert union == pytest.approx(parts + common)


# -- classes -------------------------------------------------------------------------------------


def test_renamed_and_recoloured_class_is_that_of_its_regions():
    store = a_store(box(0, 0, 4, 4))
    (key,) = store.region_keys()
    tumor = store.find_class("Tumor")
    store.set_class([key], tumor)
    store.rename_class(tumor, " Carcinoma ")
    store.recolor_class(tumor, (1, 2, 3))
    assert (store.feature(key).class_name, store.feature(key).class_color) == (
        "Carcinoma",
        (1, 2, 3),
    )
    store.undo()
    assert store.feature(key).class_color == (200, 0, 0)
    store.undo()
    assert store.feature(key).class_name == "Tumor"


def test_deleted_class_leaves_its_regions_and_comes_back_with_one_undo():
    store = a_store(box(0, 0, 4, 4))
    (key,) = store.region_keys()
    tumor = store.find_class("Tumor")
    store.set_class([key], tumor)
    store.remove_class(tumor)
    assert (store.feature(key).class_name, store.find_class("Tumor")) == ("", None)
    store.undo()
    assert store.feature(key).class_name == "Tumor"


def test_class_names_are_unique_and_not_empty():
    store = a_store()
    with pytest.raises(UserError, match="There is a class 'Tumor' already"):
        store.add_class("Tumor")
    with pytest.raises(UserError, match="There is a class 'Stroma' already"):
        store.rename_class(store.find_class("Tumor"), "Stroma")
    with pytest.raises(UserError, match="A class needs a name"):
        store.add_class("  ")
    with pytest.raises(ValueError, match="0 to 255"):
        store.add_class("x", (0, 0, 256))
    with pytest.raises(KeyError):
        store.set_class([], 999)


def test_new_classes_get_colours_that_differ():
    store = a_store()
    keys = [store.add_class(f"class {n}") for n in range(8)]
    colors = [store.region_class(key).color for key in keys]
    assert len(set(colors)) == 8
    assert next_color(colors) in colors


def test_class_list_is_carried_to_another_slide(tmp_path):
    path = tmp_path / "classes.json"
    listed = (*DEFAULT_CLASSES, RegionClass("Tumor: Positive", (1, 2, 3)))
    write_classes(listed, path)
    assert read_classes(path) == listed
    path.write_text('{"pathClasses":[{"colorRGB":-8355712},{"name":"A","colorRGB":-3670016},{"name":"A"},'
                    '{"name":"B","color":"red"},5]}')  # fmt: skip
    assert [c.name for c in read_classes(path)] == ["A", "B"]
    assert read_classes(path)[0].color == (200, 0, 0)
    path.write_text("[]")
    with pytest.raises(UserError, match="a list 'pathClasses' was due"):
        read_classes(path)


# -- import and export ---------------------------------------------------------------------------


@pytest.mark.data("interop/qupath/*")
def test_regions_of_a_file_are_written_as_they_were(data_file, tmp_path):
    """Through the store: all but a missing id, which QuPath would make up as well."""
    found = read_geojson(data_file)
    store = RegionStore()
    store.add_features(found.features)
    assert len(store.history) == 1
    out = tmp_path / "out.geojson"
    write_geojson(store.features(), out)
    again = read_geojson(out).features
    assert len({feature.id for feature in again}) == len(again)
    for before, after in zip(found.features, again, strict=True):
        assert after.roi == before.roi
        assert (after.name, after.class_name) == (before.name, before.class_name)
        assert after.id == before.id or not before.id
        assert after.measurements == before.measurements
        assert after.class_color == before.class_color or before.class_color is None


def test_shared_ids_become_different_and_children_come_along():
    child = Feature(Roi(shapely.Point(1, 1)), id="same")
    parent = Feature(box(0, 0, 4, 4), id="same", children=(child,))
    store = RegionStore()
    keys = store.add_features([parent])
    assert len(keys) == 2
    assert store.feature(keys[0]).id == "same" != store.feature(keys[1]).id
    store.undo()
    assert len(store) == 0


def test_classes_of_a_file_join_those_of_their_name():
    store = a_store()
    count = len(store.classes())
    features = [Feature(box(0, 0, 1, 1), class_name=name, class_color=(9, 9, 9))
                for name in ("Tumor", "New", "New")]  # fmt: skip
    keys = store.add_features(features)
    assert len(store.classes()) == count + 1
    assert store.feature(keys[0]).class_color == (200, 0, 0)
    assert store.feature(keys[2]).class_color == (9, 9, 9)


# -- index ---------------------------------------------------------------------------------------


def test_index_sees_outlines_not_bounds():
    triangle = Roi(shapely.Polygon([(0, 0), (10, 0), (0, 10)]))
    hole = Roi(shapely.box(20, 0, 30, 10).difference(shapely.box(24, 4, 26, 6)))
    line = Roi(shapely.LineString([(0, 20), (10, 20)]))
    store = a_store(triangle, hole, line, box(1, 1, 2, 2))
    index = RegionIndex(store)
    t, h, li, small = store.region_keys()
    assert index.under(1.5, 1.5) == [small, t]
    assert index.under(9, 9) == []
    assert index.under(25, 5) == []
    assert index.under(5, 21) == []
    assert index.under(5, 21, margin=2) == [li]
    assert index.touching(8, 8, 21, 9) == [h]
    assert index.under(30, 12, margin=2) == [h]
    store.move([t], 5, 5)
    assert index.under(9, 9) == [t]
    store.remove([t])
    assert index.under(9, 9) == []


coordinate = st.integers(0, 40)
rois = st.one_of(
    st.tuples(coordinate, coordinate, coordinate, coordinate).filter(
        lambda c: c[0] != c[2] and c[1] != c[3]
    ).map(lambda c: (rectangle if c[0] % 2 else ellipse)(*c)),
    st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6).map(
        lambda p: Roi(shapely.Polygon(p))
    ),
    st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=4).map(
        lambda p: Roi(shapely.LineString(p))
    ),
    st.tuples(coordinate, coordinate).map(lambda p: Roi(shapely.Point(p))),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(rois, max_size=8), coordinate, coordinate, st.integers(0, 3))
def test_index_finds_what_a_look_at_all_finds(listed, x, y, margin):
    store = a_store(*listed)
    expected = {
        key for key in store.region_keys()
        if store.region(key).shape.distance(shapely.Point(x, y)) <= margin
    }  # fmt: skip
    assert set(RegionIndex(store).under(x, y, margin)) == expected
    frame = shapely.box(x, y, x + 5, y + 7)
    touched = [k for k in store.region_keys() if store.region(k).shape.intersects(frame)]
    assert RegionIndex(store).touching(x, y, x + 5, y + 7) == touched


# -- any edits -----------------------------------------------------------------------------------

pick = st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)
action = st.one_of(
    st.tuples(st.just("draw"), rois, st.integers(0, 9)),
    st.tuples(st.just("move"), pick, coordinate, coordinate),
    st.tuples(st.just("reshape"), pick, rois),
    st.tuples(st.sampled_from(["remove", "merge", "subtract", "lock", "unlock"]), pick),
    st.tuples(st.just("class"), pick, st.integers(0, 9)),
    st.tuples(st.sampled_from(["add class", "rename class"]), st.text(max_size=3)),
    st.tuples(st.sampled_from(["remove class", "recolour"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["undo", "redo"])),
)


def do(store: RegionStore, step) -> None:
    """Apply an action to whatever regions it hits; what a person may not do is refused."""
    kind, *rest = step
    keys, classes = store.region_keys(), store.class_keys()
    some = [keys[i] for i in rest[0] if i < len(keys)] if rest and isinstance(rest[0], list) else []
    a_class = (
        classes[rest[-1] % len(classes)] if classes and rest and isinstance(rest[-1], int) else None
    )
    try:
        if kind == "draw":
            store.draw(rest[0], a_class)
        elif kind == "move":
            store.move(some, rest[1], rest[2])
        elif kind == "reshape" and some:
            store.reshape(some[0], rest[1])
        elif kind in ("remove", "merge"):
            getattr(store, kind)(some)
        elif kind == "subtract" and some:
            store.subtract(some[0], some[1:])
        elif kind in ("lock", "unlock"):
            store.set_locked(some, kind == "lock")
        elif kind == "class":
            store.set_class(some, a_class)
        elif kind == "add class":
            store.add_class(rest[0])
        elif kind == "rename class" and classes:
            store.rename_class(classes[0], rest[0])
        elif kind == "remove class" and a_class is not None:
            store.remove_class(a_class)
        elif kind == "recolour" and a_class is not None:
            store.recolor_class(a_class, (rest[0], 0, 0))
        elif kind in ("undo", "redo"):
            getattr(store, kind)()
    except UserError:
        pass


@settings(max_examples=80, deadline=None)
@given(st.lists(action, max_size=25))
def test_any_edits_undo_to_the_start_and_a_journal_follows(steps):
    store, mirror = a_store(), a_store()
    start = store.as_dict()
    store.edited.connect(
        lambda kind, edit: mirror.replay(
            kind, Edit.from_json(json.loads(json.dumps(edit.to_json(item_to_row))), item_from_row)
        )
    )
    for step in steps:
        do(store, step)
        assert mirror.as_dict() == store.as_dict()
        assert all(
            store.region(k).class_key in (None, *store.class_keys()) for k in store.region_keys()
        )
    end = store.as_dict()
    undone = 0
    while store.undo() is not None:
        undone += 1
    assert store.as_dict() == start
    for _ in range(undone):
        store.redo()
    assert store.as_dict() == end
    assert mirror.as_dict() == end


@pytest.mark.data("interop/qupath/*")
def test_row_of_any_feature_is_read_back(data_file):
    for feature in read_geojson(data_file).features:
        item = Region(feature, 5)
        assert item_from_row(json.loads(json.dumps(item_to_row(item)))) == item


@pytest.mark.parametrize("row", [["x"], [], ["region", 1], ["class", "a", [1]], ["region", None, ["AA==", False, [0, 0, 0], "{}"], None, "[{},{}]"]])  # fmt: skip  # noqa: E501
def test_row_that_is_none_is_refused(row):
    with pytest.raises((ValueError, TypeError)):
        item_from_row(row)
