"""`medssl sample` and `medssl reconstruct` with an autoencoder of a moment's training."""

import csv

import numpy as np
import pytest
import torch
from autoencoder_world import config_of, make_folder, one_thread, picture
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.autoencoder import load_autoencoder
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.reconstruct_files import ReconstructConfig, reconstruct_files
from napari_medssl.backend.sample_images import SampleConfig, sample_images
from napari_medssl.backend.train_autoencoder import train_autoencoder
from napari_medssl.cli import main
from napari_medssl.io.embedding_table import read_embeddings
from napari_medssl.io.images import ImageRef

__all__ = ["one_thread"]  # a fixture of this module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    out = folder / "m.safetensors"
    train_autoencoder(config_of(make_folder(folder / "images"), out, clusters="3"))
    return out


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("a.png", "one/b.png", "two/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(len(name))).resize((50, 40)).save(folder / name)
    return folder


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def shown(path):
    return np.asarray(Image.open(path))


def test_samples_are_pictures_of_the_embeddings_in_the_table(model, tmp_path, capsys):
    out = tmp_path / "s"
    words = ["--model", str(model), "--out", str(out), "--device", "cpu"]
    assert main(["sample", *words, "--count", "5"]) == 0
    assert "5 samples written to" in capsys.readouterr().err
    names, latents, about = read_embeddings(out / "samples.parquet")
    assert names == [row["image"] for row in table(out / "samples.csv")]
    assert names == [f"sample-000{n}.png" for n in range(1, 6)]
    assert about["name"] == "m"
    assert np.allclose(np.linalg.norm(latents, axis=1), 1, atol=1e-5)
    read = load_autoencoder(model, "cpu")
    for name, latent, row in zip(names, latents, table(out / "samples.csv"), strict=True):
        due = read.decode(torch.from_numpy(latent)[None])[0, ..., 0]
        assert np.array_equal(shown(out / name), due)
        cluster, share = read.assign(torch.from_numpy(latent)[None])
        assert int(row["cluster"]) == cluster[0]
        assert float(row["confidence"]) == pytest.approx(share[0], abs=1e-3)
    again = sample_images(tmp_path / "t", SampleConfig(str(model), 5, device="cpu"))
    assert np.array_equal(again.embeddings, latents)
    other = sample_images(tmp_path / "u", SampleConfig(str(model), 5, device="cpu", seed=2))
    assert not np.allclose(other.embeddings, latents)


@pytest.mark.parametrize("cluster", [0, 1, 2])
def test_samples_of_a_cluster_belong_to_it(model, tmp_path, cluster):
    config = SampleConfig(str(model), 70, cluster, device="cpu")
    report = sample_images(tmp_path / "s", config)
    assert set(report.clusters) == {cluster}
    assert len(np.unique(report.embeddings, axis=0)) > 1
    assert len(list((tmp_path / "s").glob("*.png"))) == 70


def test_samples_of_the_whole_set_are_of_clusters_by_their_sizes(model):
    read = load_autoencoder(model, "cpu")
    assert sum(read.latents.counts[1:].tolist()) == read.latents.counts[0] == 24
    for counts in ([12, 9, 3], [1, 0, 3]):
        read.latents.counts[1:] = torch.tensor(counts)
        drawn = read.draw(2000, torch.Generator().manual_seed(1))
        found = np.bincount(read.assign(drawn)[0], minlength=3)
        assert found / 2000 == pytest.approx(np.array(counts) / sum(counts), abs=0.04)
        assert (found[np.array(counts) == 0] == 0).all()
    assert torch.allclose(drawn.norm(dim=1), torch.ones(2000), atol=1e-5)
    assert torch.equal(drawn, read.draw(2000, torch.Generator().manual_seed(1)))


def test_a_model_without_clusters_samples_from_one_gaussian(tmp_path):
    out = tmp_path / "m.safetensors"
    train_autoencoder(config_of(make_folder(tmp_path / "images"), out, steps=0))
    read = load_autoencoder(out, "cpu")
    assert read.clusters == 0
    drawn = read.draw(5, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, read.latents.draw(5, torch.Generator().manual_seed(1)))


def test_a_path_joins_two_pictures(model, tmp_path, pictures):
    ends = [str(pictures / "a.png"), str(pictures / "one" / "b.png")]
    out = tmp_path / "s"
    words = ["--model", str(model), "--out", str(out), "--device", "cpu", "--count", "4"]
    assert main(["sample", *words, "--between", *ends]) == 0
    read, rows = load_autoencoder(model, "cpu"), table(out / "samples.csv")
    latents = read_embeddings(out / "samples.parquet")[1]
    for end, row in ((ends[0], 0), (ends[1], 3)):
        square = read.square(np.asarray(Image.open(end).convert("RGB")))
        assert np.allclose(latents[row], read.embed(square[None])[0], atol=1e-4)
    assert [float(row["position"]) for row in rows] == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-3)


def test_a_path_joins_points(model, tmp_path):
    first = sample_images(tmp_path / "s", SampleConfig(str(model), 3, device="cpu"))
    ends = (f"{tmp_path / 's' / 'samples.parquet'}#sample-0002.png", "cluster:1")
    config = SampleConfig(str(model), 2, between=ends, device="cpu")
    report = sample_images(tmp_path / "t", config)
    assert np.allclose(report.embeddings[0], first.embeddings[1], atol=1e-6)
    centre = load_autoencoder(model, "cpu").prototype(1)
    assert np.allclose(report.embeddings[1], centre, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cluster": 3}, "has no cluster 3. Its clusters are 0 to 2"),
        ({"between": ("a",)}, "--between has 1 ends; due are 2"),
        ({"between": ("a", "b"), "cluster": 1}, "--cluster and --between exclude each other"),
        ({"between": ("a", "b"), "count": 1}, "due are at least 2, its ends"),
        ({"between": ("cluster:x", "b")}, "'cluster:x' names no cluster"),
        ({"between": ("gone.png", "b")}, "gone.png"),
        ({"between": ("gone.parquet#a", "b")}, "there is no such file"),
        ({"model": "simcfs-figures"}, "not an autoencoder"),
    ],
)
def test_what_cannot_be_sampled_is_told_and_nothing_is_written(model, tmp_path, changes, text):
    settings = {"model": str(model), "count": 4, "device": "cpu"} | changes
    with pytest.raises(UserError, match=text):
        sample_images(tmp_path / "s", SampleConfig(**settings))
    assert not (tmp_path / "s").exists()


def test_a_point_of_another_model_or_name_is_told(model, tmp_path):
    from napari_medssl.io.embedding_table import write_embeddings

    strange = tmp_path / "e.parquet"
    write_embeddings(["a"], np.ones((1, 8), np.float32), {"name": "other"}, strange)
    config = SampleConfig(str(model), 4, between=(f"{strange}#a", "cluster:0"), device="cpu")
    with pytest.raises(UserError, match="holds embeddings of 'other', not of the model 'm'"):
        sample_images(tmp_path / "s", config)
    write_embeddings(["a"], np.ones((1, 8), np.float32), {"name": "m"}, strange)
    config = SampleConfig(str(model), 4, between=(f"{strange}#b", "cluster:0"), device="cpu")
    with pytest.raises(UserError, match="has no image 'b'; its first is 'a'"):
        sample_images(tmp_path / "s", config)


def test_samples_are_never_written_over(model, tmp_path):
    config = SampleConfig(str(model), 2, device="cpu")
    sample_images(tmp_path / "s", config)
    with pytest.raises(UserError, match=r"holds samples already \(samples.csv\)"):
        sample_images(tmp_path / "s", config)


def test_stopping_leaves_no_table(model, tmp_path):
    config = SampleConfig(str(model), 70, device="cpu")
    asked = iter([False, True])
    with pytest.raises(Cancelled, match="Stopped after 64 of 70 samples, which have no table"):
        sample_images(tmp_path / "s", config, should_stop=lambda: next(asked))
    assert not (tmp_path / "s" / "samples.csv").exists()


def test_a_reconstruction_stands_beside_its_original(model, tmp_path, pictures, capsys):
    out = tmp_path / "r"
    words = ["reconstruct", str(pictures), "--model", str(model), "--out", str(out)]
    assert main([*words, "--device", "cpu"]) == 0
    assert "3 pictures written to" in capsys.readouterr().err
    rows = table(out / "reconstructions.csv")
    assert [row["image"] for row in rows] == ["a.png", "one/b.png", "two/b.png"]
    read = load_autoencoder(model, "cpu")
    for row in rows:
        both = shown(out / row["image"])
        assert both.shape == (32, 64)
        left, right = both[:, :32].astype(float), both[:, 32:].astype(float)
        due = read.square(np.asarray(Image.open(pictures / row["image"]).convert("RGB")))
        assert np.array_equal(left, due[..., 0])
        error = np.sqrt(np.mean((left - right) ** 2)) / 255
        assert float(row["rmse"]) == pytest.approx(error, abs=1e-4)


def test_a_damaged_picture_is_told_and_the_rest_goes_on(model, tmp_path, pictures, capsys):
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    words = ["reconstruct", str(pictures), "--model", str(model), "--out", str(tmp_path / "r")]
    assert main([*words, "--device", "cpu"]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert len(table(tmp_path / "r" / "reconstructions.csv")) == 3
    (tmp_path / "none").mkdir()
    assert main([*words[:1], str(tmp_path / "none"), *words[2:]]) == 2


def test_pictures_are_never_written_over(model, tmp_path, pictures):
    refs = [ImageRef.parse(pictures / "a.png"), ImageRef.parse(pictures / "one" / "b.png")]
    config = ReconstructConfig(str(model), device="cpu")
    with pytest.raises(UserError, match=r"would overwrite the picture 'a\.png'"):
        reconstruct_files(refs, pictures, config)
    Image.open(pictures / "a.png").save(pictures / "A.bmp")
    refs[1] = ImageRef.parse(pictures / "A.bmp")
    with pytest.raises(UserError, match=r"Two pictures would be written.*the second is 'A\.bmp'"):
        reconstruct_files(refs, tmp_path / "r", config)


def test_a_stopped_reconstruction_says_so(model, tmp_path, pictures):
    refs = [ImageRef.parse(pictures / "a.png")]
    config = ReconstructConfig(str(model), device="cpu")
    with pytest.raises(Cancelled, match=r"Stopped after 0 of 1 pictures; reconstructions\.csv"):
        reconstruct_files(refs, tmp_path / "r", config, should_stop=lambda: True)
