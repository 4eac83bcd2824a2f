"""Outlines along the edges of pixels are the objects, to the last pixel."""

import numpy as np
import pytest
import shapely
from scipy import ndimage

from napari_medssl.io.class_polygons import joined, object_shapes

CORNERS_TOO = np.ones((3, 3))


def rasterized(shape, size):
    """The pixels whose centres lie in a shape."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return shapely.contains_xy(shape, x.ravel(), y.ravel()).reshape(size)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.7, 1.0])
def test_every_object_has_a_valid_shape_of_exactly_its_pixels(part):
    rng = np.random.default_rng(round(10 * part))
    for _ in range(80):
        inside = rng.random(rng.integers(1, 15, 2)) < part
        shapes = object_shapes(inside)
        labels, count = ndimage.label(inside, CORNERS_TOO)
        assert len(shapes) == count
        for number, shape in enumerate(shapes, start=1):
            assert shape.is_valid, shapely.is_valid_reason(shape)
            assert shape.area == (labels == number).sum()
            assert (rasterized(shape, inside.shape) == (labels == number)).all()
        if count:
            whole = joined(shapes)
            assert whole.is_valid
            assert (rasterized(whole, inside.shape) == inside).all()


def test_a_block_with_a_hole_is_two_rings_of_four_corners():
    inside = np.zeros((9, 12), bool)
    inside[2:7, 3:10] = True
    inside[4, 5:8] = False
    (shape,) = object_shapes(inside)
    assert shape.bounds == (3, 2, 10, 7)
    assert [len(ring.coords) for ring in (shape.exterior, *shape.interiors)] == [5, 5]
    assert shape.area == 35 - 3


def test_a_ring_that_closes_at_a_corner_is_a_polygon_with_a_hole_that_touches_it():
    inside = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    (shape,) = object_shapes(inside)
    assert shape.geom_type == "Polygon"
    assert shape.is_valid
    assert len(shape.interiors) == 1
    assert shape.area == 7


def test_what_touches_at_a_corner_is_one_object_of_two_polygons():
    (shape,) = object_shapes(np.eye(2, dtype=bool))
    assert shape.geom_type == "MultiPolygon"
    assert [part.bounds for part in shape.geoms] == [(0, 0, 1, 1), (1, 1, 2, 2)]


def test_nothing_has_no_shape():
    assert object_shapes(np.zeros((4, 5), bool)) == []
