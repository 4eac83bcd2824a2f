"""Used in every wrong way, `medssl` answers with one line and an exit code, never a traceback."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from napari_medssl._sample_data import lettered_figure
from napari_medssl.backend import training
from napari_medssl.cli import main
from napari_medssl.io.annotations import read_boxes

IMAGE = "we[i]rd [bold] \u56f3\nline " + "x" * 200 + ".png"
VERBS = (
    "", "doctor", "models", "separate", "boxes", "harvest", "simulate", "simulate figures",
    "tiles", "train", "train figures", "evaluate", "evaluate figures", "improve", "improve figures",
    "improve use", "improve revert", "embed", "train siamese", "evaluate retrieval",
)  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in: two figures, an empty folder, a project, data, annotations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        training, "run_in_child", lambda *_, **__: pytest.fail("started the process first")
    )
    figure = Image.fromarray(lettered_figure()[0][0])
    for name in ("figs", "empty", "data/images"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("one.png", "figs/a.png", "figs/b.png", "data/images/a.png"):
        figure.save(tmp_path / name, compress_level=1)
    image = '{"id": 1, "file_name": "a.png", "width": 1040, "height": 760}'
    box = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 80, 60]}'
    content = f'{{"images": [{image}], "annotations": [{box}], "categories": []}}'
    (tmp_path / "data/annotations.json").write_text(content.replace("[]", '[{"id":1,"name":"p"}]'))
    from napari_medssl.state.project import Project

    with Project.create(tmp_path / "p.medssl") as project:
        project.add_images([(tmp_path / "one.png", None)])
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("separate none.png --out o.json", "no such file"),
        ("separate empty --out o.json", "No picture in 'empty'"),
        ("separate one.png --out one.png", "is an input"),
        ("separate figs --out figs/b.png", "is an input"),
        ("separate figs --out figs", "is an input"),
        ("separate figs --out o.json --crops figs", "is an input"),
        ("separate figs --out same --crops same --format yolo", "Name two places"),
        ("separate figs --out p.medssl/project.json", "lies in the project"),
        ("separate figs --out o.xml --format voc", "Cannot write 2 images to 'o.xml'"),
        ("separate figs --out empty", "it is a folder"),
        ("separate figs --out one.png --format yolo", "Cannot make the folder"),
        ("separate figs --out one.png/o.json", "Cannot make the folder"),
        ("separate figs --out o.json --model none", "No model is named 'none'"),
        ("separate figs --out o.json --score nan", "out of range"),
        ("harvest none --out h", "no such file"),
        ("harvest figs --out figs", "lies in --out"),
        ("harvest figs/a.png --out figs", "lies in --out"),
        ("harvest figs --out one.png", "Cannot make folder"),
        ("harvest figs --out p.medssl/h", "lies in the project"),
        ("boxes none --to coco --out x.json", "no such"),
        ("boxes data/annotations.json --to coco --out data/annotations.json", "is an input"),
        ("boxes data --to coco --out data/annotations.json", "is a file of 'data' already"),
        ("boxes p.medssl --to coco --out p.medssl/project.json", "lies in the project"),
        ("boxes p.medssl --to coco --out x.json --score nan", "'nan' is out of range"),
        ("simulate figures --pool none --out s", "is not a folder"),
        ("simulate figures --pool figs --out one.png", "is a file"),
        ("simulate figures --pool figs --out figs", "is not empty"),
        ("evaluate figures --data empty", "Cannot read"),
        ("evaluate figures --data data --out data/annotations.json", "is an input"),
        ("evaluate figures --data data --out data/images/a.png", "is a file of"),
        ("evaluate figures --data data --out empty", "it is a folder"),
        ("train figures --pool none --out m.safetensors", "is not a folder"),
        ("train figures --pool empty --out m.safetensors", "holds no readable image"),
        ("train figures --pool figs --out m.pth", "must end in .safetensors"),
        ("train figures --pool figs --out one.png/m.safetensors", "Cannot make the folder"),
        ("train figures --pool figs --out m.safetensors --width 25", "not a multiple of 8"),
        (
            "train figures --pool figs --out m.safetensors --smallest 65 --largest 95",
            "no multiple of 32",
        ),
        ("train figures --pool figs --out m.safetensors --init none", "No model is named"),
        (
            "train figures --pool figs --out m.safetensors --init simcfs-figures --width 16",
            "another shape",
        ),
        ("train figures --pool figs --out m.safetensors --resume", "no checkpoint"),
        ("improve figures --project none", "does not exist"),
        ("improve figures --project p.medssl", "no accepted figure"),
        ("improve figures --project data --smallest 65 --largest 95", "no multiple of 32"),
        ("improve figures --project data --pool none", "is not a folder"),
        ("improve figures --project data --resume", "no checkpoint"),
        ("improve figures --project data --report data/annotations.json", "is an input"),
        ("improve use --project none --model simcfs-figures", "is no project"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(place, capsys, words, said):
    before = sorted((path, path.stat().st_size) for path in place.rglob("*"))
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    after = sorted((path, path.stat().st_size) for path in place.rglob("*"))
    assert [entry for entry in before if entry not in after] == []


@pytest.mark.cuda
def test_a_gpu_that_is_there_is_taken(place):
    assert main(["separate", "one.png", "--out", "o.json", "--device", "cuda"]) == 0


@pytest.mark.parametrize("verb", ["separate one.png --out o.json", "evaluate figures --data data"])
def test_a_gpu_that_is_absent_is_named(place, capsys, verb):
    assert main([*verb.split(), "--device", "mps" if sys.platform != "darwin" else "cuda"]) == 2
    assert "is not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_odd_names_are_kept_and_told_whole(place, capsys, form):
    (place / "one.png").rename(place / IMAGE)
    words = ["separate", IMAGE, IMAGE, "none " + IMAGE, "--out", "out", "--format", form]
    assert main(words) == 1
    (image,) = read_boxes(place / "out").images
    assert image.boxes
    (failure,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert IMAGE.replace("\n", r"\n") in failure


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_no_text_is_refused_by_a_project_alone(place, capsys):
    name = os.fsdecode(b"bad\xff.png")
    (place / "one.png").rename(place / name)
    assert main(["separate", name, "--out", "o.json"]) == 0
    assert main(["separate", name, "--out", "q.medssl"]) == 1
    assert "is not valid text. Rename it." in capsys.readouterr().err


def test_a_second_harvest_passes_over_the_crops_of_the_first(place, capsys):
    words = ["harvest", "figs", "--out", "figs/h", "--kind", "all", "--model", "gutters"]
    assert main(words) == main(words) == 0
    assert "from 2 figures" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_shows_an_example(verb, capsys):
    assert main([*verb.split(), "--help"]) == 0
    assert "Example: medssl" in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(sys.platform == "win32", reason="made with a shell")
@pytest.mark.parametrize("stream", ["| head -c 1", ">&-", "2>&-"])
@pytest.mark.parametrize("words", ["--help", "models --json", "separate one.png --out o.json"])
def test_a_closed_stream_changes_nothing(place, words, stream):
    code = "import sys; from napari_medssl.cli import main; sys.exit(main())"
    command = f'set -o pipefail; "{sys.executable}" -c "{code}" {words} {stream}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert (place / "o.json").exists() == words.startswith("separate")


@pytest.mark.parametrize("home", [None, "", "/nonexistent"])
def test_no_home_is_needed(place, medssl, home):
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_DATA_HOME")}
    env = kept if home is None else kept | {"HOME": home}
    done = medssl("separate", "one.png", "--out", "o.json", env=env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
