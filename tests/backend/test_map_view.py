"""Pixels to places and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medssl.backend.map_view import MapView, bounds_of, fitting_view

views = st.builds(
    MapView,
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 1e3),
    st.integers(1, 2000),
    st.integers(1, 2000),
)
pixel = st.floats(0, 2000)


@given(views, pixel, pixel)
def test_a_pixel_goes_to_a_place_and_back(view, x, y):
    np.testing.assert_allclose(view.to_screen(view.to_plane(x, y)), (x, y), atol=1e-6)


@given(views, st.floats(0.1, 10), pixel, pixel)
def test_zooming_keeps_the_place_at_the_mouse(view, factor, x, y):
    zoomed = view.zoomed(factor, x, y)
    assert zoomed.scale == view.scale * factor
    np.testing.assert_allclose(zoomed.to_plane(x, y), view.to_plane(x, y), atol=1e-6 / 0.1 * 10)


@given(views, pixel, pixel)
def test_dragging_takes_the_place_along(view, dx, dy):
    place = view.to_plane(10, 20)
    np.testing.assert_allclose(view.dragged(dx, dy).to_screen(place), (10 + dx, 20 + dy), atol=1e-6)


def test_the_plane_points_up():
    view = MapView(0, 0, 10, 100, 100)
    assert view.to_screen((0, 1)).tolist() == [50, 40]
    assert view.to_plane(50, 40) == (0, 1)


@given(views, st.sampled_from([1.0, 1.5, 2.0]))
def test_a_finer_screen_shows_the_same(view, ratio):
    np.testing.assert_allclose(view.magnified(ratio).bounds, view.bounds, atol=1e-6)
    assert view.widened(5).shows(view.bounds)


def test_a_fitting_view_shows_all_with_a_margin():
    view = fitting_view((-3, 2, 7, 4), 648, 480, margin=24)
    assert view.shows((-3, 2, 7, 4))
    assert view.scale == pytest.approx(60)
    assert (view.x, view.y) == (2, 3)


def test_a_single_place_is_in_the_middle_of_its_view():
    view = fitting_view((5, 5, 5, 5), 200, 100, margin=0)
    assert view == MapView(5, 5, 100, 200, 100)


def test_bounds_know_only_finite_places():
    assert bounds_of(np.array([(1, 2), (np.nan, 9), (3, -4), (np.inf, 0)], np.float32)) == (
        1, -4, 3, 2,
    )  # fmt: skip
    assert bounds_of(np.empty((0, 2), np.float32)) == (0, 0, 1, 1)
