"""Training an encoder by SimSiam: resuming, what it tells, and that its file is an encoder."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoder_world import make_folder, one_thread, picture
from PIL import Image
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend import training
from napari_medssl.backend.contrastive_config import TrainContrastiveConfig, check_trainable
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import load_card
from napari_medssl.backend.train_contrastive import train_contrastive
from napari_medssl.backend.trunks import load_contrastive_trunk, load_imagenet_trunk
from napari_medssl.cli import main

__all__ = ["one_thread"]  # a fixture of this module

QUICK = {"size": 32, "dim": 16, "batch": 4, "steps": 2, "device": "cpu", "checkpoint_every": 1}


def config_of(data, out, **changes):
    return TrainContrastiveConfig(data=data, out=out, **(QUICK | changes))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("images"), 8)


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """A model of two steps, its report, and the progress that it told."""
    out, seen = tmp_path_factory.mktemp("trained") / "mined.safetensors", []
    return out, train_contrastive(config_of(images, out), on_progress=seen.append), seen


def test_an_encoder_is_trained_written_and_told_of(trained):
    out, report, seen = trained
    assert report.card == load_card(out)
    assert (report.card.metrics["images"], report.card.metrics["left_out"]) == (8, 0)
    steps = [p.values for p in seen if p.values]
    assert [set(values) for values in steps] == [{"loss", "spread", "learning_rate"}] * 2
    mean = np.mean([values["spread"] for values in steps])
    assert report.card.metrics["spread"] == pytest.approx(mean, abs=1e-4)
    assert steps[0]["learning_rate"] == pytest.approx(0.05 * 4 / 256)
    assert steps[1]["learning_rate"] == pytest.approx(0.05 * 4 / 256 / 2)  # a cosine
    assert not list(out.parent.glob("*.checkpoint.*"))
    assert str(out.parent) not in out.with_suffix(".json").read_text()


def test_its_file_is_an_encoder_without_heads(trained):
    out, report, _ = trained
    encoder = make_encoder(str(out), "cpu")
    assert (encoder.info.name, encoder.info.dim, encoder.info.pixels) == ("mined", 1280, 32)
    assert encoder.info.sha256 == report.card.sha256
    tiles = np.stack([np.repeat(picture(n)[:32, :32, None], 3, 2) for n in range(3)])
    embeddings = encoder.embed(tiles)
    assert embeddings.shape == (3, 1280)
    trunk, card = load_contrastive_trunk(out)
    assert card == report.card
    assert load_file(out).keys() == trunk.state_dict().keys()


def test_a_resumed_run_equals_an_unbroken_one(images, trained, tmp_path):
    whole, report, seen = trained
    broken, came = tmp_path / "broken.safetensors", []
    with pytest.raises(Cancelled, match=r"after 1 of 2 steps.*with --resume goes on from it"):
        train_contrastive(
            config_of(images, broken),
            on_progress=came.append,
            should_stop=lambda: any(p.values for p in came),
        )
    again = train_contrastive(config_of(images, broken, resume=True), on_progress=came.append)
    assert [p.values for p in came if p.values] == [p.values for p in seen if p.values]
    one, other = load_file(whole), load_file(broken)
    assert all((one[name] == other[name]).all() for name in one)
    assert again.card.metrics == report.card.metrics


def test_it_goes_on_from_the_weights_of_imagenet(images, tmp_path):
    out = tmp_path / "m.safetensors"
    report = train_contrastive(config_of(images, out, start="imagenet", steps=1, learning_rate=0))
    due = load_imagenet_trunk().state_dict()
    trunk, _ = load_contrastive_trunk(out)
    assert torch.equal(trunk.stem[0].weight, due["stem.0.weight"])
    assert not torch.equal(trunk.stem[1].running_mean, due["stem.1.running_mean"])
    assert report.card.licence == "BSD-3-Clause AND Apache-2.0"
    assert "ImageNet" in report.card.description


def test_collapse_is_told(tmp_path):
    """Images that are all one have one embedding."""
    (tmp_path / "d").mkdir()
    for number in range(4):
        Image.new("L", (40, 40), 90).save(tmp_path / "d" / f"{number}.png")
    plain = {"brightness": 0, "contrast": 0, "flip_x": 0, "rotation": 0, "batch": 64}
    report = train_contrastive(
        config_of(tmp_path / "d", tmp_path / "m.safetensors", steps=1, **plain)
    )
    assert report.card.metrics["spread_of_images"] < 0.01
    assert report.remarks[0] == "There are 4 images, fewer than --batch 64: steps had 4."
    assert report.remarks[1].startswith("The embeddings have collapsed: their spread is 0.00")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"out": "a.pt"}, "must end in .safetensors"),
        ({"start": "mine"}, "choose one of random, imagenet"),
        ({"resume": True}, "There is no checkpoint"),
        ({"data": "gone"}, "--data 'gone' is not a folder"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(images, tmp_path, changes, text):
    paths = {k: Path(v) for k, v in changes.items() if k in ("out", "data")}
    named = {"data": images, "out": tmp_path / "m.safetensors"} | changes | paths
    with pytest.raises(UserError, match=text):
        check_trainable(config_of(**named))


def test_a_folder_without_pictures_is_told(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(UserError, match=r"holds no readable image\. Put images in it"):
        train_contrastive(config_of(tmp_path / "d", tmp_path / "m.safetensors"))


def test_models_of_other_kinds_and_damaged_ones_are_told(trained, tmp_path):
    with pytest.raises(UserError, match=r"'siamese-tissue' is .*; due is one of `medssl train con"):
        load_contrastive_trunk("siamese-tissue")
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file

    state = load(trained[0])
    state.pop("stem.0.weight")
    copy = tmp_path / "odd.safetensors"
    card = trained[0].with_suffix(".json").read_text()
    save_file(state, copy, metadata={"card": card})
    with pytest.raises(UserError, match="does not fit the network that its card describes"):
        load_contrastive_trunk(copy)


def test_the_command_hands_the_work_to_a_process_and_tells_its_remarks(
    images, tmp_path, capsys, monkeypatch
):
    """The process itself is tested in test_training.py: here what crosses its border is packed."""

    def packed(value):
        return pickle.loads(pickle.dumps(value))

    def run_here(work, config, **how):
        return packed(packed(work)(packed(config), **how))

    monkeypatch.setattr(training, "run_in_child", run_here)
    out = tmp_path / "mine.safetensors"
    words = ["--steps", "1", "--batch", "16", "--size", "32", "--dim", "16", "--device", "cpu"]
    assert main(["train", "contrastive", *words, "--data", str(images), "--out", str(out)]) == 0
    error = capsys.readouterr().err
    assert "There are 8 images, fewer than --batch 16: steps had 8." in error
    assert f"Encoder 'mine' written to {out}" in error
