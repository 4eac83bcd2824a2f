"""The command line and the window share a project."""

import pytest
from PIL import Image

from napari_medssl._sample_data import lettered_figure, touching_figure
from napari_medssl.cli import main
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.boxes import Box
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState


def write_samples(folder):
    folder.mkdir(parents=True)
    for name, figure in (("a", lettered_figure), ("b", touching_figure)):
        Image.fromarray(figure()[0][0]).save(folder / f"{name}.png")
    return folder


def test_separate_fills_a_project_and_leaves_work_alone(tmp_path, capsys):
    figures = write_samples(tmp_path / "figures")
    job = tmp_path / "job.medssl"
    with Project.create(job) as project:
        (key,) = project.add_images([(figures / "a.png", None)])
        project.store(key, (1040, 760)).add(Box(1, 2, 30, 40))
    assert main(["separate", str(figures), "--out", str(job)]) == 0
    with Project.open(job) as project:
        first, second = project.keys()
        assert project.boxes(first) == (Box(1, 2, 30, 40),)
        found = project.boxes(second)
        assert len(found) > 3
        assert [box.label for box in found[:2]] == ["a", "b"]
        assert all(box.score for box in found)
        project.set_state(first, ReviewState.DONE)
    out = tmp_path / "out.coco.json"
    assert main(["boxes", str(job), "--to", "coco", "--out", str(out), "--accepted"]) == 0
    (image,) = read_boxes(out).images
    assert image.boxes[0].x1 == 30
    assert main(["boxes", str(job), "--to", "coco", "--out", str(out), "--score", "0"]) == 0
    assert len(read_boxes(out).images) == 2


def test_boxes_that_separate_found_are_all_exported(tmp_path):
    job, out = tmp_path / "job.medssl", tmp_path / "out.json"
    (tmp_path / "a.png").write_bytes(b"not looked at")
    with Project.create(job) as project:
        (key,) = project.add_images([(tmp_path / "a.png", None)])
        project.store(key, (100, 80)).add(
            Box(1, 2, 30, 40, score=0.41), Box(50, 2, 90, 40, score=0.2)
        )
    assert main(["boxes", str(job), "--to", "coco", "--out", str(out)]) == 0
    (image,) = read_boxes(out).images
    assert [box.score for box in image.boxes] == [0.41]


def test_crops_of_figures_of_one_name_do_not_write_over_each_other(tmp_path):
    for name in ("one", "two"):
        write_samples(tmp_path / "figures" / name)
    out, crops = tmp_path / "out.json", tmp_path / "crops"
    figures = str(tmp_path / "figures")
    assert main(["separate", figures, "--recursive", "--out", str(out), "--crops", str(crops)]) == 0
    count = sum(len(image.boxes) for image in read_boxes(out).images)
    assert len(list(crops.iterdir())) == count > 6


def test_project_open_in_the_window_is_refused_in_one_line(tmp_path, capsys):
    figures = write_samples(tmp_path / "figures")
    with Project.create(tmp_path / "job.medssl"):
        assert main(["separate", str(figures), "--out", str(tmp_path / "job.medssl")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "open in another window" in line


@pytest.mark.parametrize(("format_", "make"), [("coco", "mkdir"), ("yolo", "touch")])
def test_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path, capsys, monkeypatch, format_, make
):
    from napari_medssl.cli import separate

    monkeypatch.setattr(separate, "separate_files", lambda *_, **__: pytest.fail("worked first"))
    out = tmp_path / "out"
    getattr(out, make)()
    figures = write_samples(tmp_path / "figures")
    words = ["separate", str(figures), "--out", str(out), "--format", format_]
    assert main(words) == 2
    assert str(out) in capsys.readouterr().err
