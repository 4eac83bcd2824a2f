"""Landmarks in files: what is written comes back, and other tools' files are read right."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks import (
    ImageLandmarks,
    Landmark,
    SliceGrid,
    clean_name,
    read_landmarks,
    write_landmarks,
)

settings.register_profile("landmark files", deadline=None, max_examples=40)
FILES = settings.get_profile("landmark files")

NUMBERS = st.floats(-1e5, 1e5)
LABELS = st.text(max_size=8).map(clean_name).filter(bool) | st.sampled_from(
    ["=1+1", "'=1+1", "''-x", "'", 'a,b"c', "@", "# a", "scorer", "<b>", "state", "é😀"]
)
NAMES = st.text(min_size=1, max_size=10).map(clean_image_name).filter(bool) | st.sampled_from(
    ["-1.png", "a  b.png", "'+.png", "d/e.png", "{", "a\u2028\xa0b.png"]
)
STATES_OF = st.sampled_from(["found", "confirmed", "locked"])
VISIBLE = st.just(True)
SCORES = st.none() | st.floats(0, 1)


@st.composite
def landmarks(draw, labels=LABELS, scores=SCORES, is_visible=VISIBLE):
    label = draw(labels)
    if draw(st.booleans()):
        return Landmark(label, state=draw(st.sampled_from(["absent", "undefined", "locked"])))
    x, y = draw(NUMBERS), draw(NUMBERS)
    return Landmark(label, x, y, draw(STATES_OF), draw(scores), draw(is_visible))


def images_of(points, names=NAMES):
    return st.builds(
        ImageLandmarks, names,
        st.lists(points, min_size=1, max_size=4, unique_by=lambda m: m.label).map(tuple),
    )  # fmt: skip


def many(points):
    return st.lists(images_of(points), min_size=1, max_size=3, unique_by=lambda i: i.image)


def places(landmarks_of_image):
    return {m.label: m.place for m in landmarks_of_image}


@FILES
@given(many(landmarks()))
def test_csv_comes_back_to_the_bit(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("csv") / "found.csv"
    assert write_landmarks(listed, path) == ()
    assert list(read_landmarks(path).images) == listed


@FILES
@given(images_of(landmarks(), st.just("")))
def test_csv_of_one_image_without_a_name_comes_back(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("csv") / "pts.csv"
    write_landmarks([image], path)
    assert read_landmarks(path).images == (image,)


@FILES
@given(many(landmarks(is_visible=st.booleans())))
def test_coco_comes_back_to_the_bit(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("coco") / "points.json"
    write_landmarks(listed, path)
    found = read_landmarks(path)
    for image, want in zip(found.images, listed, strict=True):
        assert image.image == want.image
        assert {m.label: m for m in image.landmarks} == {m.label: m for m in want.landmarks}


GRIDS = st.builds(
    SliceGrid,
    st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)),
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.sampled_from([(1.0, 0.0, 0.0), (0.6, 0.8, 0.0)]),
    st.sampled_from([(0.0, 0.0, -1.0), (0.0, 0.0, 1.0)]),
)


@FILES
@given(
    images_of(landmarks(scores=st.none()), st.just("")),
    GRIDS,
    st.sampled_from(["mrk.json", "fcsv"]),
)
def test_slicer_comes_back_to_a_millionth_of_a_pixel(tmp_path_factory, image, grid, suffix):
    path = tmp_path_factory.mktemp("slicer") / f"points.{suffix}"
    write_landmarks([image], path, grid=grid)
    (found,) = read_landmarks(path, grid=grid).images
    assert [m.label for m in found.landmarks] == [m.label for m in image.landmarks]
    for ours, want in zip(found.landmarks, image.landmarks, strict=True):
        assert ours.state == ("confirmed" if want.state == "found" else want.state)
        assert (ours.place is None) == (want.place is None)
        if want.place:
            assert ours.place == pytest.approx(want.place, abs=1e-6)


def test_without_a_grid_slicer_has_pixels_of_a_millimetre_or_the_spacing_of_the_image(tmp_path):
    image = ImageLandmarks("a.png", (Landmark("apex", 10.5, 20.25),))
    for spacing, want in ((None, [10.5, 20.25, 0]), ((0.5, 2.0), [5.25, 40.5, 0])):
        path = tmp_path / "a.mrk.json"
        write_landmarks([ImageLandmarks("a.png", image.landmarks, 9, 9, spacing)], path)
        (markup,) = json.loads(path.read_bytes())["markups"]
        assert markup["controlPoints"][0]["position"] == want
        assert (markup["coordinateSystem"], markup["coordinateUnits"]) == ("LPS", "mm")
    grid = SliceGrid((0.5, 2.0))
    assert read_landmarks(path, grid=grid).images[0].landmarks == image.landmarks


def test_slicer_writes_a_folder_of_many_images_and_reads_it_again(tmp_path):
    listed = [ImageLandmarks(f"{n}.png", (Landmark("apex", n, 2 * n),)) for n in (2, 10)]
    for kind, suffix in (("slicer", ".mrk.json"), ("fcsv", ".fcsv")):
        write_landmarks(listed, tmp_path / kind, kind)
        assert sorted(p.name for p in (tmp_path / kind).iterdir()) == [f"10{suffix}", f"2{suffix}"]
        found = read_landmarks(tmp_path / kind).by_image
        assert {k: places(v) for k, v in found.items()} == {
            "2": {"apex": (2, 4)}, "10": {"apex": (10, 20)}
        }  # fmt: skip
    with pytest.raises(UserError, match="Give a folder"):
        write_landmarks(listed, tmp_path / "both.mrk.json")


def test_ras_is_lps_with_two_signs_turned(tmp_path):
    for system, position in (("LPS", [3, 4, 0]), ("RAS", [-3, -4, 0])):
        path = mrk(tmp_path, {"position": position}, coordinateSystem=system)
        assert read_landmarks(path).images[0].landmarks[0].place == (3, 4)


def test_slicer_tells_missing_undefined_and_locked_points(tmp_path):
    entries = [
        {"label": "a", "position": "", "positionStatus": "missing"},
        {"label": "b", "position": "", "positionStatus": "undefined"},
        {"label": "c", "position": [1, 2, 0], "locked": True},
        {"position": [3, 4, 0]},
    ]
    path = mrk(tmp_path, *entries)
    assert read_landmarks(path).images[0].landmarks == (
        Landmark("a", state="absent"), Landmark("b", state="undefined"),
        Landmark("c", 1, 2, "locked"), Landmark("F-4", 3, 4),
    )  # fmt: skip


def test_fcsv_of_slicer_5_has_two_columns_more_than_it_names(tmp_path):
    """As 3D Slicer 5.4 writes it: https://discourse.slicer.org/t/32318."""
    path = tmp_path / "a.fcsv"
    path.write_text(
        "# Markups fiducial file version = 5.4\n# CoordinateSystem = LPS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "1,-322.58,-5.6e-14,-35.99,0,0,0,1,1,1,0,crossed,,,3,0\n"
        "2,-517.5,-5.6e-14,122.92,0,0,0,1,1,1,1,locked,,,2,0\n"
        "3,-361.6,5.6e-14,44.8,0,0,0,1,1,1,0,editing,,,0,0\n"
    )
    absent, locked, undefined = read_landmarks(path).images[0].landmarks
    assert (absent.state, undefined.state) == ("absent", "undefined")
    assert (locked.label, locked.x, locked.state) == ("locked", -517.5, "locked")


@pytest.mark.parametrize("system", ["l,p,s", "r,a,s"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_table_that_slicer_exports_is_read(tmp_path, system, delimiter):
    sign = 1 if system == "l,p,s" else -1
    text = (
        f"label,{system},defined,selected,visible,locked,description\n"
        f"F-1,{sign * 3},{sign * 4},29.4,1,1,1,0,\nF-2,0,0,0,0,1,1,0,\n"
        f"F-3,{sign * 5.5},{sign * 6},29.4,1,1,1,1,\n"
    )
    path = tmp_path / "points.csv"
    path.write_text(text.replace(",", delimiter))
    assert read_landmarks(path).images[0].landmarks == (
        Landmark("F-1", 3, 4), Landmark("F-2", state="undefined"),
        Landmark("F-3", 5.5, 6, "locked"),
    )  # fmt: skip
    path.write_text(text.replace("29.4,1,1,1,1", "60,1,1,1,1").replace(",", delimiter))
    with pytest.raises(UserError, match=r"line 4 \('F-3'\) lies 30.6 mm off the slice"):
        read_landmarks(path)
    path.write_text(text.replace("29.4", "high").replace(",", delimiter))
    with pytest.raises(UserError, match=r"line 2 \('F-1'\) has the position .*'high'"):
        read_landmarks(path)


def test_points_of_the_brain_are_read_in_their_slice_and_refused_in_another(data_dir):
    path = data_dir / "interop/slicer/afids_MNI152.mrk.json"
    with pytest.raises(UserError, match=r"point 2 \('2'\) lies 2.73 mm off the slice") as caught:
        read_landmarks(path)
    assert "\n" not in str(caught.value)
    raw = json.loads(path.read_bytes())["markups"][0]["controlPoints"]
    # A sagittal slice as thick as the head: x to posterior, y down, RAS in the file.
    head = SliceGrid((0.5, 0.5), (0, -100, 80), (0, 1, 0), (0, 0, -1), thickness_mm=300)
    found = read_landmarks(path, grid=head)
    assert [m.label for m in found.images[0].landmarks] == [str(n) for n in range(1, 33)]
    want = [((-p["position"][1] + 100) / 0.5, (80 - p["position"][2]) / 0.5) for p in raw]
    assert np.allclose([m.place for m in found.images[0].landmarks], want)


def test_deeplabcut_table_is_read_whole(data_dir):
    path = data_dir / "interop/deeplabcut/CollectedData_Mackenzie.csv"
    found = read_landmarks(path)
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))[3:]
    assert found.format == "deeplabcut"
    assert [image.image for image in found.images] == [row[0] for row in rows]
    for image, row in zip(found.images, rows, strict=True):
        assert [m.label for m in image.landmarks] == [
            "Hand", "Finger1", "Tongue", "Joystick1", "Joystick2"
        ]  # fmt: skip
        flat = [v for m in image.landmarks for v in (m.place or ("", ""))]
        assert flat == [float(cell) if cell else "" for cell in row[1:]]
    assert found.images[0].landmarks[2] == Landmark("Tongue", state="undefined")


def test_deeplabcut_predictions_several_animals_and_three_columns_of_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "scorer,net,net,net\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n0,1.5,2,0.25\n"
    )
    assert read_landmarks(path).by_image == {"0": (Landmark("nose", 1.5, 2, "found", 0.25),)}
    path.write_text(
        "scorer,,,me,me,me,me\nindividuals,,,m1,m1,single,single\nbodyparts,,,nose,nose,post,post\n"
        "coords,,,x,y,x,y\nlabeled-data,v,img0.png,1,2,3,4\n"
    )
    assert read_landmarks(path).by_image == {
        "labeled-data/v/img0.png": (Landmark("m1 nose", 1, 2), Landmark("post", 3, 4))
    }


@pytest.mark.data("landmarks/*/landmarks.csv")
def test_tables_of_real_landmarks_are_read_as_they_stand(data_file):
    found = read_landmarks(data_file)
    with data_file.open(newline="") as stream:
        want = {(r["image"], r["label"]): (float(r["x"]), float(r["y"]))
                for r in csv.DictReader(stream)}  # fmt: skip
    ours = {(i.image, m.label): m.place for i in found.images for m in i.landmarks}
    assert ours == want


@pytest.mark.parametrize(
    "text",
    ["label;x;y\napex;1,5;2\n", "label\tx\ty\napex\t1,5\t2\n",
     "\ufeffY,Label,X,who\r\n2,apex,1.5,me\r\n",
     "\n\nlabel, x, y\n apex , 1.5, 2 \n\n"],
)  # fmt: skip
def test_csv_of_other_programs_is_understood(tmp_path, text):
    path = tmp_path / "a.csv"
    for encoding in ("utf-8", "utf-16"):
        path.write_bytes(text.lstrip("\ufeff" * (encoding == "utf-16")).encode(encoding))
        assert read_landmarks(path).by_image == {"": (Landmark("apex", 1.5, 2),)}


def test_csv_says_how_large_pixels_are(tmp_path):
    path = tmp_path / "points.csv"
    head = "image;label;x;y;mm_per_px\n"
    path.write_text(f"{head}a.png;S;1;2;0,1\na.png;N;3;4;\nb.png;S;1;2;\n")
    first, second = read_landmarks(path).images
    assert (first.spacing_mm, second.spacing_mm) == ((0.1, 0.1), None)
    for rows, told in (
        ("a.png;S;1;2;0", "line 2 has the mm_per_px '0'"),
        ("a.png;S;1;2;1\na.png;N;1;2;2", "line 3 has the mm_per_px '2', an earlier one 1"),
    ):
        path.write_text(f"{head}{rows}\n")
        with pytest.raises(UserError, match=told):
            read_landmarks(path)


def test_csv_has_the_columns_that_were_promised(tmp_path):
    path = tmp_path / "found.csv"
    listed = [
        ImageLandmarks("a.png", (Landmark("apex", 1, 2.5, "found", 0.5),), 9, 9, (0.5, 2.0)),
        ImageLandmarks("b.png", (Landmark("apex", state="absent"),)),
    ]
    write_landmarks(listed, path)
    assert path.read_text().split() == [
        "image,label,x,y,score",
        "a.png,apex,1,2.5,0.5",
        "b.png,apex,,,",
    ]
    write_landmarks(listed, path, with_mm=True)
    assert path.read_text().split()[1] == "a.png,apex,1,2.5,0.5,0.5,5.0"
    assert read_landmarks(path).by_image["b.png"][0].state == "absent"


def test_coco_of_other_tools_is_read(tmp_path):
    path = coco(tmp_path)
    found = read_landmarks(path)
    assert found.images[0].landmarks == (
        Landmark("eye", 10, 20), Landmark("ear", 30.5, 40, is_visible=False),
        Landmark("nose", state="undefined"),
        Landmark("eye 2", 1, 2), Landmark("ear 2", 3, 4), Landmark("nose 2", 5, 6),
    )  # fmt: skip
    assert (found.images[0].width, found.images[0].height) == (100, 80)
    assert found.notes == (
        "a.json: 1 annotations without keypoints left out",
        "a.json: 3 labels stood twice in an image; they are numbered",
    )


def test_coco_written_here_is_sound_coco(tmp_path):
    image = ImageLandmarks("a.png", (Landmark("eye", 4, 5), Landmark("ear", 10, 7)), 20, 30)
    write_landmarks([image], tmp_path / "a.json")
    raw = json.loads((tmp_path / "a.json").read_bytes())
    assert raw["categories"][0]["keypoints"] == ["eye", "ear"]
    assert raw["images"] == [{"id": 1, "file_name": "a.png", "width": 20, "height": 30}]
    (entry,) = raw["annotations"]
    assert entry["keypoints"] == [4, 5, 2, 10, 7, 2]
    assert (entry["bbox"], entry["num_keypoints"], entry["area"]) == ([4, 5, 6, 2], 2, 12)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><original_size><width>64</width><height>48</height>
</original_size></task></meta>
<image id="0" name="set/a.png" width="640" height="480">
  <points label="apex" source="manual" occluded="0" points="12.50,30.00" z_order="0"></points>
  <points label="dot" source="auto" occluded="0" points="1,2;3,4" z_order="0"/>
  <box label="lung" xtl="0" ytl="0" xbr="5" ybr="5" occluded="0"/>
  <skeleton label="face" source="manual" z_order="0">
    <points label="eye" source="manual" outside="0" occluded="1" points="100.25,200.5"/>
    <points label="ear" source="manual" outside="1" occluded="0" points="0,0"/>
    <attribute name="sure">yes</attribute>
  </skeleton>
</image>
<track id="0" label="tip" source="manual">
  <points frame="7" keyframe="1" outside="0" occluded="0" points="5.5,6.5"/>
</track>
</annotations>
"""


def test_cvat_points_and_skeletons_are_read(tmp_path):
    (tmp_path / "annotations.xml").write_text(CVAT)
    found = read_landmarks(tmp_path / "annotations.xml")
    assert found.by_image == {
        "set/a.png": (
            Landmark("apex", 12.5, 30), Landmark("dot", 1, 2, "found"),
            Landmark("dot 2", 3, 4, "found"), Landmark("eye", 100.25, 200.5, is_visible=False),
            Landmark("ear", state="absent"),
        ),
        "frame_000007": (Landmark("tip", 5.5, 6.5),),
    }  # fmt: skip
    assert [(i.width, i.height) for i in found.images] == [(640, 480), (64, 48)]
    assert found.notes[0] == "annotations.xml: 1 boxes, outlines and other shapes left out"


def test_what_a_format_cannot_hold_is_told(tmp_path):
    image = ImageLandmarks("a.png", (Landmark("a", 1, 2, "found", 0.5, is_visible=False),))
    assert write_landmarks([image, ImageLandmarks("b.png")], tmp_path / "a.csv") == (
        "CSV has no place for images without landmarks: 1 left out",
        "CSV has no place for what hides a point: 1 left out",
    )
    assert len(write_landmarks([image], tmp_path / "a.fcsv")) == 2
    assert write_landmarks([image], tmp_path / "a.json") == (
        "The size of 1 images is not known: written as 0 x 0",
    )


def mrk(tmp_path, *entries, **fields):
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "controlPoints": list(entries),
    } | fields
    path = tmp_path / "a.mrk.json"
    path.write_text(json.dumps({"markups": [markup]}))
    return path


def coco(tmp_path, **changes):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1,
             "keypoints": [10, 20, 2, 30.5, 40, 1, 0, 0, 0]},
            {"id": 2, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2, 5, 6, 2]},
            {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]},
        ],
        "categories": [{"id": 1, "name": "face", "keypoints": ["eye", "ear", "nose"]}],
    }  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | changes))
    return path
