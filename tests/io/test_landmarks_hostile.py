"""Damaged and hostile files of landmarks: one readable line each."""

import copy
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.landmarks import (
    ImageLandmarks,
    Landmark,
    SliceGrid,
    read_landmarks,
    write_landmarks,
)

SOUND = {"mrk_ok_control.mrk.json", "mrk_evil_schema.mrk.json", "mrk_bad_orientation.mrk.json"}


@pytest.mark.data(*(f"badfiles/{kind}/*" for kind in ("csv", "json", "xml", "h5", "yaml")))
def test_bad_file_is_one_line(data_file):
    start = time.process_time()
    if data_file.name in SOUND:  # what is wrong in them is nothing that we look at
        assert read_landmarks(data_file).images[0].landmarks == (Landmark("F-1", 1, 2),)
        return
    with pytest.raises(UserError) as caught:
        read_landmarks(data_file)
    line = str(caught.value)
    assert line.startswith("Cannot read ")
    assert line.isprintable()
    assert len(line) < 600
    assert time.process_time() - start < 10


@pytest.mark.data(
    "interop/coco/cvat*.json", "interop/voc/*.xml", "interop/labelme/*.json",
    "interop/h5/*.h5", "interop/other_annotations/*", "interop/qupath/*point*",
)  # fmt: skip
def test_files_of_other_kinds_are_refused_by_what_they_are(data_file):
    with pytest.raises(UserError, match="Cannot read ") as caught:
        read_landmarks(data_file)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "the file is empty"), ("a,b\n1,2\n", r"no column 'label' in its first line \['a', 'b'\]"),
     ("label,x,y\n", "no landmarks in this csv file"),
     ("label,x,y\napex,1\n", "line 2 has x '1' and y ''"),
     ("label,x,y\napex,nan,2\n", "line 2 has x 'nan'"), ("label,x,y\napex,1e400,2\n", "'1e400'"),
     ("label,x,y\napex,1_0,2\n", "'1_0'"), ("label,x,y\napex,left,2\n", "due are two numbers"),
     ("label,x,y\n,1,2\n", "line 2 has no label"), ("image,label,x,y\n,a,1,2\n", "names no image"),
     ("label,x,y\na,1,2\n\na,3,4\n", "line 4 gives 'a' a second time in the file"),
     ("label,x,y,x\na,1,2,3\n", "'x' stands twice"),
     ("label,x,y,score\na,1,2,7\n", "score '7'"), ("label,x,y,score\na,1,2,high\n", "'high'"),
     ("label,x,y,state\na,,,found\n", "the state 'found'"),
     ("label,x,y,state\na,1,2,sure\n", "the state 'sure'"),
     ("label,x,y\n" + "a" * 200_000 + ",1,2\n", "is no CSV"),
     ("PK\x03\x04....", "a zip archive"), ("\x89HDF\r\n\x1a\n", "no column"),
     ("scorer,a,a\nbodyparts,b,b\n1,2,3\n4,5,6\n", "Due are scorer, bodyparts"),
     ("scorer,a,a\nbodyparts,b,b\ncoords,x,x\ni,2,3\n", "column 3"),
     ("scorer,a\nbodyparts,b\ncoords,x\ni,2\n", "no x and y for 'b'"),
     ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\ni,2,\n", "line 4 has x '2', y ''"),
     ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\ni,2,3\ni,2,3\n", "line 5 is of 'i' again"),
     ("scorer,a,a\nbodyparts,b\ncoords,x,y\ni,2,3\n", "not of one length"),
     ("# Markups\n1,2,3\n", "no comment in it names the columns"),
     ("<html/>", "XML that begins with <html>"), ("<annotations/>", "no landmarks in this cvat"),
     ('<annotations><image name="a"><points label="b" points="1"/></image></annotations>',
      "has the points '1'"),
     ('<annotations><image name="a"><points label="b" points="1,nan"/></image></annotations>',
      "'1,nan'"),
     ('<annotations><image name="a"><points points="1,2"/></image></annotations>', "no label"),
     ('<annotations><image name="a">' + "<skeleton>" * 9999 + "</skeleton>" * 9999
      + "</image></annotations>", "no landmarks in this cvat"),
     ('<annotations><image id="3"/></annotations>', "image '3' has no name"),
     ('<annotations><track><points points="1,2"/></track></annotations>', "the frame ''"),
     ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "entities"),
     ("{}", "Due are 'markups'"), ("[1]", "Due are 'markups'"),
     ('{"markups": 5}', "'markups' are 5"), ('{"markups": [{"type": "Line"}]}', "no landmarks"),
     ('{"markups": [{"type": "Fiducial", "controlPoints": [7]}]}', "point 1 is 7"),
     ('{"markups": [{"type": "Fiducial", "controlPoints": 7}]}', "'controlPoints' are 7"),
     ('{"markups": [{"type": "Fiducial", "coordinateUnits": "um"}]}', "its unit is 'um'"),
     ('{"markups": [{"type": "Fiducial", "coordinateUnits": [["mm"]]}]}', "its unit is"),
     ('{"markups": [{"type": "Fiducial", "coordinateSystem": {}, "controlPoints": [{}]}]}',
      "coordinate system")],
)  # fmt: skip
def test_broken_text_is_one_line_that_says_what(tmp_path, text, reason):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("latin-1"))
    if text.startswith("\x89HDF"):
        reason = "Give the .csv file of the same name"
    with pytest.raises(UserError, match=f"(?i){reason}") as caught:
        read_landmarks(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"categories": []}, "none of its 'categories' has 'keypoints'"),
     ({"categories": [{"id": 1, "keypoints": "ab"}]}, "no list of keypoints"),
     ({"categories": [{"id": [], "keypoints": ["a"]}]}, "no list of keypoints"),
     ({"images": [{"id": 1}]}, "without an id or file_name"), ({"images": [None]}, "image 1"),
     ({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}, "have the id 1"),
     ({"annotations": {}}, "'annotations' are {}"), ({"annotations": [3]}, "annotation 1 is 3"),
     ({"annotations": [{"keypoints": [1, 2, 2], "image_id": 9}]}, "of the image 9"),
     ({"annotations": [{"keypoints": [1, 2, 2], "image_id": []}]}, r"of the image \[\]"),
     ({"annotations": [{"keypoints": [1, 2, 2], "image_id": 1, "category_id": 4}]}, "category 4"),
     *[({"annotations": [{"id": 5, "keypoints": k, "image_id": 1, "category_id": 1}]}, why)
       for k, why in (([1, 2], "annotation 5 has the keypoints"), ([1, 2, 3], "visibility 3"),
                      ([float("nan"), 2, 2], "keypoints"), (["1", 2, 2], "keypoints"),
                      ("1", "keypoints"), ([10**400, 2, 2], "keypoints"))]],
)  # fmt: skip
def test_broken_coco_is_one_line_that_says_what(tmp_path, changes, reason):
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [],
        "categories": [{"id": 1, "name": "face", "keypoints": ["eye"]}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | changes))
    with pytest.raises(UserError, match=reason) as caught:
        read_landmarks(path)
    assert str(caught.value).isprintable()


ODD = st.sampled_from(
    [None, True, 0, 3, -1.5, 1e308, 10**400, "", "a", "IJK", [], {}, [[]], [1, 2, 2], ["a"],
     {"id": 1}, float("nan"), "missing", [None], "\ud800"]
)  # fmt: skip

SOUND_TEXTS = (
    "image,label,x,y,score,state\na.png,apex,1.5,2,0.5,found\nb.png,apex,,,,\n",
    "scorer,,,n,n,n\nindividuals,,,m,m,m\nbodyparts,,,e,e,e\ncoords,,,x,y,likelihood\na,b,c,1,2,.5\n",
    "label,l,p,s,defined,selected,visible,locked,description\nF-1,3,4,29.4,1,1,1,0,\n",
    "# Markups fiducial file version = 5.4\n# CoordinateSystem = LPS\n"
    "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    "1,-322.58,-5.6e-14,-35.99,0,0,0,1,1,1,0,crossed,,,2,0\n",
    '<annotations><image name="a" width="5"><points label="b" points="1,2;3,4"/>'
    '<skeleton label="s"><points label="c" outside="1" points="1,2"/></skeleton></image>'
    "</annotations>",
    '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "category_id": 1, '
    '"keypoints": [1, 2, 2]}], "categories": [{"id": 1, "keypoints": ["e"]}]}',
    '{"markups": [{"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [{"label": "F", '
    '"position": [1, 2, 3], "positionStatus": "defined", "locked": true}]}]}',
)  # fmt: skip


def told_or_read(path):
    """Read `path`: nothing but landmarks or one line may come of it."""
    told = ""
    try:
        assert any(image.landmarks for image in read_landmarks(path).images)
    except UserError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < 900


def nodes(content):
    """Yield every container of parsed JSON with each of its keys."""
    for key in range(len(content)) if isinstance(content, list) else list(content):
        yield content, key
        if isinstance(content[key], list | dict):
            yield from nodes(content[key])


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(SOUND_TEXTS[-2:]))
def test_any_value_in_json_is_read_or_told(tmp_path_factory, data, text):
    path = tmp_path_factory.getbasetemp() / "any.json"
    content = json.loads(text)
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(list(nodes(content))))
        container[key] = copy.deepcopy(data.draw(ODD))
    path.write_text(json.dumps(content))
    told_or_read(path)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(SOUND_TEXTS))
def test_any_damage_to_a_sound_file_is_read_or_told(tmp_path_factory, data, text):
    path = tmp_path_factory.getbasetemp() / "damaged.txt"
    path.write_text(text)
    assert read_landmarks(path).images
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 6, len(text))))
        text = text[:start] + data.draw(st.text(max_size=3) | st.just(text[:20])) + text[end:]
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    told_or_read(path)


ONE = ImageLandmarks("a.png", (Landmark("a", 1, 2),))


@pytest.mark.parametrize(
    ("images", "name", "reason"),
    [([], "a.csv", "no image has landmarks"), ([ONE, ONE], "a.csv", "two are named 'a.png'"),
     ([ONE, ImageLandmarks("")], "a.csv", "one has no name"), ([ONE], "a.xlsx", "End it in .csv"),
     ([ImageLandmarks("", ONE.landmarks)], "a.json", "COCO names every image"),
     ([ImageLandmarks("a", ONE.landmarks * 2)], "a.csv", "has 'a' twice"),
     ([ImageLandmarks("a\nb", ONE.landmarks)], "a.csv", "no line of text")],
)  # fmt: skip
def test_what_could_not_be_read_back_is_not_written(tmp_path, images, name, reason):
    with pytest.raises(UserError, match=reason):
        write_landmarks(images, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="csv, slicer, fcsv, coco"):
        write_landmarks([ONE], tmp_path / "a", "xlsx")


def test_folder_without_point_lists_and_missing_file_are_one_line(tmp_path):
    with pytest.raises(UserError, match="a folder with 0 point lists"):
        read_landmarks(tmp_path)
    with pytest.raises(UserError, match="no such plain file"):
        read_landmarks(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "fields",
    [{"spacing_mm": (0.0, 1.0)}, {"spacing_mm": (float("nan"), 1.0)}, {"thickness_mm": -1.0},
     {"origin_mm": (float("inf"), 0.0, 0.0)}, {"right": (2.0, 0.0, 0.0)},
     {"down": (1.0, 0.0, 0.0)}],
)  # fmt: skip
def test_grid_of_nonsense_is_refused(fields):
    with pytest.raises(UserError, match=r"due are|Take the first two"):
        SliceGrid(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"label": ""}, {"label": "a\nb"}, {"x": None}, {"x": float("nan")}, {"x": 1e300},
     {"state": "absent"}, {"state": "sure"}, {"score": 2.0}, {"x": None, "y": None}],
)  # fmt: skip
def test_landmark_that_contradicts_itself_cannot_be_made(fields):
    with pytest.raises(ValueError, match=r"label|place|state|score|give both"):
        Landmark(**({"label": "a", "x": 1.0, "y": 2.0} | fields))


def test_labels_that_stand_twice_never_collide(tmp_path):
    points = "".join(f'<points label="{name}" points="1,2"/>' for name in ("a", "a 2", "a", "a"))
    path = tmp_path / "a.xml"
    path.write_text(f'<annotations><image name="i">{points}</image></annotations>')
    found = read_landmarks(path).images[0].landmarks
    assert [m.label for m in found] == ["a", "a 2", "a 3", "a 4"]
