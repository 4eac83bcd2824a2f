"""Regions become shapes of napari and come back the same."""

import numpy as np
import pytest
import shapely

from napari_medssl.io.geojson.feature import Roi, ellipse, rectangle
from napari_medssl.widgets.slides.region_parts import Part, drawn_roi, parts_of, roi_of_parts

RING = [(0, 0), (50, 0), (60, 40), (10, 30)]
HOLE = [(10, 5), (20, 5), (20, 15)]
POLYGON = shapely.Polygon(RING, [HOLE])
SHAPES = [
    rectangle(1, 2, 30, 40),
    ellipse(5, 6, 70, 80),
    Roi(POLYGON),
    Roi(shapely.MultiPolygon([POLYGON, shapely.box(100, 100, 120, 130)])),
    Roi(shapely.LineString([(0, 0), (10, 20), (30, 5)])),
    Roi(shapely.MultiLineString([[(0, 0), (10, 20)], [(3, 3), (9, 4)]])),
    Roi(shapely.Point(12.5, 30)),
    Roi(shapely.MultiPoint([(1, 2), (30, 40)])),
    Roi(shapely.GeometryCollection([POLYGON, shapely.Point(80, 80)])),
]


@pytest.mark.parametrize("roi", SHAPES, ids=[roi.shape.geom_type + roi.kind for roi in SHAPES])
def test_nothing_changes_on_the_way(roi):
    back = roi_of_parts(roi, parts_of(roi, 3.0))
    assert back is not None
    assert back.kind == roi.kind
    assert shapely.equals_exact(shapely.normalize(back.shape), shapely.normalize(roi.shape), 1e-9)


def test_a_pixel_has_its_centre_at_whole_coordinates():
    (part,) = parts_of(rectangle(10, 20, 11, 21), 1.0)
    assert part.kind == "rectangle"
    assert part.vertices.mean(axis=0) == pytest.approx((20, 10))


def test_moving_a_ring_moves_it_alone():
    parts = parts_of(Roi(POLYGON), 1.0)
    assert [(part.piece, part.ring) for part in parts] == [(0, 0), (0, 1)]
    moved = Part("polygon", parts[1].vertices + np.array([2, 3]), 0, 1)
    shape = roi_of_parts(Roi(POLYGON), [parts[0], moved]).shape
    assert shape.interiors[0].bounds == (13, 7, 23, 17)
    assert shape.exterior.bounds == POLYGON.exterior.bounds


def test_deleting_rings():
    outline, hole = parts_of(Roi(POLYGON), 1.0)
    assert not roi_of_parts(Roi(POLYGON), [outline]).shape.interiors
    assert roi_of_parts(Roi(POLYGON), [hole]) is None
    assert roi_of_parts(Roi(POLYGON), []) is None


def test_a_turned_rectangle_becomes_a_polygon():
    corners = np.array([(0, 0), (4, 3), (1, 7), (-3, 4)], float)
    roi = drawn_roi("rectangle", corners)
    assert roi.kind == "polygon"
    assert roi.shape.area == pytest.approx(25)
    turned = drawn_roi("ellipse", corners)
    assert turned.kind == "polygon"
    assert turned.shape.area == pytest.approx(25 * np.pi / 4, rel=0.01)


def test_an_outline_that_crosses_itself_is_mended():
    bow = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float)
    roi = drawn_roi("polygon", bow)
    assert roi.shape.is_valid
    assert roi.shape.area == pytest.approx(50)


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "polygon", "path", "line"])
def test_what_has_no_extent_is_no_region(kind):
    assert drawn_roi(kind, np.full((4, 2), 7.0)) is None
