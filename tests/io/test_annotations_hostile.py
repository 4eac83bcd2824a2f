"""Damaged and hostile annotation files: one readable line each, and no file outside is opened."""

import base64
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.annotations.names import file_stem, find_picture, is_safe_name, unique_stems

PROBE = """
import json, resource, sys, time
from napari_medssl._errors import UserError
from napari_medssl.io.annotations import read_boxes
def own_peak_kb():
    try:  # ru_maxrss starts at what the parent had before exec
        with open("/proc/self/status") as stream:
            status = stream.read()
        return int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    print(path, flush=True)
    start = time.monotonic()
    try:
        found = read_boxes(path)
        lines = [f"boxes {sum(len(i.boxes) for i in found.images)}", *found.skipped, *found.notes]
    except UserError as error:
        lines = [str(error)]
    peak = own_peak_kb()
    print(json.dumps([time.monotonic() - start, peak, lines]), flush=True)
"""

KINDS = ("json", "xml", "yaml", "yolo", "csv")

SOUND = {
    "bom_coco.json": 1, "latin1_coco.json": 1, "coco_2000_annotations_same_id.json": 2000,
    "coco_category_cycle.json": 1, "coco_proto_keys.json": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def told_of_bad_files(data_dir):
    """What is told of each bad file: seconds, peak kilobytes so far, lines.

    They are read in one process of its own, where a crash is seen, and nothing may be printed.
    """
    folder = data_dir / "badfiles"
    files = [str(path) for kind in KINDS for path in sorted((folder / kind).iterdir())]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, *files],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, ""), result.stdout[-300:]
    lines = result.stdout.splitlines()
    return {path: json.loads(told) for path, told in zip(lines[::2], lines[1::2], strict=True)}


@pytest.mark.data(*(f"badfiles/{kind}/*" for kind in KINDS))
def test_bad_file_gives_readable_lines(data_file, told_of_bad_files):
    seconds, kilobytes, lines = told_of_bad_files[str(data_file)]
    assert seconds < 10
    assert kilobytes < 2_000_000
    if data_file.name in SOUND:
        assert lines[0] == f"boxes {SOUND[data_file.name]}"
    elif lines[0].startswith("boxes"):
        assert len(lines) > 1  # something was told about it
    else:
        assert len(lines) == 1
        assert lines[0].startswith(("Cannot read ", "No YOLO label files"))
    assert all(line.isprintable() and len(line) < 600 for line in lines)


def coco(tmp_path, **changes):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}],
        "categories": [{"id": 1, "name": "panel"}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | changes))
    return path


@pytest.mark.parametrize(
    "bbox",
    [None, "x", [1, 2], {"x": 1}, [1, 2, "3", 4], [1, 2, True, 4], [0, 0, float("nan"), 1],
     [0, 0, float("inf"), 1], [1e308] * 4, [10**400, 0, 1, 1], [0, 0, -5, 5], [0, 0, 0, 5],
     [[1], 2, 3, 4]],
)  # fmt: skip
def test_bbox_that_is_none_is_skipped_with_a_line(tmp_path, bbox):
    found = read_boxes(
        coco(tmp_path, annotations=[{"id": 9, "image_id": 1, "category_id": 1, "bbox": bbox}])
    )
    assert found.images[0].boxes == ()
    assert found.failures == found.skipped
    assert "annotation 9 skipped" in found.failures[0]


@pytest.mark.parametrize(
    "changes",
    [{"annotations": 5}, {"annotations": [None, [], 5, {}, {"image_id": []}]},
     {"images": [None, {"id": []}, {"id": 1}, {"id": 2, "file_name": 5}]}, {"categories": [1, {}]},
     {"categories": None}],
)  # fmt: skip
def test_wrong_types_are_told_and_never_raise(tmp_path, changes):
    found = read_boxes(coco(tmp_path, **changes))
    assert found.skipped or found.notes


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[" * 100_000, "nested too deeply"), ('{"a": ' * 50_000, "nested too deeply"),
     ("[1" + "0" * 5000 + "]", "thousands of digits"), ('{"images": [', "line 1"),
     ("", "the file is empty"), ("  \n", "the file is empty"), ("[1, 2]", "neither COCO"),
     ('{"type": "FeatureCollection"}', "'FeatureCollection'")],
)  # fmt: skip
def test_json_that_is_no_box_file_is_one_line(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=reason) as caught:
        read_boxes(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def pack(runs):
    """Pack runs as the COCO tools do: an independent writer for our reader."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | (32 if more else 0)))
            if not more:
                break
    return text


@pytest.mark.parametrize(
    ("size", "runs", "bounds"),
    [([6, 5], [8, 2, 4, 2, 14], (1, 2, 3, 4)), ([6, 5], [0, 30], (0, 0, 5, 6)),
     ([6, 5], [4, 4, 22], (0, 0, 2, 6)),
     ([1000, 900], [100_000, 700_000, 100_000], (100, 0, 800, 1000)),
     ([6, 5], [29, 1], (4, 5, 5, 6))],
)  # fmt: skip
def test_packed_masks_give_the_bounds_of_plain_ones(tmp_path, size, runs, bounds):
    for counts in (runs, pack(runs)):
        entry = {"id": 1, "image_id": 1, "category_id": 1}
        entry["segmentation"] = {"size": size, "counts": counts}
        (box,) = read_boxes(coco(tmp_path, annotations=[entry])).images[0].boxes
        assert (box.x0, box.y0, box.x1, box.y1) == bounds


@pytest.mark.parametrize(
    "counts", [[4 * 10**18], [5, 999], [-1, 31], ["a"], "~~~", "\x00", 7, None]
)
def test_mask_that_does_not_fill_its_size_leaves_the_bbox(tmp_path, counts):
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    entry["segmentation"] = {"size": [2_000_000_000, 2_000_000_000], "counts": counts}
    if counts == [4 * 10**18]:
        entry["segmentation"]["size"] = [6, 5]
    found = read_boxes(coco(tmp_path, annotations=[entry]))
    assert found.images[0].boxes[0].x1 == 4
    assert "not sound" in found.notes[0]


UNSAFE = ["/etc/passwd", "../a.png", "a/../../b.png", "C:\\a.png",
          "\\\\host\\share\\a.png", "file:///etc/passwd",
          "http://host/a.png", "a\0.png", "", "..\\a.png", "c:a.png"]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_climb_out_are_known_and_never_opened(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("L", (5, 5)).save(tmp_path / "b.png")
    assert not is_safe_name(name)
    assert find_picture(name, folder, folder) is None


def test_link_out_of_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    Image.new("L", (5, 5)).save(tmp_path / "secret.png")
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    assert find_picture("a.png", folder, folder) is None


def test_size_comes_from_the_picture_beside_but_not_from_one_outside(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    Image.new("L", (7, 5)).save(tmp_path / "out.png")
    Image.new("L", (7, 5)).save(folder / "in.png")
    images = [{"id": 1, "file_name": "in.png"}, {"id": 2, "file_name": "../out.png"}]
    found = read_boxes(coco(folder, images=images))
    assert [(i.file_name, i.width) for i in found.images] == [("in.png", 7), ("../out.png", 0)]
    assert any("outside the folder" in note for note in found.notes)


def test_file_stems_are_safe_and_unlike_each_other():
    assert file_stem("../../etc/passwd") == "etc_passwd"
    assert file_stem("a\0b:c.png") == "a_b_c"
    assert file_stem("paper.pdf#page=3") == "paper.pdf#page=3"
    assert file_stem("..") == "image"
    assert unique_stems(["a.png", "a.jpg", "A.tif"]) == ["a", "a-2", "A-3"]


@pytest.mark.parametrize(
    "document",
    ['<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>',
     '<!DOCTYPE a [<!ENTITY x "lol">]><annotation><filename>&x;</filename></annotation>',
     "<annotation><object>", "<annotations/>", "<annotation>\0</annotation>", "<" * 1000],
)  # fmt: skip
def test_hostile_xml_is_one_line(tmp_path, document):
    (tmp_path / "a.xml").write_text(document)
    with pytest.raises(UserError, match=r"Cannot read .*a\.xml") as caught:
        read_boxes(tmp_path / "a.xml")
    assert "\n" not in str(caught.value)


def test_very_deep_xml_does_no_harm(tmp_path):
    (tmp_path / "a.xml").write_text(
        "<annotation>" + "<a>" * 200_000 + "</a>" * 200_000 + "</annotation>"
    )
    assert read_boxes(tmp_path / "a.xml").images[0].boxes == ()


def voc(tmp_path, inner, database="Unknown"):
    (tmp_path / "a.xml").write_text(
        f"<annotation><filename>a.png</filename><source><database>{database}</database></source>"
        f"<size><width>90</width><height>80</height></size>{inner}</annotation>"
    )
    return read_boxes(tmp_path / "a.xml")


CORNERS = "<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>"


def test_voc_of_the_original_sets_counts_from_one(tmp_path):
    inner = f"<object><name>cat</name><bndbox>{CORNERS}</bndbox></object>"
    (box,) = voc(tmp_path, inner, "The VOC2007 Database").images[0].boxes
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 1, 30, 40)
    (box,) = voc(tmp_path, inner).images[0].boxes
    assert (box.x0, box.y0, box.x1, box.y1) == (1, 2, 30, 40)


def test_voc_parts_are_no_boxes_and_polygons_are(tmp_path):
    part = f"<part><name>head</name><bndbox>{CORNERS}</bndbox></part>"
    polygon = "<polygon><x1>5</x1><y1>6</y1><x2>9</x2><y2>6</y2><x3>7</x3><y3>20</y3></polygon>"
    found = voc(tmp_path, f"<object><name>cat</name>{polygon}{part}</object>")
    (box,) = found.images[0].boxes
    assert (box.x0, box.y0, box.x1, box.y1) == (5, 6, 9, 20)


@pytest.mark.parametrize(
    "corners",
    ["", "<xmin>x</xmin>", *(CORNERS.replace(">30<", f">{x}<") for x in ("0", "nan", "1e999"))],
)
def test_voc_object_without_a_sound_box_is_told(tmp_path, corners):
    found = voc(tmp_path, f"<object><name>cat</name><bndbox>{corners}</bndbox></object>")
    assert found.images[0].boxes == ()
    assert "object 1 skipped" in found.failures[0]


def labelme(tmp_path, *shapes):
    content = {"version": "5.5", "shapes": list(shapes), "imagePath": "a.png",
               "imageWidth": 90, "imageHeight": 80,
               "imageData": base64.b64encode(b"x").decode()}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(content))
    return read_boxes(tmp_path / "a.json")


def test_labelme_shapes_give_rectangles_bounds_circles_and_masks(tmp_path):
    found = labelme(
        tmp_path,
        {"label": "r", "shape_type": "rectangle", "points": [[30, 5.5], [10, 20]]},
        {"label": "p", "points": [[1, 2], [5, 2], [3, 9]]},
        {"label": "c", "shape_type": "circle", "points": [[20, 30], [23, 34]]},
        {"label": "m", "shape_type": "mask", "points": [[2, 3], [5, 7]], "mask": "..."},
    )
    assert [(b.category, b.x0, b.y0, b.x1, b.y1) for b in found.images[0].boxes] == [
        ("r", 10, 5.5, 30, 20), ("p", 1, 2, 5, 9), ("c", 15, 25, 25, 35), ("m", 2, 3, 6, 8)
    ]  # fmt: skip
    assert not found.skipped


def test_labelme_points_and_lines_are_skipped_but_are_no_failures(tmp_path):
    found = labelme(
        tmp_path,
        *({"label": kind, "shape_type": kind, "points": [[1, 2], [3, 4]]}
          for kind in ("point", "line", "linestrip")),
    )  # fmt: skip
    assert len(found.skipped) == 3
    assert found.failures == ()
    assert "a linestrip has no inside" in found.skipped[2]


@pytest.mark.parametrize(
    "shape",
    [5, {}, {"points": "x"}, {"points": [[1], [2], [3]]}, {"shape_type": ["a"], "points": [[1, 2]]},
     {"shape_type": "circle", "points": [[1, 2]]}, {"shape_type": "rectangle", "points": [[1, 2]]},
     {"shape_type": "rectangle", "points": [[1, 2], [1, 9]]},
     {"points": [[1, 2], [float("nan"), 3], [4, 5]]}, {"shape_type": "blob", "points": []}],
)  # fmt: skip
def test_labelme_shape_that_is_none_is_told(tmp_path, shape):
    found = labelme(tmp_path, shape)
    assert found.images[0].boxes == ()
    assert "shape 1 skipped" in found.failures[0]


def yolo(tmp_path, text, **files):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(text)
    (tmp_path / "images").mkdir()
    Image.new("L", (200, 100)).save(tmp_path / "images" / "a.png")
    for name, content in files.items():
        (tmp_path / name.replace("_", ".")).write_text(content)
    return read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("line", "box", "score"),
    [("0 .5 .5 .5 .5", (50, 25, 150, 75), None), ("0 .5 .5 .5 .5 .25", (50, 25, 150, 75), 0.25),
     ("0 .1 .2 .5 .2 .3 .8", (20, 20, 100, 80), None),
     ("0 .1 .1 .5 .1 .5 .9 .1 .9 .75", (20, 10, 100, 90), 0.75)],
)  # fmt: skip
def test_yolo_lines_by_how_many_numbers_they_have(tmp_path, line, box, score):
    (image,) = yolo(tmp_path, line).images
    assert (image.file_name, image.width, image.height) == ("images/a.png", 200, 100)
    (found,) = image.boxes
    assert (found.x0, found.y0, found.x1, found.y1) == pytest.approx(box)
    assert found.score == score


def test_yolo_keypoints_are_passed_over_where_the_yaml_says_so(tmp_path):
    line = "0 .5 .5 .5 .5 .1 .1 2 .9 .9 2"
    (image,) = yolo(tmp_path, line, data_yaml="names: [cell]\nkpt_shape: [2, 3]\n").images
    assert (image.boxes[0].x0, image.boxes[0].category) == (50, "cell")


def test_yolo_set_of_train_and_val_finds_its_pictures(tmp_path):
    for part, side in (("train", 100), ("val", 50)):
        (tmp_path / "images" / part).mkdir(parents=True)
        (tmp_path / "labels" / part).mkdir(parents=True)
        Image.new("L", (side, side)).save(tmp_path / "images" / part / "a.jpg")
        (tmp_path / "labels" / part / "a.txt").write_text("0 .5 .5 1 1\n")
    found = read_boxes(tmp_path)
    assert [(i.file_name, i.boxes[0].x1) for i in found.images] == [
        ("images/train/a.jpg", 100), ("images/val/a.jpg", 50)
    ]  # fmt: skip


def test_yolo_picture_without_boxes_is_an_image(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").touch()
    assert [i.boxes for i in read_boxes(tmp_path).images] == [()]


@pytest.mark.parametrize(
    "line",
    ["abc 0 0 0 0", "-1 .5 .5 .5 .5", "0.5 .5 .5 .5 .5", "0 .5 .5 -.2 .5", "0 nan .5 .1 .1",
     "0 inf .5 .1 .1", "0 300 200 50 60", "0,.1,.1,.2,.2", "99999999999999999999 .1 .1 .1 .1"],
)  # fmt: skip
def test_yolo_line_that_is_none_is_told_and_the_others_are_read(tmp_path, line):
    found = yolo(tmp_path, f"0 .5 .5 .5 .5\n{line}\n")
    assert len(found.images[0].boxes) == 1
    assert "line 2 skipped" in found.failures[0]


@pytest.mark.parametrize(
    "text",
    ["a: &a [x]\nnames: [*a, *a]\n", "names: [", "- 1\n- 2\n", "[" * 5000,
     "!!python/object/apply:os.system [x]"],
)  # fmt: skip
def test_hostile_yaml_is_one_line(tmp_path, text):
    with pytest.raises(UserError, match=r"Cannot read .*data\.yaml") as caught:
        yolo(tmp_path, "0 .5 .5 .5 .5\n", data_yaml=text)
    assert "\n" not in str(caught.value)


def test_folder_of_two_formats_asks_for_one(tmp_path):
    coco(tmp_path)
    with pytest.raises(UserError, match=r"several formats \(coco, yolo\)"):
        yolo(tmp_path, "0 .5 .5 .5 .5\n")


def test_broken_file_in_a_folder_is_told_and_the_others_are_read(tmp_path):
    coco(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    found = read_boxes(tmp_path)
    assert len(found.images) == 1
    assert "broken.json" in found.failures[0]


def test_folder_without_annotations_and_missing_path_are_told(tmp_path):
    with pytest.raises(UserError, match="No annotation files"):
        read_boxes(tmp_path)
    with pytest.raises(UserError, match="no such plain file"):
        read_boxes(tmp_path / "none.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UserError, match="no such plain file"):
        read_boxes(tmp_path / "pipe.json")
    with pytest.raises(UserError, match="No folder of pictures"):
        read_boxes(tmp_path, images=tmp_path / "none")
