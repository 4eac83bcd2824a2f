"""Stopped by Ctrl+C or SIGTERM, every verb keeps what is finished and says so in one line."""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_medssl._sample_data import lettered_figure, touching_figure
from napari_medssl.backend.checkpoints import load_checkpoint
from napari_medssl.io.annotations import read_boxes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")

MANY = 40


@pytest.fixture
def figures(tmp_path):
    """A folder of more figures than anybody waits for."""
    folder = tmp_path / "figures"
    folder.mkdir()
    samples = (lettered_figure, touching_figure)
    for k, sample in enumerate(samples):
        Image.fromarray(sample()[0][0]).save(folder / f"f{k:02d}.png", compress_level=1)
    for k in range(len(samples), MANY):
        shutil.copy(folder / f"f{k % 2:02d}.png", folder / f"f{k:02d}.png")
    return folder


@pytest.fixture
def few(figures):
    """Four of them: a training reads all before it begins."""
    for path in sorted(figures.iterdir())[4:]:
        path.unlink()
    return figures


@pytest.fixture
def truth(figures):
    """The figures as data with one true box each."""
    (figures / "images").mkdir()
    rows = []
    for number, path in enumerate(sorted(figures.glob("*.png")), start=1):
        path.rename(figures / "images" / path.name)
        rows.append({"id": number, "file_name": path.name, "width": 1040, "height": 760})
    boxes = [
        {"id": row["id"], "image_id": row["id"], "category_id": 1, "bbox": [9, 9, 400, 300]}
        for row in rows
    ]
    content = {"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "panel"}]}
    (figures / "annotations.json").write_text(json.dumps(content))
    return figures


def has_files(folder, pattern="*"):
    """Return a test whether any file came to be."""
    return lambda process: any(Path(folder).glob(pattern))


def the_line(err):
    (line,) = err.splitlines()
    return line


def no_half_files(folder):
    return not list(folder.rglob(".writing-*"))


@pytest.mark.parametrize(
    ("form", "number"),
    [("coco", signal.SIGINT), ("yolo", signal.SIGTERM), ("voc", signal.SIGINT)],
)
def test_separate_writes_what_is_finished(interrupt, figures, tmp_path, form, number):
    out, crops = tmp_path / "out", tmp_path / "crops"
    words = ["separate", figures, "--out", out, "--format", form, "--crops", crops]
    code, _, err = interrupt(number, words, has_files(crops, "f*.png"))
    line = the_line(err)
    found = re.fullmatch(
        rf"error: Stopped after (\d+) of {MANY} figures\. The result is partial: \d+ panels in "
        r"(\d+) figures?, written to .*out\. Run the same command again for all of them\.",
        line,
    )
    assert found, line
    assert code == 1
    assert 1 <= int(found[1]) == int(found[2]) < MANY
    assert len(read_boxes(out).images) == int(found[2])
    assert no_half_files(tmp_path)


def test_harvest_goes_on_where_it_was_stopped(medssl, interrupt, figures, tmp_path):
    out = tmp_path / "out"
    words = ["harvest", figures, "--out", out, "--model", "gutters", "--kind", "all"]
    words += ["--near-bits", "-1"]
    code, _, err = interrupt(signal.SIGINT, words, has_files(out, "*/*.png"))
    found = re.match(rf"error: Stopped after (\d+) of {MANY} figures; .* goes on", the_line(err))
    assert code == 1
    assert found, err
    assert no_half_files(tmp_path)
    rows = (out / "manifest.csv").read_text().splitlines()[1:]
    assert all((out / row.split(",")[0]).is_file() for row in rows)
    done = medssl(*words)
    assert done.returncode == 0
    assert f"from {MANY} figures" in done.stdout


def test_simulated_figures_keep_their_boxes(interrupt, figures, tmp_path):
    out = tmp_path / "out"
    words = ["simulate", "figures", "--pool", figures, "--out", out, "--count", "5000"]
    code, _, err = interrupt(signal.SIGTERM, words, has_files(out, "images/*.png"))
    found = re.match(r"error: Stopped after (\d+) of 5000 figures; they are in", the_line(err))
    assert code == 1
    assert found, err
    assert len(read_boxes(out / "annotations.json").images) == int(found[1])
    assert len(list((out / "images").iterdir())) == int(found[1])


def test_evaluation_says_that_nothing_is_written(interrupt, truth, tmp_path):
    out = tmp_path / "report.json"
    words = ["evaluate", "figures", "--data", truth, "--model", "gutters", "--out", out]

    def is_at_work(process):
        return _cpu_s(process) > 2.5  # past the imports, far from the end

    code, printed, err = interrupt(signal.SIGINT, words, is_at_work)
    assert re.match(rf"error: Stopped after \d+ of {MANY} figures; no score", the_line(err)), err
    assert (code, printed, out.exists()) == (1, "", False)


def test_boxes_are_converted_whole_or_not_at_all(interrupt, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shape = {"label": "p", "shape_type": "rectangle", "points": [[1, 2], [30, 40]]}
    for k in range(3000):
        content = {"shapes": [shape] * 2, "imagePath": f"{k}.png", "imageWidth": 90}
        (source / f"{k}.json").write_text(json.dumps({**content, "imageHeight": 80}))
    words = ["boxes", source, "--to", "yolo", "--out", out]
    code, _, err = interrupt(signal.SIGTERM, words, lambda process: _has_open(process, source))
    assert (code, out.exists()) == (1, False)
    assert the_line(err).startswith("error: Stopped while reading; nothing is written.")
    code, printed, err = interrupt(signal.SIGTERM, words, has_files(out))
    assert (code, err) == (0, "")
    assert "6000 boxes of 3000 images" in printed
    assert len(read_boxes(out).images) == 3000


TRAIN = [
    *("--batch", "1", "--width", "8", "--smallest", "64", "--largest", "64"),
    *("--checkpoint-every", "1", "--device", "cpu"),
]


# To the whole group: how the parent alone is told, and then tells its child, others hold.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_keeps_a_checkpoint(interrupt, few, tmp_path, number):
    out, saved = tmp_path / "m.safetensors", tmp_path / "m.checkpoint.safetensors"
    words = ["train", "figures", "--pool", few, "--out", out, "--steps", "100000", *TRAIN]
    code, _, err = interrupt(number, words, lambda process: saved.exists(), group=True)
    found = re.match(r"error: Stopped after (\d+) of 100000 steps; .* --resume goes", the_line(err))
    assert code == 1
    assert found, err
    assert load_checkpoint(saved).step == int(found[1]) > 0
    assert not out.exists()
    assert no_half_files(tmp_path)


def test_improvement_keeps_a_checkpoint(interrupt, truth, tmp_path):
    for path in sorted((truth / "images").iterdir())[4:]:
        path.unlink()
    out, saved = tmp_path / "m.safetensors", tmp_path / "m.checkpoint.safetensors"
    words = ["improve", "figures", "--project", truth, "--out", out, "--steps", "400"]
    words += [
        "--checks",
        "0",
        "--batch",
        "2",
        "--repeats",
        "1000",
        "--replayed",
        "1",
        "--checked",
        "1",
    ]
    words += ["--smallest", "64", "--largest", "64", "--checkpoint-every", "1", "--device", "cpu"]
    code, _, err = interrupt(signal.SIGINT, words, lambda process: saved.exists(), group=True)
    assert code == 1
    assert re.match(r"error: Stopped after \d+ of \d+ steps; .* --resume goes", the_line(err)), err
    assert load_checkpoint(saved).step > 0
    assert not out.exists()


def test_a_training_stopped_while_its_process_starts_leaves_one_line(interrupt, few, tmp_path):
    words = ["train", "figures", "--pool", few, "--out", tmp_path / "m.safetensors", *TRAIN]

    def has_child(process):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return len(children) > 1  # the first one keeps track of shared memory

    code, _, err = interrupt(signal.SIGINT, words, has_child, group=True)
    assert code == 1
    assert the_line(err).startswith("error: Stopped")


def _cpu_s(process):
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _has_open(process, folder):
    """Tell whether a process holds a file of `folder` open."""
    try:
        links = [os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    except OSError:
        return False
    return any(link.startswith(str(folder)) for link in links)
