"""GeoJSON of QuPath: every real file comes back as it was, and hostile ones give a line each."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.geojson import (
    Feature,
    FeatureFile,
    Plane,
    Roi,
    flatten,
    read_geojson,
    write_geojson,
)
from napari_medssl.io.geojson.feature import ellipse, rectangle

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}


def read(tmp_path, content, name="in.geojson"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_geojson(path)


def one(tmp_path, properties=None, geometry=SQUARE, **members):
    """Return the feature of a file with one, and what is told of it."""
    item = {"type": "Feature", "geometry": geometry, "properties": properties, **members}
    found = read(tmp_path, item)
    assert not found.failures
    return found.features[0], found.notes


def written(tmp_path, feature):
    write_geojson([feature], tmp_path / "out.geojson")
    return json.loads((tmp_path / "out.geojson").read_text())["features"][0]


# -- files of other tools ------------------------------------------------------------------------

# What each file of the development data holds: form, features by kind, features with a class.
QUPATH = {
    "coscia_03012023_JN.geojson": ("collection", {"point": 3, "ellipse": 1, "polygon": 2}, 3),
    "coscia_cellpose_detections.geojson": ("collection", {"rectangle": 1, "polygon": 217,
                                                          "point": 3}, 0),
    "coscia_objects.geojson": ("collection", {"ellipse": 2}, 1),
    "coscia_single_cells_measurements.geojson": ("collection", {"rectangle": 1, "polygon": 121,
                                                                "ellipse": 6, "point": 3}, 128),
    "handmade_test_missing_classification.geojson": ("collection", {"rectangle": 2}, 1),
    "handmade_test_point.geojson": ("collection", {"rectangle": 1, "point": 1}, 2),
    "histoqc_v02_bare_array.json": ("array", {"polygon": 2}, 2),
    "large_image_not_qupath_sample.geojson": ("collection", {"polygon": 10}, 0),
    "qupath_core_polygon_geometry.geojson": ("geometry", {"polygon": 1}, 0),
    "wsidicom_qupath-line.json": ("feature", {"line": 1}, 0),
    "wsidicom_qupath-multipoint.json": ("feature", {"point": 1}, 0),
    "wsidicom_qupath-point.json": ("feature", {"point": 1}, 0),
    "wsidicom_qupath-polyline.json": ("feature", {"line": 1}, 0),
    "wsidicom_qupath-rectangle.json": ("feature", {"rectangle": 1}, 0),
}  # fmt: skip


@pytest.mark.data("interop/qupath/*")
def test_file_of_qupath_is_understood_and_written_as_it_was(data_file, tmp_path):
    found = read_geojson(data_file)
    assert found.failures == ()
    kinds: dict[str, int] = {}
    for feature in found.features:
        kinds[feature.roi.kind] = kinds.get(feature.roi.kind, 0) + 1
    classes = sum(bool(feature.class_name) for feature in found.features)
    assert (found.form, kinds, classes) == QUPATH[data_file.name]
    out = tmp_path / data_file.name
    write_geojson(found.features, out, like=found)
    assert json.loads(out.read_text()) == json.loads(data_file.read_text())
    assert read_geojson(out) == found


@pytest.mark.data("interop/MANIFEST.csv")
def test_every_qupath_file_of_the_manifest_is_in_the_table(data_file):
    with data_file.open(newline="") as stream:
        files = [row["file"] for row in csv.DictReader(stream)]
    assert {f.split("/")[1] for f in files if f.startswith("qupath/")} == set(QUPATH)


@pytest.mark.data("interop/qupath/coscia_single_cells_measurements.geojson")
def test_measured_circularity_of_cells_is_that_of_their_outlines(data_file):
    """QuPath measured these cells at another pixel size; circularity has no unit."""
    cells = [f for f in read_geojson(data_file).features if "Cell: Area" in f.measurements]
    assert len(cells) == 121
    for cell in cells:
        ours = 4 * math.pi * cell.roi.area() / cell.roi.length() ** 2
        assert ours == pytest.approx(cell.measurements["Cell: Circularity"], rel=0.025)


# -- members -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classification", "name", "color"),
    [
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor", (200, 0, 0)),
        ({"name": "Tumor", "colorRGB": -3670016}, "Tumor", (200, 0, 0)),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "Tumor: Positive", (1, 2, 3)),
        ({"name": "Tumor"}, "Tumor", None),
        ("Tumor", "Tumor", None),
        (None, "", None),
    ],
)
def test_classes_of_every_version_are_read_and_kept_as_they_were(
    tmp_path, classification, name, color
):
    feature, notes = one(tmp_path, {"classification": classification})
    assert (feature.class_name, feature.class_color) == (name, color)
    assert notes == ()
    assert written(tmp_path, feature)["properties"]["classification"] == classification


def test_changed_class_is_written_as_qupath_writes_it_now(tmp_path):
    feature, _ = one(tmp_path, {"classification": {"name": "A", "colorRGB": -1, "x": 5}})
    changed = replace(feature, class_name="B", class_color=(1, 2, 3))
    expected = {"name": "B", "color": [1, 2, 3], "x": 5}
    assert written(tmp_path, changed)["properties"] == {"classification": expected}
    derived = replace(feature, class_name="B: C")
    assert written(tmp_path, derived)["properties"]["classification"]["names"] == ["B", "C"]
    assert written(tmp_path, replace(feature, class_name=""))["properties"] == {}
    recoloured = replace(feature, class_color=(9, 9, 9))
    assert written(tmp_path, recoloured)["properties"]["classification"]["color"] == [9, 9, 9]


@pytest.mark.parametrize(
    "measurements",
    [{"Area": 2.5, "n": 3}, [{"name": "Area", "value": 2.5}, {"name": "n", "value": 3}]],
)  # fmt: skip
def test_measurements_of_both_forms(tmp_path, measurements):
    feature, notes = one(tmp_path, {"measurements": measurements})
    assert feature.measurements == {"Area": 2.5, "n": 3}
    assert notes == ()
    assert written(tmp_path, feature)["properties"]["measurements"] == measurements
    changed = replace(feature, measurements={"Area": 1.0})
    assert written(tmp_path, changed)["properties"]["measurements"] == {"Area": 1.0}


def test_measurement_that_is_not_a_number_is_kept(tmp_path):
    """QuPath writes NaN for what it could not measure, and reads it back."""
    feature, _ = one(tmp_path, {"measurements": {"Hue": math.nan, "n": math.inf}})
    again = read(tmp_path, json.dumps(written(tmp_path, feature)))
    assert math.isnan(again.features[0].measurements["Hue"])
    assert again.features == (feature,)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"properties": {"objectType": "cell"}}, "cell"),
        ({"properties": {"object_type": "tile"}}, "tile"),
        ({"properties": {"type": "detection"}}, "detection"),
        ({"id": "PathDetectionObject", "properties": {}}, "detection"),
        ({"id": "TMACoreObject", "properties": {"isMissing": True}}, "tmaCore"),
        ({"properties": {}}, "annotation"),
    ],
)
def test_object_types_of_every_version(tmp_path, members, kind):
    feature, _ = one(tmp_path, **members)
    assert feature.object_type == kind
    assert feature.id == ""
    kept = written(tmp_path, feature)
    assert {key: kept[key] for key in members} == members


def test_new_id_in_place_of_a_legacy_one_keeps_the_type(tmp_path):
    feature, _ = one(tmp_path, {}, id="PathDetectionObject")
    kept = written(tmp_path, replace(feature, id="f0"))
    assert (kept["id"], kept["properties"]["objectType"]) == ("f0", "detection")


def test_cell_with_nucleus_plane_children_and_what_we_do_not_know(tmp_path):
    child = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]},
             "properties": {"objectType": "detection", "name": "c"}}  # fmt: skip
    geometry = {**SQUARE, "plane": {"c": -1, "z": 4, "t": 2}, "isEllipse": True, "bbox": [0]}
    properties = {
        "objectType": "cell", "name": "n", "isLocked": True, "isMissing": False,
        "color": [1, 2, 3], "metadata": {"k": "v"}, "childObjects": [child], "mine": {"a": [1]},
    }  # fmt: skip
    feature, notes = one(tmp_path, properties, geometry, id=7, nucleusGeometry=SQUARE, odd=None)
    assert notes == ()
    assert feature.roi.plane == Plane(-1, 4, 2)
    assert feature.roi.kind == "ellipse"
    assert feature.nucleus is not None
    assert feature.nucleus.kind == "rectangle"
    assert (feature.color, feature.is_locked, feature.metadata) == ((1, 2, 3), True, {"k": "v"})
    assert [f.name for f in flatten([feature])] == ["n", "c"]
    item = {"type": "Feature", "geometry": geometry, "properties": properties, "id": 7,
            "nucleusGeometry": SQUARE, "odd": None}  # fmt: skip
    assert written(tmp_path, feature) == item
    moved = replace(feature, roi=replace(feature.roi, plane=Plane(1, 0, 0), is_ellipse=False))
    expected = {**SQUARE, "bbox": [0], "plane": {"c": 1, "z": 0, "t": 0}}
    assert written(tmp_path, moved)["geometry"] == expected


def test_feature_made_here_is_written_as_qupath_writes_it(tmp_path):
    roi = Roi(shapely.Polygon([(0, 0), (4, 0), (4, 3.25)]))
    feature = Feature(
        roi, id="f00", name="n", class_name="T", class_color=(1, 2, 3), is_locked=True
    )
    assert written(tmp_path, feature) == {
        "type": "Feature",
        "id": "f00",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 3.25], [0, 0]]]},
        "properties": {
            "objectType": "annotation",
            "name": "n",
            "classification": {"name": "T", "color": [1, 2, 3]},
            "isLocked": True,
        },
    }
    assert '"coordinates":[[[0,0],[4,0]' in (tmp_path / "out.geojson").read_text()


# -- geometry ------------------------------------------------------------------------------------


def test_areas_and_lengths():
    assert rectangle(10, 10, 0, 5).area() == 50
    assert rectangle(0, 0, 10, 5).area((0.5, 2.0)) == 50
    assert rectangle(0, 0, 10, 5).length((0.5, 2.0)) == pytest.approx(2 * 5 + 2 * 10)
    circle = ellipse(-1, -1, 1, 1)
    assert circle.shape.bounds == (-1, -1, 1, 1)
    assert circle.area() == pytest.approx(math.pi)
    assert circle.length() == pytest.approx(2 * math.pi)
    # A long ellipse against a fine polygon along it.
    fine = shapely.affinity.scale(shapely.Point(0, 0).buffer(1, quad_segs=20000), 30, 2)
    assert ellipse(-30, -2, 30, 2).length() == pytest.approx(fine.length, rel=1e-6)
    holed = Roi(shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 4, 4)))
    assert (holed.area(), holed.length(), holed.kind) == (96, 48, "polygon")
    assert Roi(shapely.LineString([(0, 0), (3, 4)])).length((2, 2)) == 10


number = st.integers(-(2**31), 2**31) | st.floats(-(2.0**31), 2.0**31)
position = st.tuples(number, number).map(list)
ring = st.lists(position, min_size=3, max_size=6).map(lambda ps: [*ps, ps[0]])
line = st.lists(position, min_size=2, max_size=5)
polygon = st.lists(ring, min_size=1, max_size=3)
many = {"min_size": 1, "max_size": 3}
geometry = st.one_of(
    st.tuples(st.just("Point"), position),
    st.tuples(st.just("MultiPoint"), st.lists(position, **many)),
    st.tuples(st.just("LineString"), line),
    st.tuples(st.just("MultiLineString"), st.lists(line, **many)),
    st.tuples(st.just("Polygon"), polygon),
    st.tuples(st.just("MultiPolygon"), st.lists(polygon, **many)),
).map(lambda pair: {"type": pair[0], "coordinates": pair[1]})
value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
known = st.fixed_dictionaries(
    {},
    optional={
        "objectType": st.sampled_from(["annotation", "detection", "cell", "odd"]) | value,
        "name": st.text(max_size=5) | value,
        "classification": st.fixed_dictionaries(
            {}, optional={"name": st.text(max_size=4), "names": st.lists(st.text(max_size=3)),
                          "color": st.lists(st.integers(-1, 256), min_size=3, max_size=3),
                          "colorRGB": st.integers(-(2**33), 2**33)}) | value,
        "color": st.lists(st.integers(0, 255), min_size=3, max_size=3) | value,
        "isLocked": value,
        "measurements": st.dictionaries(st.text(max_size=4), st.floats(allow_nan=False)) | value,
        "metadata": st.dictionaries(st.text(max_size=4), st.text(max_size=4)) | value,
    },
)  # fmt: skip
properties = st.tuples(st.dictionaries(st.text(max_size=5), value, max_size=3), known).map(
    lambda pair: {k: v for k, v in (pair[0] | pair[1]).items() if k not in ("children",)}
)
feature = st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": geometry},
    optional={"id": value, "properties": st.none() | properties, "nucleusGeometry": geometry},
)


@settings(max_examples=150, deadline=None)
@given(items=st.lists(feature, max_size=4), form=st.sampled_from(["collection", "array"]))
def test_any_features_are_written_as_they_were(tmp_path_factory, items, form):
    folder = tmp_path_factory.mktemp("geojson")
    content = items if form == "array" else {"type": "FeatureCollection", "features": items}
    found = read(folder, content)
    assert found.failures == ()
    write_geojson(found.features, folder / "out.json", like=found)
    assert json.loads((folder / "out.json").read_text()) == content
    assert read_geojson(folder / "out.json").features == found.features


def test_unclosed_ring_is_closed_and_told(tmp_path):
    open_ring = {"type": "Polygon", "coordinates": [SQUARE["coordinates"][0][:-1]]}
    feature, notes = one(tmp_path, {}, open_ring)
    assert notes == ("in.geojson: feature 1: a ring was not closed: it is now",)
    assert written(tmp_path, feature)["geometry"] == SQUARE


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (5, "no geometry, but 5"),
        (None, "no geometry"),
        ({}, "geometry of type None"),
        ({"type": "Circle", "coordinates": [1, 2]}, "geometry of type 'Circle'"),
        ({"type": "Point", "coordinates": []}, "coordinates are empty"),
        ({"type": "Point"}, "coordinates are None, due is a list"),
        ({"type": "Point", "coordinates": {"x": 1}}, "due is a list"),
        ({"type": "Point", "coordinates": [1]}, "two or three numbers"),
        ({"type": "Point", "coordinates": ["1", "2"]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [True, False]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [None, 1]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [1, 2, 3, 4]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [[1, 2]]}, "two or three numbers"),
        ({"type": "Point", "coordinates": [1e308, 1]}, "not finite or beyond"),
        ({"type": "Point", "coordinates": [math.nan, 1]}, "not finite or beyond"),
        ({"type": "Point", "coordinates": [-math.inf, 1]}, "not finite or beyond"),
        ({"type": "LineString", "coordinates": [[1, 2]]}, "a line of one position"),
        ({"type": "LineString", "coordinates": [[1, 2], [3]]}, "different counts"),
        ({"type": "Polygon", "coordinates": [[]]}, "positions are empty"),
        ({"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}, "a ring of 2 positions"),
        ({"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [1, 2]]]}, "a ring of 2 positions"),
        ({"type": "MultiPolygon", "coordinates": [5]}, "polygon are 5, due is a list"),
        ({"type": "GeometryCollection", "geometries": [3]}, "no geometry, but 3"),
    ],
)
def test_broken_geometry_is_left_out_with_the_reason(tmp_path, geometry, reason):
    good = {"type": "Feature", "geometry": SQUARE, "properties": {}}
    bad = {"type": "Feature", "geometry": geometry, "properties": {}}
    found = read(tmp_path, [bad, good])
    assert len(found.features) == 1
    (line,) = found.failures
    assert line.startswith("in.geojson: feature 1 skipped: ")
    assert reason in line


def test_nesting_has_an_end(tmp_path):
    deep = SQUARE
    for _ in range(20):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    odd = 5
    for _ in range(400):
        odd = [odd]
    family = {"type": "Feature", "geometry": SQUARE, "properties": {}}
    for _ in range(60):
        family = {"type": "Feature", "geometry": SQUARE, "properties": {"childObjects": [family]}}
    found = read(
        tmp_path,
        [{"geometry": deep}, {"geometry": SQUARE, "odd": odd}, family],
    )
    assert len(found.features) == 1
    assert "too deep" in found.failures[0]
    assert "members nested more than 64 deep" in found.failures[1]
    assert "more than 32 objects in each other" in found.failures[2]


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"{", "not sound JSON"),
        (b"5", "no GeoJSON. Due is a FeatureCollection"),
        (b"[1, 2]", r"not \[1, 2\]"),
        (b'{"images": []}', r"not an object with the members \['images'\]"),
        (b'{"type": "Feature", "geometry": {"x": 1, "x": 2}}', "one object names 'x' twice"),
        (b"\x1f\x8b\x08\x00", "gzip, which QuPath reads neither"),
        (b"PK\x03\x04rubbish", "no sound zip file"),
    ],
)  # fmt: skip
def test_file_that_is_no_geojson_is_refused_with_a_line(tmp_path, content, reason):
    path = tmp_path / "in.geojson"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason):
        read_geojson(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    item = {"type": "Feature", "geometry": SQUARE, "properties": {"name": "Größe 腫瘍"}}
    path = tmp_path / "in.geojson"
    path.write_bytes(json.dumps(item, ensure_ascii=False).encode(encoding))
    assert read_geojson(path).features[0].name == "Größe 腫瘍"


def test_zip_is_read_and_written_like_qupath(tmp_path):
    features = (Feature(rectangle(0, 0, 4, 4), name="a"), Feature(ellipse(0, 0, 4, 4), name="b"))
    for name, inside in (("a.zip", "a.geojson"), ("b.geojson.zip", "b.geojson")):
        write_geojson(features, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.namelist() == [inside]
        assert [f.roi.shape for f in read_geojson(tmp_path / name).features] == [
            f.roi.shape for f in features
        ]
    first = (tmp_path / "a.zip").read_bytes()
    write_geojson(features, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == first


def test_zip_without_geojson_and_zip_bomb_are_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(UserError, match=r"a zip file of 0 \.geojson files"):
        read_geojson(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.json", b" " * 50_000_000)
    monkeypatch.setattr("napari_medssl.io.geojson.reader.MAX_BYTES", 10_000_000)
    with pytest.raises(UserError, match="holds more than 10 MB"):
        read_geojson(tmp_path / "b.zip")


def test_forms_that_hold_one_feature_become_a_collection_for_two(tmp_path):
    found = read(tmp_path, SQUARE)
    assert found.form == "geometry"
    write_geojson(found.features * 2, tmp_path / "o.json", like=found)
    assert read_geojson(tmp_path / "o.json").form == "collection"
    write_geojson([replace(found.features[0], name="n")], tmp_path / "o.json", like=found)
    assert read_geojson(tmp_path / "o.json").features[0].name == "n"


def test_other_members_of_a_collection_are_kept(tmp_path):
    content = {"type": "FeatureCollection", "crs": {"a": 1}, "features": []}
    found = read(tmp_path, content)
    write_geojson((), tmp_path / "o.json", like=found)
    assert json.loads((tmp_path / "o.json").read_text()) == content
    assert isinstance(found, FeatureFile)


def test_failed_write_leaves_the_old_file(tmp_path):
    with pytest.raises(UserError, match="Cannot write"):
        write_geojson((), tmp_path / "none" / "o.geojson")


# -- bad files -----------------------------------------------------------------------------------

PROBE = """
import json, resource, sys, time
from napari_medssl._errors import UserError
from napari_medssl.io.geojson import read_geojson
def own_peak_kb():
    try:  # ru_maxrss starts at what the parent had before exec
        with open("/proc/self/status") as stream:
            status = stream.read()
        return int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    start = time.monotonic()
    try:
        found = read_geojson(path)
        lines = [f"features {len(found.features)}", *found.failures, *found.notes]
    except UserError as error:
        lines = [str(error)]
    peak = own_peak_kb()
    print(json.dumps([time.monotonic() - start, peak, lines]), flush=True)
"""

SOUND = {"geojson_geometry_collection_recursive.geojson", "geojson_name_traversal.geojson",
         "geojson_null_properties.geojson"}  # fmt: skip


@pytest.fixture(scope="module")
def told_of_bad_files(data_dir):
    """Seconds, peak kilobytes so far and lines of each bad file, read in another process."""
    files = [str(path) for path in sorted((data_dir / "badfiles" / "json").iterdir())]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, *files],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, ""), result.stdout[-300:]
    return {p: json.loads(t) for p, t in zip(files, result.stdout.splitlines(), strict=True)}


@pytest.mark.data("badfiles/json/*")
def test_bad_file_gives_readable_lines(data_file, told_of_bad_files):
    seconds, kilobytes, lines = told_of_bad_files[str(data_file)]
    assert seconds < 10
    assert kilobytes < 2_000_000
    assert all(line.isprintable() and len(line) < 600 for line in lines)
    if data_file.name in SOUND:
        assert lines == ["features 1"]
    elif lines[0].startswith("features"):
        assert len(lines) > 1
    else:
        assert len(lines) == 1
        assert lines[0].startswith("Cannot read ")
