"""The spatial index against plain loops."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.spatial import SpatialIndex

place = st.integers(0, 40)
boxes = st.lists(st.builds(Box, place, place, place, place), max_size=12)


def under_slowly(store: BoxStore, x: float, y: float) -> list[int]:
    hits = [k for k in store if store[k].x0 <= x < store[k].x1 and store[k].y0 <= y < store[k].y1]
    return sorted(hits, key=lambda k: (store[k].area, k))


def touching_slowly(store: BoxStore, r: Box) -> list[int]:
    hits = []
    for key in store:
        b = store[key]
        if min(b.x1, r.x1) > max(b.x0, r.x0) and min(b.y1, r.y1) > max(b.y0, r.y0):
            hits.append(key)
    return hits


@settings(deadline=None)
@given(boxes, place, place)
def test_under_agrees_with_a_plain_loop(items, x, y):
    store = BoxStore(40, 40, items)
    assert SpatialIndex(store).under(x, y) == under_slowly(store, x, y)


@settings(deadline=None)
@given(boxes, place, place, st.integers(1, 20), st.integers(1, 20))
def test_touching_agrees_with_a_plain_loop(items, x, y, width, height):
    store = BoxStore(40, 40, items)
    rectangle = Box(x, y, x + width, y + height)
    index = SpatialIndex(store)
    assert index.touching(x, y, x + width, y + height) == touching_slowly(store, rectangle)


def test_index_follows_the_store():
    store = BoxStore(40, 40, [Box(0, 0, 40, 40)])
    index = SpatialIndex(store)
    (small,) = store.add(Box(5, 5, 10, 10))
    assert index.under(6, 6) == [small, 1]
    store.undo()
    assert index.under(6, 6) == [1]


def test_margin_reaches_outside():
    store = BoxStore(40, 40, [Box(10, 10, 20, 20)])
    assert SpatialIndex(store).under(8, 15, margin=3) == [1]
    assert SpatialIndex(store).under(8, 15) == []
