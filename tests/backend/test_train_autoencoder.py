"""Training the autoencoder: phases, resuming, what it tells, and what it makes of images."""

import pickle

import numpy as np
import pytest
import tifffile
import torch
from autoencoder_world import config_of, make_folder, one_thread, picture
from PIL import Image
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend import training
from napari_medssl.backend.autoencoder import load_autoencoder
from napari_medssl.backend.autoencoder_config import check_trainable
from napari_medssl.backend.autoencoder_images import middle_squares
from napari_medssl.backend.autoencoder_outcome import mean_error, remarks
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import find_weights, load_card
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.backend.train_autoencoder import train_autoencoder
from napari_medssl.backend.training_images import load_training_images
from napari_medssl.cli import main
from napari_medssl.io.images import ImageRef

__all__ = ["one_thread"]  # a fixture of this module


@pytest.fixture
def images(tmp_path):
    return make_folder(tmp_path / "images")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has seen 24 pictures of two kinds for a second, and its folder of pictures."""
    folder = tmp_path_factory.mktemp("trained")
    data, out = make_folder(folder / "images"), folder / "two.safetensors"
    long = {"warmup_steps": 60, "steps": 40, "checkpoint_every": 500, "learning_rate": 0.005}
    report = train_autoencoder(config_of(data, out, **long))
    return out, data, report


def test_a_model_is_trained_written_and_read(images, tmp_path):
    out, seen = tmp_path / "mine.safetensors", []
    report = train_autoencoder(config_of(images, out), on_progress=seen.append)
    assert report.card == load_card(out)
    metrics = report.card.metrics
    assert (metrics["images"], metrics["left_out"], metrics["clusters"]) == (24, 0, 2)
    assert sum(metrics["cluster_sizes"]) == 24
    steps = [p for p in seen if p.values]
    assert [p.message for p in steps] == ["warming up"] * 2 + ["clustering"] * 2
    first = {"loss", "contrastive", "reconstruction", "learning_rate"}
    assert [set(p.values) for p in steps[1:3]] == [first, first | {"clusters_used", "revived"}]
    assert not list(tmp_path.glob("*.checkpoint.*"))
    assert str(tmp_path) not in out.with_suffix(".json").read_text()
    model = load_autoencoder(out, "cpu")
    assert (model.clusters, model.size, model.name) == (2, 32, "mine")


def test_the_contrastive_loss_stays_in_the_second_phase(images, tmp_path):
    """In the released code it is left out; here the projector goes on learning."""
    out, seen, before = tmp_path / "m.safetensors", [], {}

    def look(progress):
        seen.append(progress)
        checkpoint = tmp_path / "m.checkpoint.safetensors"
        if progress.done == 3 and checkpoint.is_file() and not before:
            before.update(load_file(checkpoint))

    train_autoencoder(config_of(images, out, steps=3), on_progress=look)
    assert all(p.values["contrastive"] > 0 for p in seen if p.values)
    name = "projector.0.weight"
    assert np.abs(load_file(out)[name] - before[f"module/network/{name}"]).max() > 1e-5


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_resumed_run_equals_an_unbroken_one(images, tmp_path, at):
    """Broken in the warm-up, between the phases, or in the second."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    due, came = [], []
    train_autoencoder(config_of(images, whole, clusters="auto"), on_progress=due.append)
    with pytest.raises(Cancelled, match=f"after {at} of 4 steps.*with --resume goes on from it"):
        train_autoencoder(
            config_of(images, broken, clusters="auto"),
            on_progress=came.append,
            should_stop=lambda: sum(bool(p.values) for p in came) == at,
        )
    report = train_autoencoder(
        config_of(images, broken, clusters="auto", resume=True), on_progress=came.append
    )
    assert [p.values for p in came if p.values] == [p.values for p in due if p.values]
    one, other = load_file(whole), load_file(broken)
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    assert report.card.metrics == load_card(whole).metrics


def test_a_checkpoint_of_another_method_is_told(images, tmp_path):
    from napari_medssl.backend.checkpoints import save_checkpoint

    config = config_of(images, tmp_path / "m.safetensors", resume=True)
    save_checkpoint(tmp_path / "m.checkpoint.safetensors", {}, {}, step=1, config={})
    with pytest.raises(UserError, match="holds no state of the module 'network'"):
        train_autoencoder(config)


def test_the_search_for_clusters_can_be_stopped(images, tmp_path):
    config, seen = config_of(images, tmp_path / "m.safetensors", clusters="auto"), []
    with pytest.raises(Cancelled, match="Stopped after 2 of 4 steps"):
        train_autoencoder(
            config,
            on_progress=seen.append,
            should_stop=lambda: bool(seen) and seen[-1].message == "looking at 1 clusters",
        )
    assert (tmp_path / "m.checkpoint.safetensors").is_file()


def test_a_seed_gives_a_model_and_another_seed_another(images, tmp_path):
    """The released code sets none."""
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for out, seed in zip(files, (1, 1, 2), strict=True):
        train_autoencoder(config_of(images, out, seed=seed))
    one, same, other = (load_file(out) for out in files)
    assert all((one[name] == same[name]).all() for name in one)
    assert (one["start.weight"] != other["start.weight"]).any()


def test_names_of_folders_are_never_looked_at(images, tmp_path):
    from shutil import copytree

    copytree(images, tmp_path / "renamed")
    (tmp_path / "renamed" / "even").rename(tmp_path / "renamed" / "a class")
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    train_autoencoder(config_of(images, first))
    train_autoencoder(config_of(tmp_path / "renamed", second))
    one, other = load_file(first), load_file(second)
    assert all((one[name] == other[name]).all() for name in one)


def test_after_training_the_cluster_decides_what_the_image_shows(trained):
    """What is left of an image when its cluster is taken away, drawn in the other cluster."""
    out, _, _ = trained
    network = load_autoencoder(out, "cpu").network
    with torch.inference_mode():
        images = network.decode_rest(torch.zeros(2, network.config.dim), torch.eye(2))
    difference = (images[0] - images[1]).abs()
    assert difference.mean() > 0.1  # of 0 to 1


def test_training_lowers_the_error_and_tells_the_kinds_apart(trained):
    out, _, report = trained
    assert report.card.metrics["reconstruction"] < 0.7  # 1 is what the mean image costs
    model = load_autoencoder(out, "cpu")
    squares = np.stack([model.square(np.repeat(picture(n)[..., None], 3, 2)) for n in range(24)])
    clusters, shares = model.assign(model.embed(squares))
    odd = np.arange(24) % 2
    agree = np.mean(clusters == odd)
    assert max(agree, 1 - agree) > 0.8
    assert shares.min() >= 0.5


def test_the_error_is_the_mean_over_all_images(trained, monkeypatch):
    """The released code reports that of the last batch."""
    from napari_medssl.backend import autoencoder_outcome

    network = load_autoencoder(trained[0], "cpu").network
    images = torch.from_numpy(np.stack([picture(n)[None, :32, :32] for n in range(5)]))
    with torch.inference_mode():
        embeddings = network.embed(images.float() / 255)
        decoded = network.decode(embeddings)
    due = (decoded - images / 255).square().mean() / 0.1
    monkeypatch.setattr(autoencoder_outcome, "AT_ONCE", 2)
    assert mean_error(network, embeddings, images, 0.1) == pytest.approx(float(due), rel=1e-5)


def test_images_of_any_kind_become_squares(tmp_path):
    folder = tmp_path / "kinds"
    folder.mkdir()
    tifffile.imwrite(folder / "wide.tif", np.arange(60 * 90, dtype=np.uint16).reshape(60, 90))
    Image.fromarray(picture(1)).convert("RGB").save(folder / "rgb.jpg")
    tinted = np.stack([picture(2), picture(3), picture(4)], axis=-1)
    Image.fromarray(tinted).save(folder / "colour.png")
    Image.fromarray(picture(5)[:9, :7]).save(folder / "tiny.png")
    report = train_autoencoder(config_of(folder, tmp_path / "m.safetensors"))
    assert report.card.config["channels"] == 3
    assert report.card.metrics["images"] == 4
    assert report.remarks[0] == "There are 4 images, fewer than --batch 16: steps had 4."


@pytest.mark.parametrize("limit", [4000, 65535])
def test_a_picture_of_16_bits_is_trained_on_as_it_is_embedded(tmp_path, limit):
    for number in range(2):
        values = np.linspace(0, limit, 40 * 40).reshape(40, 40).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{number}.tif", values)
    found = load_training_images(tmp_path, 32, robust=False)
    tile = read_tile(ImageRef.parse(tmp_path / "0.tif"), 32)
    assert np.array_equal(middle_squares(found)[0, 0], tile[..., 0])


def test_bad_images_are_told_and_passed_over(images, tmp_path):
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 9)
    (images / "notes.txt").write_text("no picture")
    report = train_autoencoder(config_of(images, tmp_path / "m.safetensors", steps=0))
    assert report.card.metrics["left_out"] == 1
    assert report.remarks[0].startswith("1 file is left out. Cannot read 'bad.png'")
    assert load_autoencoder(tmp_path / "m.safetensors", "cpu").clusters == 0


def test_images_that_are_all_alike_are_no_fault(tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(picture(1)).save(folder / f"{number}.png")
    report = train_autoencoder(config_of(folder, tmp_path / "m.safetensors", clusters="3"))
    assert report.card.metrics["clusters"] == 1
    assert "1 clusters rather than 3: no more images differ." in report.remarks


def test_how_k_was_chosen_is_told(images, tmp_path):
    config = config_of(images, tmp_path / "m.safetensors", clusters="auto", most_clusters=5)
    metrics = {"images": 24, "clusters": 4, "revived": 0, "cluster_sizes": [20, 0, 4, 0]}
    found = metrics | {"elbow": {"is_found": True, "most": 5}}
    assert remarks(config, 16, found) == (
        "4 clusters: the elbow of k-means with 1 to 5.",
        "Clusters without an image at the end: 1, 3.",
    )
    missed = metrics | {"elbow": {"is_found": False, "most": 5}, "revived": 2}
    assert remarks(config, 16, missed)[:2] == (
        "4 clusters, the middle of the range: k-means with 1 to 5 shows no elbow.",
        "Clusters that were empty were revived 2 times.",
    )
    card = train_autoencoder(config).card
    assert set(card.metrics["elbow"]) == {"is_found", "most"}
    assert 2 <= card.metrics["clusters"] <= 5


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"out": "a.pt"}, "must end in .safetensors"),
        ({"clusters": "1"}, "--clusters '1' is neither 'auto' nor a number from 2 to 256"),
        ({"clusters": "many"}, "--clusters 'many' is neither"),
        ({"size": "48"}, "choose one of 32, 64, 128"),
        ({"widths": (8,) * 5}, "5 --widths came for --size 32; due are 1 to 4"),
        ({"resume": True}, "There is no checkpoint"),
        ({"data": "gone"}, "--data 'gone' is not a folder"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(images, tmp_path, changes, text):
    from pathlib import Path

    paths = {k: Path(v) for k, v in changes.items() if k in ("out", "data")}
    named = {"data": images, "out": tmp_path / "m.safetensors"} | changes | paths
    with pytest.raises(UserError, match=text):
        check_trainable(config_of(**named))


def test_one_image_is_too_few(tmp_path):
    (tmp_path / "d").mkdir()
    Image.fromarray(picture(1)).save(tmp_path / "d" / "a.png")
    with pytest.raises(UserError, match="has 1 readable of 1 images; due are at least 2"):
        train_autoencoder(config_of(tmp_path / "d", tmp_path / "m.safetensors"))


def test_it_is_an_encoder_of_h_or_z(trained):
    out, _, _ = trained
    model = load_autoencoder(out, "cpu")
    tiles = np.stack([np.repeat(picture(n)[:32, :32, None], 3, 2) for n in range(3)])
    encoder = make_encoder(str(out), "cpu")
    assert (encoder.info.name, encoder.info.dim, encoder.info.pixels) == ("two", 8, 32)
    assert np.allclose(encoder.embed(tiles), model.embed(tiles[..., :1]).numpy(), atol=1e-4)
    assert np.array_equal(make_encoder(f"{out}#h", "cpu").embed(tiles), encoder.embed(tiles))
    projected = make_encoder(f"{out}#z", "cpu")
    assert projected.info.name == "two#z"
    assert projected.info.preprocessing != encoder.info.preprocessing  # they do not compare
    assert not np.allclose(projected.embed(tiles), encoder.embed(tiles), atol=0.1)
    assert np.allclose(np.linalg.norm(projected.embed(tiles), axis=1), 1, atol=1e-5)


def test_a_model_of_another_kind_is_told(trained, tmp_path):
    with pytest.raises(UserError, match="is for the task 'figures', not an autoencoder"):
        load_autoencoder("simcfs-figures", "cpu")
    with pytest.raises(UserError, match="is for the task 'encoder', not an autoencoder"):
        make_encoder("siamese-tissue#z", "cpu")
    copy = tmp_path / "odd.safetensors"
    copy.write_bytes(find_weights(trained[0]).read_bytes())
    text = trained[0].with_suffix(".json").read_text()
    copy.with_suffix(".json").write_text(text.replace('"dim": 8', '"dim": 9', 1))
    with pytest.raises(UserError, match="does not fit the network that its card describes"):
        load_autoencoder(copy, "cpu")


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
    words = ["--warmup-steps", "1", "--steps", "1", "--batch", "4", "--size", "32", "--dim", "4"]
    words += ["--widths", "8", "--widths", "8", "--clusters", "2", "--device", "cpu"]
    assert main(["train", "autoencoder", *words, "--data", str(images), "--out", str(out)]) == 0
    error = capsys.readouterr().err
    assert "1 file is left out. Cannot read 'bad.png'" in error
    assert f"Model 'mine' written to {out}" in error
    assert load_card(out).config["widths"] == [8, 8]
