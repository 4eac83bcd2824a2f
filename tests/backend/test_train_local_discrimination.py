"""Training local discrimination: what it learns from, resuming, and what is refused."""

import pickle

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend import training
from napari_medssl.backend.histogram import even_out
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.landmark_card import least_likeness
from napari_medssl.backend.landmark_models import IMAGENET, load_landmark_model
from napari_medssl.backend.local_discrimination_config import (
    TrainLocalDiscriminationConfig,
    check_trainable,
    objective,
    sampling,
)
from napari_medssl.backend.models import load_card
from napari_medssl.backend.pixel_embedding import load_pixel_embedder
from napari_medssl.backend.train_local_discrimination import train_local_discrimination
from napari_medssl.backend.training_images import load_training_images
from napari_medssl.cli import main

SMALL = {"patch_steps": 2, "steps": 2, "batch": 1, "size": 32, "grid": 4, "stride": "2"}
SMALL |= {"width": 4, "dim": 8, "clusters": 3, "device": "cpu", "checkpoint_every": 1}


def picture(seed, height=40, width=48):
    rng = np.random.default_rng(seed)
    grain = rng.integers(0, 256, (height // 4, width // 4), dtype=np.uint8)
    return np.repeat(np.repeat(grain, 4, 0), 4, 1)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
    Image.fromarray(picture(3, 60, 40)).save(folder / "more" / "3.png")
    return folder


def config_of(images, out, **changes):
    return TrainLocalDiscriminationConfig(data=images, out=out, **(SMALL | changes))


def test_a_model_is_trained_written_and_used(images, tmp_path):
    out = tmp_path / "mine.safetensors"
    seen = []
    report = train_local_discrimination(config_of(images, out), on_progress=seen.append)
    assert report.card == load_card(out)
    assert report.card.task == "local-discrimination"
    assert (report.card.metrics["images"], report.card.metrics["left_out"]) == (4, 0)
    assert len(report.card.metrics["region_areas"]) == 3
    assert [p.message for p in seen if p.values] == ["patches"] * 2 + ["regions"] * 2
    losses = [p.values for p in seen if p.values]
    assert set(losses[0]) == {"loss", "patch", "mix", "learning_rate"}
    assert set(losses[2]) == set(losses[0]) | {"region", "entropy", "area"}
    assert all(np.isfinite(list(values.values())).all() for values in losses)
    assert not list(tmp_path.glob("*.checkpoint.*"))
    assert str(tmp_path) not in out.with_suffix(".json").read_text()
    embeddings = load_pixel_embedder(out, "cpu").embed_image(picture(9))
    assert embeddings.shape == (20, 24, 8)


def test_a_checkpoint_is_written_after_each_epoch(images, tmp_path):
    out, there = tmp_path / "mine.safetensors", []
    checkpoint = tmp_path / "mine.checkpoint.safetensors"
    train_local_discrimination(
        config_of(images, out, checkpoint_every=2),
        on_progress=lambda p: there.append((p.done, checkpoint.exists())) if p.values else None,
    )
    assert there == [(1, False), (2, False), (3, True), (4, True)]


@pytest.mark.parametrize("at", [1, 3])
def test_a_resumed_run_equals_an_unbroken_one(images, tmp_path, at):
    """Broken in the first stage or in the second, it goes on with the same numbers."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    due, came = [], []
    train_local_discrimination(config_of(images, whole), on_progress=due.append)
    with pytest.raises(Cancelled, match=f"after {at} of 4 steps.*with --resume goes on from it"):
        train_local_discrimination(
            config_of(images, broken),
            on_progress=came.append,
            should_stop=lambda: sum(bool(p.values) for p in came) == at,
        )
    train_local_discrimination(config_of(images, broken, resume=True), on_progress=came.append)
    assert [p.values for p in came if p.values] == [p.values for p in due if p.values]
    one, other = load_file(whole), load_file(broken)
    assert all((one[name] == other[name]).all() for name in one)


def test_frozen_regions_leave_the_embeddings_as_they_were(images, tmp_path):
    plain, frozen = tmp_path / "plain.safetensors", tmp_path / "frozen.safetensors"
    seen = []
    train_local_discrimination(
        config_of(images, frozen, frozen=True, size=40, grid=5), on_progress=seen.append
    )
    train_local_discrimination(config_of(images, plain, steps=0, size=40, grid=5))
    before, after = load_file(plain), load_file(frozen)
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed
    assert all(name.startswith("clustering_head") for name in changed)
    values = [p.values for p in seen if p.values][-1]
    assert set(values) == {"loss", "region", "entropy", "area", "learning_rate"}


def test_another_number_of_images_cannot_be_resumed(images, tmp_path):
    config = config_of(images, tmp_path / "m.safetensors")
    asked = iter([False] * 5 + [True] * 9)
    with pytest.raises(Cancelled):
        train_local_discrimination(config, should_stop=lambda: next(asked))
    Image.fromarray(picture(7)).save(images / "new.png")
    with pytest.raises(UserError, match="other settings of images"):
        train_local_discrimination(config_of(images, config.out, resume=True))


def test_reading_stops_within_one_image(images, tmp_path):
    seen = []
    with pytest.raises(Cancelled, match="Stopped while reading the images"):
        train_local_discrimination(
            config_of(images, tmp_path / "m.safetensors"),
            on_progress=seen.append,
            should_stop=lambda: len(seen) == 1,
        )
    assert len(seen) == 1
    assert not list(tmp_path.glob("m.*"))


def test_bad_images_are_told_and_passed_over(images, tmp_path):
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 9)
    (images / "notes.txt").write_text("no picture")
    report = train_local_discrimination(config_of(images, tmp_path / "m.safetensors", steps=0))
    assert report.card.metrics["left_out"] == 1
    assert report.remarks[0].startswith("1 file is left out. Cannot read 'bad.png'")
    assert "bad.png" not in (tmp_path / "m.json").read_text()


def test_a_step_has_no_more_pairs_than_there_are_images(images, tmp_path):
    config = config_of(images, tmp_path / "m.safetensors", steps=0, batch=8)
    report = train_local_discrimination(config)
    assert report.remarks == ("4 images are 2 pairs, fewer than --batch 8: steps had 2.",)


def test_dead_regions_are_told(images, tmp_path, monkeypatch):
    from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork

    def one_has_all(network, features):
        shares = np.zeros((1, 3, 1, 1), np.float32)
        shares[:, 0] = 1
        return features.float().new_tensor(shares).expand(len(features), 3, *features.shape[2:])

    monkeypatch.setattr(LocalDiscriminationNetwork, "assign", one_has_all)
    report = train_local_discrimination(config_of(images, tmp_path / "m.safetensors"))
    assert report.remarks == ("The regions have collapsed: one of them takes every pixel.",)
    assert report.card.metrics["regions_used"] == 1


def test_a_model_for_landmarks_knows_its_like_and_what_stands_beside(images, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(UserError, match="--beside 'none' is no model of landmarks; choose of "):
        train_local_discrimination(config_of(images, out, beside="none"))
    card = train_local_discrimination(config_of(images, out, beside=IMAGENET)).card
    assert card == load_card(out)
    assert card.config["landmarks"]["beside"] == IMAGENET
    assert -1 < card.config["landmarks"]["least_likeness"] < 1
    assert least_likeness(out, [picture(1), np.zeros((8, 8), np.uint8)]) is None
    assert -1 < card.config["landmarks"]["look"]["least_cosine"] < 1
    found = load_landmark_model(out, "cpu")
    assert found.info.name == "m"
    alone = load_landmark_model(IMAGENET, "cpu")
    coarse, fine = found.maps(np.asarray(Image.open(next(images.glob("*.png")))))
    beside, more = alone.maps(np.asarray(Image.open(next(images.glob("*.png")))))
    assert coarse.shape[0] > beside.shape[0]
    assert len(fine) == len(more)
    assert np.abs(np.linalg.norm(coarse.astype(np.float32), axis=0) - 1).max() < 0.01
    told = card.config["landmarks"]["statistics"]
    assert len(told) == 8  # four stages at two widths
    text = out.with_suffix(".json").read_text()
    out.with_suffix(".json").write_text(text.replace(told["384/3"], "?"))
    with pytest.raises(UserError, match="card of model 'm' does not say how the model beside"):
        load_landmark_model(out, "cpu")


def test_images_are_held_at_the_size_of_training_and_their_aspect(images):
    found = load_training_images(images, 32)
    assert [p.shape for p in found.pixels] == [(1, 32, 38)] * 3 + [(1, 48, 32)]
    assert all(p.dtype == np.uint8 for p in found.pixels)


def test_grey_and_colour_are_told_apart_and_can_be_asked_for(images):
    assert load_training_images(images, 32).channels == 1
    assert load_training_images(images, 32, color="rgb").channels == 3
    tinted = np.stack([picture(5), picture(6), picture(7)], axis=-1)
    Image.fromarray(tinted).save(images / "tinted.png")
    assert load_training_images(images, 32).channels == 3
    grey = load_training_images(images, 40, color="grey").pixels[3]
    due = np.asarray(Image.fromarray(tinted).convert("L"))
    assert np.abs(grey[0].astype(int) - due).max() <= 1


def test_histograms_are_evened_out_where_asked_for(images):
    plain = load_training_images(images, 32).pixels
    even = load_training_images(images, 32, equalise=True).pixels
    for image, due in zip(even, plain, strict=True):
        assert np.array_equal(image[0], even_out(due[0]))


def test_wide_values_are_scaled_robustly(tmp_path):
    """A scan of 12 bits in 16, with one hot pixel, looks as its 8-bit copy does."""
    ramp = np.tile(np.linspace(0, 4000, 64), (64, 1)).astype(np.uint16)
    hot = ramp.copy()
    hot[5, 5] = 65535
    tifffile.imwrite(tmp_path / "a.tif", ramp)
    Image.fromarray(hot).save(tmp_path / "b.png")
    first, second = load_training_images(tmp_path, 64).pixels
    due = np.tile(np.linspace(0, 255, 64), (64, 1))
    hot_one = np.zeros((64, 64), bool)
    hot_one[5, 5] = True
    for pixels in (first, second):
        assert np.abs(pixels[0] - due)[~hot_one].max() <= 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"out": "a.pt"}, "must end in .safetensors"),
        ({"steps": 0, "patch_steps": 0}, "train nothing"),
        ({"size": 36}, "--size 36 is not a multiple of 8.*for example 32"),
        ({"stride": "3"}, "choose one of 1, 2, 4"),
        ({"resume": True}, "There is no checkpoint"),
        ({"data": "gone"}, "--data 'gone' is not a folder"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(images, tmp_path, changes, text):
    from pathlib import Path

    paths = {k: Path(v) for k, v in changes.items() if k in ("out", "data")}
    settings = {"data": images, "out": tmp_path / "m.safetensors"} | SMALL | changes | paths
    with pytest.raises(UserError, match=text):
        check_trainable(TrainLocalDiscriminationConfig(**settings))


def test_too_few_images_are_told(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(UserError, match="holds no readable image"):
        check_trainable(config_of(tmp_path / "d", tmp_path / "m.safetensors"))
    Image.fromarray(picture(1)).save(tmp_path / "d" / "a.png")
    (tmp_path / "d" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match="has 1 readable of 2 images; due are at least 2"):
        load_training_images(tmp_path / "d", 32)


def test_the_published_values_are_the_defaults(tmp_path):
    from napari_medssl.methods.local_discrimination.objective import Objective
    from napari_medssl.methods.local_discrimination.views import Sampling

    config = TrainLocalDiscriminationConfig(data=tmp_path, out=tmp_path / "m.safetensors")
    assert sampling(config) == Sampling()
    assert objective(config) == Objective()
    assert (config.batch, config.clusters, config.learning_rate) == (4, 16, 1e-3)
    assert objective(config_of(tmp_path, tmp_path, sigma=0.0)).sigma is None


def test_the_rate_is_halved_as_published(images, tmp_path):
    seen = []
    config = config_of(images, tmp_path / "m.safetensors", schedule="halved", halve_every=1)
    train_local_discrimination(config, on_progress=seen.append)
    rates = [p.values["learning_rate"] for p in seen if p.values]
    assert rates == [1e-3, 5e-4, 1e-3, 5e-4]  # each stage starts anew


def test_the_command_hands_the_work_to_a_process_and_tells_its_remarks(
    images, tmp_path, capsys, monkeypatch
):
    """The process itself is tested in test_training.py: here what crosses its border is packed."""

    def packed(value):
        return pickle.loads(pickle.dumps(value))

    def run_here(work, config, **how):
        return packed(packed(work)(packed(config), **how))

    monkeypatch.setattr(training, "run_in_child", run_here)
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "mine.safetensors"
    words = ["--patch-steps", "1", "--steps", "0", "--batch", "1", "--size", "32", "--grid", "4"]
    words += ["--width", "4", "--device", "cpu", "--data", str(images), "--out", str(out)]
    assert main(["train", "local-discrimination", *words]) == 0
    error = capsys.readouterr().err
    assert "1 file is left out. Cannot read 'bad.png'" in error
    assert f"Model 'mine' written to {out}" in error
