"""Boxes become Shapes layers and go back to files unchanged, without napari."""

import sys

import numpy as np
import pytest

from napari_medssl._reader import get_reader
from napari_medssl._writer import as_image_boxes, write_coco, write_voc
from napari_medssl.io.annotations import read_boxes, write_boxes
from napari_medssl.io.boxes import Box, ImageBoxes

IMAGE = ImageBoxes(
    "fig one.png",
    200,
    100,
    (Box(0, 0, 50.5, 100, 0.25, "a"), Box(60, 10, 200, 90, None, "b", "plot")),
)


def as_napari_gives_it(layer):
    """Return the layer as a writer gets it: shape types in a list, features in a data frame."""
    pandas = pytest.importorskip("pandas")
    data, options, kind = layer
    assert kind == "shapes"
    types = [options["shape_type"]] * len(data) if data else []
    features = pandas.DataFrame(options["features"])
    return data, {**options, "shape_type": types, "features": features}


@pytest.mark.parametrize(("write", "ending"), [(write_coco, "coco.json"), (write_voc, "xml")])
def test_boxes_survive_reader_and_writer(tmp_path, write, ending):
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    write_boxes([IMAGE], first, "voc" if ending == "xml" else "coco")
    (layer,) = get_reader(str(first))(str(first))
    assert write(str(second), *as_napari_gives_it(layer)) == [str(second)]
    (before,), (after,) = read_boxes(first).images, read_boxes(second).images
    assert after.boxes == before.boxes == IMAGE.boxes
    assert (after.file_name, after.width, after.height) == ("fig one.png", 200, 100)


def test_each_image_is_a_layer_and_only_the_first_is_shown(tmp_path):
    images = [ImageBoxes(f"{n}.png", 10, 10, (Box(0, 0, 5, 5),)) for n in range(3)]
    path = tmp_path / "many.json"
    write_boxes([*images, ImageBoxes("none.png", 10, 10)], path, "coco")
    layers = get_reader([str(path)])([str(path)])
    assert [options.get("visible", True) for _, options, _ in layers] == [True, False, False, False]
    assert [len(data) for data, _, _ in layers] == [1, 1, 1, 0]


def test_a_pixel_belongs_to_the_box_that_covers_it(tmp_path):
    """napari puts the centre of the first pixel at 0, so a box of one pixel ends at halves."""
    path = tmp_path / "one.json"
    write_boxes([ImageBoxes("a.png", 9, 9, (Box(3, 5, 4, 6),))], path, "coco")
    ((data, _, _),) = get_reader(path)(path)
    assert data[0].tolist() == [[4.5, 2.5], [4.5, 3.5], [5.5, 3.5], [5.5, 2.5]]


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", "{", '<?xml version="1.0"?><svg/>'])
def test_other_files_are_left_to_other_readers(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    assert get_reader(str(path)) is None
    assert get_reader([str(path), str(path)]) is None


def test_shapes_drawn_by_hand_are_saved_by_their_bounds():
    triangle = np.array([[0, 10, 10], [0, 30, 10], [0, 30, 40]]) - 0.5
    line = np.array([[0, 1, 1], [0, 2, 2]])
    meta = {"name": "drawn", "shape_type": ["polygon", "line"]}
    found = as_image_boxes([triangle, line], meta)
    assert found == ImageBoxes("drawn", 40, 30, (Box(10.0, 10.0, 40.0, 30.0),))


def test_what_has_no_area_is_told(tmp_path):
    line = np.array([[1.0, 1.0], [2.0, 2.0]])
    with pytest.warns(UserWarning, match="1 lines or paths have no area"):
        write_coco(str(tmp_path / "x.json"), [line], {"name": "x", "shape_type": ["line"]})


def test_more_images_than_layers_make_sense_is_told(tmp_path):
    path = tmp_path / "many.json"
    write_boxes([ImageBoxes(f"{n}.png", 10, 10) for n in range(60)], path, "coco")
    with pytest.warns(UserWarning, match="boxes of 60 images; the first 50 are shown"):
        assert len(get_reader(path)(path)) == 50


@pytest.mark.gui
def test_napari_reads_and_saves_boxes_by_name(tmp_path, make_napari_viewer_proxy):
    path, saved = tmp_path / "boxes.coco.json", tmp_path / "saved.coco.json"
    write_boxes([IMAGE], path, "coco")
    viewer = make_napari_viewer_proxy()
    viewer.open(path, plugin="napari-medssl")
    viewer.layers[0].save(str(saved), plugin="napari-medssl")
    assert read_boxes(saved).images[0].boxes == IMAGE.boxes
    assert "napari" in sys.modules
