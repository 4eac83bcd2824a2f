"""The command line and the window share a project."""

from PIL import Image

from napari_medssl._sample_data import lettered_figure, touching_figure
from napari_medssl.cli import main
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.boxes import Box
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState


def write_samples(folder):
    folder.mkdir()
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


def test_project_open_in_the_window_is_refused_in_one_line(tmp_path, capsys):
    figures = write_samples(tmp_path / "figures")
    with Project.create(tmp_path / "job.medssl"):
        assert main(["separate", str(figures), "--out", str(tmp_path / "job.medssl")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "open in another window" in line
