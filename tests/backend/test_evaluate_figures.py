"""Scoring a folder of figures: what is read, counted, grouped and written."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.evaluate_figures import (
    EvaluateFiguresConfig,
    evaluate_figures,
)
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.true_figures import read_true_figures
from napari_medssl.cli import main
from napari_medssl.io.boxes import Box

PANELS = [(10, 10, 90, 110), (110, 10, 190, 110)]


def draw_figure(path, panels=PANELS):
    image = np.full((120, 200, 3), 255, np.uint8)
    for x0, y0, x1, y1 in panels:
        image[y0:y1, x0:x1] = np.random.default_rng(0).integers(0, 200, (y1 - y0, x1 - x0, 3))
    Image.fromarray(image).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two figures of two panels from two sources, one single figure, one not annotated."""
    (tmp_path / "images").mkdir()
    for name, panels in (("a", PANELS), ("b", PANELS), ("c", PANELS[:1])):
        draw_figure(tmp_path / "images" / f"{name}.png", panels)
    images = [
        {"id": 1, "file_name": "images/a.png", "source": "x", "box_origin": "hand, one"},
        {"id": 2, "file_name": "b.png", "source": "y", "box_origin": "hand, two"},
        {"id": 3, "file_name": "images/c.png", "compound": False},
        {"id": 4, "file_name": "images/d.png", "annotated": False},
    ]
    annotations = [
        {"image_id": i, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for i, panels in ((1, PANELS), (2, PANELS), (3, PANELS[:1]))
        for x0, y0, x1, y1 in panels
    ]
    write_truth(tmp_path, {"images": images, "annotations": annotations})
    return tmp_path


def write_truth(folder, content):
    (folder / "annotations.json").write_text(json.dumps(content))


def test_perfect_splitter_scores_one(folder):
    """The gutter splitter is exact on white gutters, in every group."""
    report = evaluate_figures(EvaluateFiguresConfig(folder, model="gutters"))
    names = [(group.kind, group.name) for group in report.groups]
    assert names == [
        ("all", "all"),
        ("kind", "compound"),
        ("kind", "single"),
        ("source", "x"),
        ("source", "y"),
        ("box_origin", "hand"),
    ]
    assert all(group.f1_75 == group.ap_50_95 == 1 for group in report.groups)
    assert [group.figures for group in report.groups] == [3, 2, 1, 1, 1, 2]


def test_f1_uses_default_boxes_and_ap_all(folder):
    """A right box below the default score counts for AP and not for F1."""

    def split(image, score):
        strong, weak = Box(*PANELS[0], score=0.9), Box(*PANELS[1], score=0.1)
        return [strong] if score is None else [strong, weak]

    report = evaluate_figures(EvaluateFiguresConfig(folder), split=split)
    compound = report.groups[1]
    assert (compound.recall_50, compound.precision_50) == (0.5, 1)
    assert compound.ap_50 == 1


def test_split_singles_are_reported(folder):
    """A single figure with two boxes is counted, in its group and over all."""
    halves = [Box(10, 10, 50, 110), Box(50, 10, 90, 110)]
    report = evaluate_figures(EvaluateFiguresConfig(folder), split=lambda image, score: halves)
    assert [group.split_singles for group in report.groups[:3]] == [1, 0, 1]


def test_report_is_json(folder):
    """The JSON holds every figure and no nan, also where a group has no prediction."""
    report = evaluate_figures(EvaluateFiguresConfig(folder), split=lambda image, score: [])
    content = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert [figure["file_name"] for figure in content["figures"]] == ["a.png", "b.png", "c.png"]
    assert content["groups"][0]["f1_50"] == 0


def test_unreadable_figure_is_listed(folder):
    """A broken image is named with a reason; the others are scored."""
    (folder / "images" / "a.png").write_bytes(b"no image")
    report = evaluate_figures(EvaluateFiguresConfig(folder, model="gutters"))
    assert [name for name, _ in report.failures] == ["a.png"]
    assert report.groups[0].figures == 2


def test_stop_is_heard(folder):
    """A job that is asked to stop raises Cancelled."""
    with pytest.raises(Cancelled):
        evaluate_figures(EvaluateFiguresConfig(folder, model="gutters"), should_stop=lambda: True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON text"),
        ("[]", "no COCO file"),
        ('{"images": [{"id": 1}], "annotations": []}', "file_name"),
        ('{"images": [], "annotations": [{"image_id": 1, "bbox": [1]}]}', "no COCO file"),
        ('{"images": [], "annotations": []}', "no annotated figure"),
        (
            '{"images": [{"id": 1, "file_name": "../../a.png"}], "annotations": []}',
            "leads out of",
        ),
    ],
)
def test_bad_truth_is_told(tmp_path, text, message):
    """A truth file that is no COCO file gives one readable line."""
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(UserError, match=message):
        evaluate_figures(EvaluateFiguresConfig(tmp_path, model="gutters"))


def test_missing_folder_is_told(tmp_path):
    """The line says what the folder must hold."""
    with pytest.raises(UserError, match=r"holds images/ and annotations\.json"):
        read_true_figures(tmp_path / "none")


def test_command_prints_table_and_writes_report(folder, tmp_path, capsys):
    """The verb prints every group and writes the JSON."""
    out = tmp_path / "report.json"
    arguments = ["evaluate", "figures", "--data", str(folder), "--model", "gutters"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "AP50:95" in printed
    assert "source: x" in printed
    assert json.loads(out.read_text())["model"] == "gutters"


def test_command_tells_bad_input(tmp_path, capsys):
    """A folder without truth: exit code 2, one line."""
    assert main(["evaluate", "figures", "--data", str(tmp_path), "--model", "gutters"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.data
@pytest.mark.slow
def test_baseline_on_real_figures(data_dir):
    """The baseline stays at the level that the project's tables report."""
    report = evaluate_figures(EvaluateFiguresConfig(data_dir / "figures", model="gutters"))
    assert report.groups[0].boxes == 259
    assert report.groups[0].f1_50 == pytest.approx(0.74, abs=0.03)
