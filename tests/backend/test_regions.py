"""Regions counted, measured and drawn."""

from __future__ import annotations

import csv
import itertools
import json
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import class_mask
from napari_medssl.backend.class_mask import fill
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.regions import RegionsConfig, convert_regions, count_classes
from napari_medssl.io.geojson import Feature, Roi, read_geojson, write_geojson
from napari_medssl.io.geojson.feature import ellipse, rectangle


def inside_slowly(shape, size, downsample):
    """Which pixel centres lie inside, one by one, by the even-odd rule over all rings."""
    mask = np.zeros(size, dtype=bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y = (column + 0.5) * downsample, (row + 0.5) * downsample
            for ring in shapely.get_rings(shapely.get_parts(shape)):
                xy = shapely.get_coordinates(ring)
                for (x0, y0), (x1, y1) in itertools.pairwise(xy):
                    if (y0 <= y) != (y1 <= y) and x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                        mask[row, column] ^= True
    return mask


def drawn(shape, size, downsample=1.0):
    mask = np.zeros(size, dtype=np.uint8)
    fill(mask, shape, 1, downsample)
    return mask.astype(bool)


corner = st.tuples(st.integers(-5, 25), st.integers(-5, 25))
ring = st.lists(corner, min_size=3, max_size=7)


@settings(max_examples=100, deadline=None)
@given(st.lists(ring, min_size=1, max_size=3), st.sampled_from([1.0, 2.0, 3.7]))
def test_fill_agrees_with_a_look_at_each_pixel(rings, downsample):
    """Any rings, holes outside and outlines that cross included."""
    shape = shapely.Polygon(rings[0], rings[1:])
    expected = inside_slowly(shape, (9, 11), downsample)
    assert (drawn(shape, (9, 11), downsample) == expected).all()


@pytest.mark.parametrize("seed", range(5))
def test_fill_agrees_with_geos_on_round_shapes(seed):
    rng = np.random.default_rng(seed)
    discs = [shapely.Point(*rng.uniform(0, 60, 2)).buffer(rng.uniform(3, 25)) for _ in range(4)]
    shape = shapely.union_all(discs).difference(shapely.Point(30, 30).buffer(6))
    x, y = np.meshgrid(np.arange(60) + 0.5, np.arange(50) + 0.5)
    assert (drawn(shape, (50, 60)) == shapely.contains_xy(shape, x, y)).all()


def test_bands_and_blocks_change_nothing(monkeypatch):
    shape = shapely.Point(100, 100).buffer(90).difference(shapely.box(50, 50, 90, 120))
    whole = drawn(shape, (200, 200))
    monkeypatch.setattr(class_mask, "_BAND_PIXELS", 1000)
    monkeypatch.setattr(class_mask, "_CROSSINGS", 7)
    assert (drawn(shape, (200, 200)) == whole).all()


def test_neighbours_share_no_pixel_and_leave_no_gap():
    mask = np.zeros((10, 10), dtype=np.uint8)
    left, right = shapely.box(0, 0, 4.5, 10), shapely.box(4.5, 0, 10, 10)
    assert (drawn(left, mask.shape) ^ drawn(right, mask.shape)).all()


def test_what_lies_outside_is_left_out():
    assert not drawn(shapely.box(-9, -9, -1, -1), (5, 5)).any()
    assert not drawn(shapely.box(2e9, 0, 2.1e9, 5), (5, 5)).any()
    assert drawn(shapely.box(-2e9, -2e9, 2e9, 2e9), (5, 5)).all()
    assert not drawn(shapely.Point(1, 1), (5, 5)).any()


# -- verb ----------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    features = [
        Feature(rectangle(0, 0, 20, 10), class_name="Tumor", class_color=(200, 0, 0)),
        Feature(rectangle(2, 2, 6, 6), class_name="Stroma"),
        Feature(ellipse(10, 0, 20, 10), class_name="Tumor"),
        Feature(Roi(shapely.LineString([(0, 0), (9, 9)])), class_name="Tumor"),
        Feature(rectangle(0, 20, 4, 24)),
    ]
    write_geojson(features, tmp_path / "in.geojson")
    return tmp_path / "in.geojson"


def test_table_has_counts_and_areas(source, tmp_path):
    report = convert_regions(source, tmp_path / "o.csv", RegionsConfig("csv", mpp=0.5))
    with (tmp_path / "o.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["class"], r["count"]) for r in rows] == [("Stroma", "1"), ("Tumor", "3"), ("", "1")]
    assert float(rows[1]["area_px"]) == pytest.approx(200 + 25 * math.pi)
    assert float(rows[1]["area_mm2"]) == pytest.approx((200 + 25 * math.pi) * 0.25e-6, rel=1e-5)
    assert [total.count for total in report.totals] == [1, 3, 1]
    convert_regions(source, tmp_path / "o.csv", RegionsConfig("csv"))
    with (tmp_path / "o.csv").open(newline="") as stream:
        assert {row["area_mm2"] for row in csv.DictReader(stream)} == {""}


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_mask_has_class_numbers_and_a_legend(source, tmp_path, name):
    config = RegionsConfig("mask", downsample=2)
    report = convert_regions(source, tmp_path / name, config)
    assert report.notes == ("in.geojson: 1 lines and points are not in the mask",)
    legend = json.loads((tmp_path / "m.json").read_text())
    assert legend["classes"] == [
        {"value": 1, "name": "Stroma", "color": None},
        {"value": 2, "name": "Tumor", "color": [200, 0, 0]},
        {"value": 3, "name": "", "color": None},
    ]
    with Image.open(tmp_path / name) as picture:
        mask = np.asarray(picture)
    assert mask.shape == (legend["height"], legend["width"]) == (12, 10)
    expected = np.zeros((12, 10), dtype=np.uint8)
    expected[:5] = 2
    expected[1:3, 1:3] = 1  # the smaller one is on top
    expected[10:12, 0:2] = 3
    assert (mask == expected).all()


def test_more_than_255_classes_fit(tmp_path):
    features = [
        Feature(rectangle(4 * n, 0, 4 * n + 4, 4), class_name=f"{n:03}") for n in range(300)
    ]
    write_geojson(features, tmp_path / "in.geojson")
    for name in ("m.png", "m.tif"):
        convert_regions(
            tmp_path / "in.geojson", tmp_path / name, RegionsConfig("mask", downsample=4)
        )
        with Image.open(tmp_path / name) as picture:
            assert np.asarray(picture).ravel().tolist() == list(range(1, 301))


@pytest.mark.data("slides/CMU-1-Small-Region.svs")
def test_slide_tells_size_and_mpp(source, tmp_path, data_file):
    config = RegionsConfig("mask", slide=data_file, downsample=8)
    report = convert_regions(source, tmp_path / "m.png", config)
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.size == (math.ceil(2220 / 8), math.ceil(2967 / 8))
    assert report.totals[0].area_mm2 == pytest.approx(16 * 0.499**2 / 1e6)


@pytest.mark.data("interop/qupath/*")
def test_every_qupath_file_is_counted_and_kept(data_file, tmp_path):
    report = convert_regions(data_file, tmp_path / "o.geojson", RegionsConfig("geojson"))
    found = read_geojson(data_file).features
    assert sum(total.count for total in report.totals) == len(found)
    again = read_geojson(tmp_path / "o.geojson").features
    assert [(f.roi, f.class_name, f.measurements) for f in again] == [
        (f.roi, f.class_name, f.measurements) for f in found
    ]


def test_too_large_a_mask_is_refused_with_what_to_give(tmp_path):
    write_geojson([Feature(rectangle(0, 0, 200_000, 100_000))], tmp_path / "in.geojson")
    with pytest.raises(UserError, match=r"200000 x 100000 pixels.*Give --downsample 10 or more"):
        convert_regions(
            tmp_path / "in.geojson", tmp_path / "m.png", RegionsConfig("mask", downsample=1)
        )
    with pytest.raises(UserError, match=r"ends in \.png, \.tif or \.tiff is due"):
        convert_regions(tmp_path / "in.geojson", tmp_path / "m.jpg", RegionsConfig("mask"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.geojson"]


def test_stopped_drawing_writes_nothing(source, tmp_path):
    with pytest.raises(Cancelled):
        convert_regions(source, tmp_path / "m.png", RegionsConfig("mask"), should_stop=lambda: True)
    assert not (tmp_path / "m.png").exists()


def test_no_regions_have_no_totals():
    assert count_classes([]) == ()
