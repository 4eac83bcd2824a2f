"""`medssl train action`, `segment` and `evaluate action` as a person calls them."""

import re
import signal
import sys

import numpy as np
import pytest
import torch
from action_world import disks, save, small_config, write_labelled, write_set, write_unlabelled
from PIL import Image

from napari_medssl.backend.checkpoints import load_checkpoint
from napari_medssl.backend.models import load_card
from napari_medssl.backend.train_action import train_action
from napari_medssl.backend.train_steps import checkpoint_of
from napari_medssl.cli import _console, main


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def in_process(monkeypatch):
    """Train in this process: a child takes seconds to begin."""
    monkeypatch.setattr(
        "napari_medssl.backend.training.run_in_child",
        lambda work, *args, **calls: work(*args, **calls),
    )


def train(labelled, out, *words):
    """Return the exit code of a training of moments."""
    small = ["--size", "64", "--short-side", "64", "--steps", "2", "--batch", "2"]
    small += ["--stages", "supervised", "--start", "random", "--device", "cpu"]
    given = ["train", "action", "--labelled", str(labelled), "--out", str(out)]
    return main([*given, *small, *map(str, words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    out = folder / "disks.safetensors"
    train_action(small_config(write_labelled(folder / "known", (0,)), out))
    return out


def test_a_model_is_trained_and_used(in_process, tmp_path, capsys):
    known = write_labelled(tmp_path / "known", (0, 1))
    more = write_unlabelled(tmp_path / "more", (2, 3))
    out = tmp_path / "disks.safetensors"
    words = ("--unlabelled", more, "--stages", "mean-teacher")
    assert train(known, out, *words) == _console.ALL_DONE
    assert "Model 'disks' written to" in capsys.readouterr().err
    assert load_card(out).metrics["unlabelled_images"] == 2


def test_segment_takes_its_models(model, tmp_path, capsys):
    """PNG of class numbers, at the size of each picture."""
    for name, size in (("wide.png", (33, 65)), ("dot.png", (1, 1)), ("long.png", (7, 300))):
        save(
            tmp_path / "in" / name, np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        )
    words = ["segment", str(tmp_path / "in"), "--model", str(model), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "out")]) == _console.ALL_DONE
    assert "3 pictures segmented by 'disks' (0 the rest, 1 1, 2 2)" in capsys.readouterr().err
    for name, (height, width) in (("wide", (33, 65)), ("dot", (1, 1)), ("long", (7, 300))):
        with Image.open(tmp_path / "out" / f"{name}.png") as found:
            assert (found.mode, found.size) == ("L", (width, height))
            assert set(np.unique(np.asarray(found))) <= {0, 1, 2}


def test_a_start_is_trained_without_masks_and_segments_nothing(in_process, tmp_path, capsys):
    more, out = write_unlabelled(tmp_path / "more", (0, 1)), tmp_path / "start.safetensors"
    words = ["train", "action", "--unlabelled", str(more), "--out", str(out), "--device", "cpu"]
    words += ["--size", "64", "--short-side", "64", "--steps", "1", "--batch", "1"]
    words += ["--start", "random"]
    assert main([*words, "--stages", "supervised"]) == _console.NOTHING_DONE
    told = " ".join(capsys.readouterr().err.split())
    assert "Stage 'supervised' learns from masks. Give --labelled, or stages that need" in told
    assert main([*words, "--stages", "distillation"]) == _console.ALL_DONE
    capsys.readouterr()
    words = ["segment", str(more), "--model", str(out), "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu"]) == _console.NOTHING_DONE
    told = " ".join(capsys.readouterr().err.split())
    assert "'start' is for the task 'segmentation-start' and segments nothing" in told
    assert "Traceback" not in told


def wrong_size(folder):
    save(folder / "masks" / "000.png", np.zeros((20, 10), np.uint8))


def unknown_value(folder):
    save(folder / "masks" / "000.png", np.full((80, 80), 40, np.uint8) * (disks(0)[1] > 0))
    save(folder / "masks" / "001.png", np.full((80, 80), 50, np.uint8) * (disks(1)[1] > 0))


def no_pairs(folder):
    for path in (folder / "masks").iterdir():
        path.rename(path.with_stem(path.stem + "_mask"))


def nothing_painted(folder):
    for path in (folder / "masks").iterdir():
        save(path, np.zeros((80, 80), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "words", "text"),
    [
        (lambda f: [wrong_size(f), (f / "masks" / "001.png").unlink()], (), "10 x 20 pixels"),
        (unknown_value, ("--mask-values", "classes"), "due are classes of 1 to 31"),
        (no_pairs, (), "An image and its mask have the same name"),
        (nothing_painted, (), "All 2 masks are empty: nothing is labelled"),
    ],
)
def test_masks_that_cannot_be_used_are_one_line(in_process, tmp_path, capsys, spoil, words, text):
    known = write_labelled(tmp_path / "known", (0, 1))
    spoil(known)
    out = tmp_path / "m.safetensors"
    assert train(known, out, *words) == _console.NOTHING_DONE
    error = capsys.readouterr().err
    assert text in " ".join(error.split())
    assert "Traceback" not in error
    assert not out.exists()


def test_one_mask_that_cannot_be_used_is_left_out_and_told(in_process, tmp_path, capsys):
    known = write_labelled(tmp_path / "known", (0, 1))
    wrong_size(known)
    (known / "masks" / "007.png").write_bytes((known / "masks" / "001.png").read_bytes())
    out = tmp_path / "m.safetensors"
    assert train(known, out) == _console.ALL_DONE
    told = " ".join(capsys.readouterr().err.split())
    assert "1 file is left out." in told
    assert "have no image and are left out: '007.png'" in told
    assert load_card(out).metrics["labelled_images"] == 1
    assert load_card(out).metrics["left_out"] == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--stages", "nonsense"), "'nonsense' is no stage"),
        (("--size", "100"), "--size 100 is not a multiple of 32. Give 96."),
        (("--start", "nonsense"), "nonsense"),
        (("--resume",), "to resume. Leave --resume out."),
        (("--unlabelled", "/nowhere"), "--unlabelled '/nowhere' is not a folder"),
    ],
)
def test_wrong_words_are_told_before_anything_is_read(tmp_path, capsys, words, text):
    known = write_labelled(tmp_path / "known", (0,))
    assert train(known, tmp_path / "m.safetensors", *words) == _console.NOTHING_DONE
    assert text in " ".join(capsys.readouterr().err.split())


def test_recipes_are_compared(tmp_path, capsys):
    data, out = write_set(tmp_path / "disks", range(3)), tmp_path / "table.json"
    words = ["evaluate", "action", "--data", str(data), "--out", str(out), "--start", "random"]
    words += ["--recipes", "supervised", "--recipes", "pseudo", "--fractions", "50"]
    words += ["--seeds", "1", "--steps", "1", "--batch", "1", "--size", "64", "--device", "cpu"]
    assert main(words) == _console.ALL_DONE
    came = capsys.readouterr()
    assert "DSC by recipe" in came.out
    assert re.search(r"disks\W+mean\W+1\W+50", came.out)
    assert out.is_file()
    assert out.with_suffix(".md").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_9_loses_one_interval_at_most(interrupt, in_process, tmp_path):
    """Both processes are killed as soon as there is a checkpoint; --resume goes on from it."""
    known, out = write_labelled(tmp_path / "known", (0,)), tmp_path / "m.safetensors"
    words = ["train", "action", "--labelled", known, "--out", out, "--stages", "supervised"]
    words += ["--start", "random", "--size", "64", "--short-side", "64", "--batch", "1"]
    words += ["--steps", "40", "--checkpoint-every", "5", "--device", "cpu"]
    place = checkpoint_of(out)
    code, _, _ = interrupt(signal.SIGKILL, words, lambda process: place.exists(), group=True)
    if code == 0:
        pytest.fail("it was over before it was killed")
    assert code == -signal.SIGKILL
    assert not out.exists()
    kept = load_checkpoint(place).step
    assert kept in range(5, 40, 5)
    assert main([*map(str, words), "--resume"]) == _console.ALL_DONE
    assert load_card(out).recipe.steps == 40
    assert not place.exists()
