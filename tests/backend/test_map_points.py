"""The places of a map: what is in a rectangle, in a lasso, nearest, against asking every row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medssl.backend.map_points import PointGrid
from napari_medssl.backend.map_view import MapView

# Few different values, so that places lie on sides and corners and upon each other.
coordinates = st.one_of(
    st.sampled_from([-2.0, -1.0, 0.0, 0.25, 0.5, 1.0, 3.0, np.nan, np.inf]),
    st.floats(-4, 4, width=32),
)
places = st.integers(0, 60).flatmap(lambda n: hnp.arrays(np.float32, (n, 2), elements=coordinates))
corners = st.integers(0, 9).flatmap(
    lambda n: hnp.arrays(
        np.float64,
        (n, 2),
        elements=st.one_of(st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0]), st.floats(-6, 6)),
    )
)


def asked_one_by_one(xy, polygon):
    """Count for each place how often a ray to the right crosses the outline."""
    inside = []
    for row, (x, y) in enumerate(xy.astype(float)):
        crossings = 0
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if (y0 <= y) != (y1 <= y):
                crossings += x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        if np.isfinite([x, y]).all() and crossings % 2:
            inside.append(row)
    return inside


@settings(max_examples=300, deadline=None)
@given(places, corners)
def test_a_lasso_holds_what_a_ray_says(xy, polygon):
    expected = asked_one_by_one(xy, polygon) if len(polygon) > 2 else []
    assert PointGrid(xy).in_polygon(polygon).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(places, st.tuples(*[st.floats(-6, 6)] * 4))
def test_a_rectangle_holds_its_sides_too(xy, sides):
    x0, y0, x1, y1 = sides
    low, high = np.minimum((x0, y0), (x1, y1)), np.maximum((x0, y0), (x1, y1))
    expected = np.flatnonzero(((xy >= low) & (xy <= high)).all(axis=1))
    np.testing.assert_array_equal(PointGrid(xy).in_rectangle(*sides), expected)


@settings(max_examples=200, deadline=None)
@given(places, st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 3))
def test_the_nearest_row_is_the_first_of_the_nearest(xy, x, y, radius):
    away = np.hypot(xy[:, 0].astype(float) - x, xy[:, 1].astype(float) - y)
    away[~np.isfinite(xy).all(axis=1)] = np.inf
    near = np.flatnonzero((away <= radius) & (away == away.min(initial=np.inf)))
    assert PointGrid(xy).nearest(x, y, radius) == (near[0] if len(near) else None)


def many(count=20_000, seed=1):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, 2)) * 5
    return (centres[rng.integers(0, 6, count)] + rng.normal(size=(count, 2))).astype(np.float32)


def crossed(xy, polygon):
    """The same as `asked_one_by_one`, for many places."""
    x, y = xy.astype(float).T
    odd = np.zeros(len(xy), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return np.flatnonzero(odd)


@pytest.mark.parametrize("seed", range(8))
def test_a_scribble_over_many_cells_follows_the_even_odd_rule(seed):
    xy = many(seed=seed)
    scribble = np.random.default_rng(seed).normal(size=(40, 2)) * 6
    np.testing.assert_array_equal(PointGrid(xy).in_polygon(scribble), crossed(xy, scribble))


def test_what_a_lasso_goes_around_twice_is_outside():
    circle = np.stack([f(np.linspace(0, 4 * np.pi, 80, endpoint=False)) for f in (np.cos, np.sin)])
    radius = np.repeat([2.0, 1.0], 40)
    found = PointGrid([[0.0, 0.0], [1.5, 0.1], [3.0, 0.0]]).in_polygon((circle * radius).T)
    assert found.tolist() == [1]


def test_a_lasso_around_all_holds_all_but_those_without_a_place():
    xy = many()
    xy[::7] = np.nan
    found = PointGrid(xy).in_polygon([(-99, -99), (99, -99), (99, 99), (-99, 99)])
    np.testing.assert_array_equal(found, np.flatnonzero(np.isfinite(xy[:, 0])))


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e30])
def test_any_scale_gives_the_same_rows(factor):
    xy = many(3000).astype(np.float64)
    lasso = np.array([(-4, -3), (5, -2), (6, 6), (0, 1), (-5, 7)], float)
    scaled = (xy * factor).astype(np.float32)
    found = PointGrid(scaled).in_polygon(lasso * factor)
    np.testing.assert_array_equal(found, crossed(scaled, lasso * factor))
    assert len(found)


def test_a_lasso_far_larger_than_the_map_is_told_exactly():
    xy = many(500)
    lasso = np.array([(-1e30, -1e30), (1e30, -1e30), (0.0, 1e30)])
    np.testing.assert_array_equal(PointGrid(xy).in_polygon(lasso), crossed(xy, lasso))


def test_rows_upon_each_other_are_all_chosen_and_the_first_is_nearest():
    grid = PointGrid(np.full((1000, 2), 3.5))
    assert len(grid.in_polygon([(3, 3), (4, 3), (4, 4), (3, 4)])) == 1000
    assert len(grid.in_rectangle(3.5, 3.5, 3.5, 3.5)) == 1000
    assert grid.nearest(3.4, 3.5, 0.2) == 0


def test_a_map_of_no_rows_holds_nothing():
    for grid in (PointGrid(np.empty((0, 2))), PointGrid(np.full((5, 2), np.nan))):
        assert grid.in_polygon([(0, 0), (1, 0), (0, 1)]).tolist() == []
        assert grid.in_rectangle(-1, -1, 1, 1).tolist() == []
        assert grid.nearest(0, 0, 9) is None
        assert grid.visible(MapView(0, 0, 1, 100, 100)).tolist() == []


def test_only_some_rows_may_count_for_the_nearest():
    grid = PointGrid([(0, 0), (1, 0), (5, 0)])
    assert grid.nearest(0.1, 0, 3) == 0
    assert grid.nearest(0.1, 0, 3, np.array([False, True, True])) == 1
    assert grid.nearest(0.1, 0, 3, np.array([False, False, True])) is None


def test_a_view_shows_the_rows_in_its_bounds():
    xy = many(5000)
    view = MapView(1.0, -2.0, 50.0, 200, 100)
    x0, y0, x1, y1 = view.bounds
    assert (x0, y0, x1, y1) == (-1.0, -3.0, 3.0, -1.0)
    np.testing.assert_array_equal(
        PointGrid(xy).visible(view), PointGrid(xy).in_rectangle(*view.bounds)
    )


def test_spacing_is_about_the_distance_of_rows_evenly_spread():
    steps = np.arange(200) * 0.5
    xy = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    assert PointGrid(xy).spacing == pytest.approx(0.5, rel=0.05)


def test_places_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"places have shape \(3,\), must be \(N, 2\)"):
        PointGrid(np.zeros(3))
