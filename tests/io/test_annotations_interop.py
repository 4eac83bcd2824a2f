"""Files that other tools wrote are read right: every box counted, corners compared.

The expected numbers are taken from the raw files in another way than ours, or looked up by hand.
"""

import csv
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from napari_medssl.io.annotations import read_boxes


def corners(found):
    return [(b.x0, b.y0, b.x1, b.y1) for image in found.images for b in image.boxes]


def test_every_file_of_the_four_formats_is_tested_here(data_dir):
    with (data_dir / "interop" / "MANIFEST.csv").open(newline="") as stream:
        files = [row["file"] for row in csv.DictReader(stream)]
    ours = re.compile(r"(coco|voc|labelme|yolo)/|label_studio/.*(result\.json|labels/)")
    text = Path(__file__).read_text()
    annotations = [
        f for f in files if ours.match(f) and not f.endswith((".jpg", "README.roboflow.txt"))
    ]
    assert len(annotations) > 15
    for name in annotations:
        known = [part for part in Path(name).with_suffix("").parts if part in text]
        assert known, f"{name} has no test"


def test_cvat_polygons_count_where_the_bbox_is_nonsense(data_dir):
    path = data_dir / "interop/coco/cvat_cadillac_instances_default.json"
    raw = json.loads(path.read_bytes())
    found = read_boxes(path)
    expected = []
    for image in raw["images"]:
        for entry in raw["annotations"]:
            if entry["image_id"] == image["id"]:
                flat = entry["segmentation"][0]
                pairs = list(zip(flat[0::2], flat[1::2], strict=True))
                left, right = min(pairs)[0], max(pairs)[0]
                upper, lower = min(y for _, y in pairs), max(y for _, y in pairs)
                expected.append((left, upper, right, lower))
    assert (len(found.images), len(expected)) == (6, 29)
    assert corners(found) == expected
    assert corners(found)[0] == (0.0, 98.00000190734863, 1199.0000009536743, 507.99999237060547)
    assert len(found.notes) == 29
    assert not found.failures


def test_roboflow_coco_boxes_are_as_they_are(data_dir):
    path = data_dir / "interop/coco/roboflow_rbc/_annotations.coco.json"
    raw = json.loads(path.read_bytes())
    found = read_boxes(path)
    assert (len(found.images), len(corners(found))) == (10, 221)
    assert corners(found)[0] == (67.0, 80.0, 67 + 157.5, 80 + 143.5)
    areas = sorted((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in corners(found))
    assert areas == pytest.approx(sorted(entry["area"] for entry in raw["annotations"]), rel=1e-3)
    assert found.images[0].extra["date_captured"] == "2021-08-28T12:48:28+00:00"
    assert {box.category for image in found.images for box in image.boxes} == {"rbc", "wbc"}
    assert read_boxes(path.parent).images == found.images


def test_label_studio_coco_keeps_two_entries_of_one_picture(data_dir):
    found = read_boxes(data_dir / "interop/label_studio/coco_bbox/result.json")
    assert [len(image.boxes) for image in found.images] == [2, 2, 2]
    assert corners(found)[0][:2] == (1060.8378870673953, 2009.4717668488158)
    assert corners(found)[5][2] == 1728.9617486338798 + 71.40255009107469
    assert found.images[0].file_name == found.images[1].file_name == "images/718f1d05__image1"


def test_label_studio_polygon_gives_its_bounds(data_dir):
    found = read_boxes(data_dir / "interop/label_studio/coco_polygon/result.json")
    assert corners(found) == [(384.0, 63.371919769499506, 578.9357798165138, 356.7603305785124)]
    assert found.images[0].boxes[0].category == "Airplane"


def with_pictures(data_dir, folder, tmp_path, size):
    """Return a folder of blank pictures for the labels of a set that came without."""
    labels = sorted((data_dir / "interop" / folder).rglob("labels/*.txt"))
    for path in labels:
        Image.new("L", size).save(tmp_path / f"{path.stem}.png")
    return labels


def test_label_studio_yolo_is_its_coco_export_in_fractions(data_dir, tmp_path):
    folder = data_dir / "interop/label_studio/yolo_bbox"
    with_pictures(data_dir, "label_studio/yolo_bbox", tmp_path, (2800, 2800))
    found = read_boxes(folder, images=tmp_path)
    coco = read_boxes(data_dir / "interop/label_studio/coco_bbox/result.json")
    assert len(corners(found)) == 4
    for ours, theirs in zip(corners(found), corners(coco)[2:], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert corners(found)[0][0] == pytest.approx(1040.4371584699454)
    assert [b.category for b in found.images[0].boxes] == ["parasites", "white"]


def test_yolo_without_pictures_stays_in_fractions_and_says_so(data_dir):
    found = read_boxes(data_dir / "interop/label_studio/yolo_bbox")
    assert {(image.width, image.height) for image in found.images} == {(1, 1)}
    assert corners(found)[0][0] == pytest.approx(0.39253187613843354 - 0.04189435336976321 / 2)
    assert "fractions" in found.notes[0]


def test_label_studio_turned_boxes_give_their_bounds(data_dir, tmp_path):
    labels = with_pictures(data_dir, "label_studio/yolo_obb_obb", tmp_path, (1000, 500))
    found = read_boxes(data_dir / "interop/label_studio/yolo_obb_obb", images=tmp_path)
    rows = [line.split() for path in labels for line in path.read_text().splitlines()]
    assert len(corners(found)) == len(rows) == 25
    # 3d738ebf__image3: the leftmost corner is the first, the lowest the fourth
    assert corners(found)[0] == pytest.approx(
        (51.22369085508009, 158.27093592567656, 538.627641570666, 296.41138043344603)
    )
    for row, (x0, _, _, y1) in zip(rows, corners(found), strict=True):
        assert x0 == pytest.approx(1000 * sorted(map(float, row[1::2]))[0])
        assert y1 == pytest.approx(500 * sorted(map(float, row[2::2]))[-1])


@pytest.mark.parametrize("entry", ["", "data.yaml"])
def test_roboflow_yolo_ignores_the_paths_of_its_yaml(data_dir, tmp_path, entry):
    labels = with_pictures(data_dir, "yolo/roboflow_cells", tmp_path, (640, 640))
    found = read_boxes(data_dir / "interop/yolo/roboflow_cells" / entry, images=tmp_path)
    lines = [path.read_text().count(" ") // 4 for path in labels]
    assert [len(image.boxes) for image in found.images] == lines
    assert sum(lines) == 249
    assert corners(found)[0] == pytest.approx((139.5, 43.5, 183.5, 98.5))
    assert {b.category for image in found.images for b in image.boxes} == {"cells"}


def test_roboflow_yolo_label_file_alone_finds_its_classes(data_dir):
    path = next((data_dir / "interop/yolo/roboflow_cells/test/labels").glob("999652251*.txt"))
    (image,) = read_boxes(path).images
    assert image.boxes[0].category == "cells"
    assert image.boxes[0].x0 == pytest.approx(0.20234375 - 0.2046875 / 2)
    assert len(image.boxes) == len(path.read_text().split()) // 5


VOC = {
    "bccd_labelimg_BloodImage_00000": (20, (260.0, 177.0, 491.0, 376.0), (640, 480)),
    "labelme2voc_2011_000003":
        (2, (191.0, 107.36900369003689, 313.0, 329.36900369003695), (500, 338)),
    "labelme2voc_2011_000006": (4, (91.0, 107.0, 240.0, 330.0), (500, 375)),
    "labelme2voc_2011_000025":
        (3, (84.0, 20.384615384615387, 435.0, 373.38461538461536), (500, 375)),
}  # fmt: skip


@pytest.mark.parametrize("name", VOC)
def test_voc_of_labelimg_and_labelme_is_as_it_is(data_dir, name):
    path = data_dir / "interop/voc" / f"{name}.xml"
    count, first, size = VOC[name]
    (image,) = read_boxes(path).images
    raw = re.findall(r"<(?:xmin|ymin|xmax|ymax)>([0-9.]+)<", path.read_text())
    assert [v for corner in corners(read_boxes(path)) for v in corner] == [float(v) for v in raw]
    assert len(image.boxes) == count
    assert corners(read_boxes(path))[0] == first
    assert (image.width, image.height) == size


def test_voc_folder_is_all_its_files(data_dir):
    found = read_boxes(data_dir / "interop/voc")
    assert len(found.images) == 4
    assert len(corners(found)) == 29


def test_labelme_polygons_give_their_bounds(data_dir):
    path = data_dir / "interop/labelme/2011_000006.json"
    raw = json.loads(path.read_bytes())
    found = read_boxes(path)
    assert len(corners(found)) == len(raw["shapes"]) == 10
    assert corners(found)[0] == (
        92.93617021276599,
        108.56382978723406,
        242.936170212766,
        329.56382978723406,
    )
    for shape, box in zip(raw["shapes"], found.images[0].boxes, strict=True):
        assert box.category == shape["label"]
        assert [box.x0, box.y0] == [sorted(axis)[0] for axis in zip(*shape["points"], strict=True)]
    assert found.images[0].file_name == "2011_000006.jpg"


def test_other_tools_files_are_refused_by_name(data_dir):
    for path in sorted((data_dir / "interop/other_annotations").iterdir()):
        with pytest.raises(ValueError, match=re.escape(path.name)):
            read_boxes(path)


@pytest.mark.data("figures/annotations.json", "figures_hard/annotations.json")
def test_development_figures_come_back_from_coco(data_file, tmp_path):
    from napari_medssl.io.annotations import write_boxes

    found = read_boxes(data_file)
    write_boxes(found.images, tmp_path / "a.json", "coco", header=found.header)
    again = read_boxes(tmp_path / "a.json")
    assert again.images == found.images
    assert again.header == found.header
    assert not found.failures
