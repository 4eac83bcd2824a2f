"""`medssl boxes` converts, and says on stderr what it could not."""

import json

import pytest

from napari_medssl.cli import main
from napari_medssl.io.annotations import read_boxes


def write_labelme(folder, *shapes):
    content = {"shapes": list(shapes), "imagePath": "a.png", "imageWidth": 90, "imageHeight": 80}
    path = folder / "a.json"
    path.write_text(json.dumps(content))
    return path


RECTANGLE = {"label": "plot", "shape_type": "rectangle", "points": [[1, 2], [30, 40.5]]}
LINE = {"label": "axis", "shape_type": "line", "points": [[1, 2], [3, 4]]}
BROKEN = {"label": "b", "shape_type": "rectangle", "points": [[1, 2]]}


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_boxes_are_converted_and_lines_are_told(tmp_path, capsys, to):
    source = write_labelme(tmp_path, RECTANGLE, LINE)
    out = tmp_path / "new" / "out"
    assert main(["boxes", str(source), "--to", to, "--out", str(out)]) == 0
    (image,) = read_boxes(out).images
    (box,) = image.boxes
    assert (box.x0, box.y0, box.x1, box.y1, box.category) == (1, 2, 30, 40.5, "plot")
    printed = capsys.readouterr()
    assert "1 box of 1 image written" in printed.out
    assert printed.err == "warning: a.json: shape 2 ('axis') skipped: a line has no inside\n"


def test_broken_shapes_give_exit_code_1_and_the_rest_is_written(tmp_path, capsys):
    source = write_labelme(tmp_path, RECTANGLE, BROKEN)
    assert main(["boxes", str(source), "--to", "coco", "--out", str(tmp_path / "o.json")]) == 1
    assert len(read_boxes(tmp_path / "o.json").images[0].boxes) == 1
    assert capsys.readouterr().err.startswith("error: a.json: shape 2 skipped")


def test_file_that_cannot_be_read_gives_exit_code_2_and_one_line(tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{")
    out = tmp_path / "o.json"
    assert main(["boxes", str(tmp_path / "bad.json"), "--to", "coco", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "bad.json" in error
    assert not out.exists()


def test_unknown_format_gives_exit_code_2(tmp_path, capsys):
    source = write_labelme(tmp_path, RECTANGLE)
    assert main(["boxes", str(source), "--to", "svg", "--out", str(tmp_path / "o")]) == 2
    assert "svg" in capsys.readouterr().err


def test_many_remarks_are_cut_short(tmp_path, capsys):
    source = write_labelme(tmp_path, RECTANGLE, *[LINE] * 50)
    assert main(["boxes", str(source), "--to", "coco", "--out", str(tmp_path / "o.json")]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 21
    assert "and 30 more" in error
