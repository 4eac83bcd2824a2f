"""Embeddings of the pixels of an image: sizes, tiles, channels, depths, and what is refused."""

import numpy as np
import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend import pixel_embedding
from napari_medssl.backend.histogram import even_out
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.pixel_embedding import load_pixel_embedder
from napari_medssl.methods.local_discrimination.network import (
    LocalDiscriminationNetwork,
    NetworkConfig,
)


def write(path, *, task="local-discrimination", equalised=False, **changes):
    shape = {"channels": 1, "width": 4, "dim": 8, "clusters": 3, "stride": 2} | changes
    torch.manual_seed(0)
    network = LocalDiscriminationNetwork(NetworkConfig(**shape)).train()
    network(torch.rand(4, shape["channels"], 32, 32))  # statistics that are not those at the start
    card = ModelCard(
        name=path.stem,
        task=task,
        architecture=pixel_embedding.ARCHITECTURE,
        config=shape | {"pixels": 64, "grid": 8, "sigma": 0.25, "equalised": equalised},
        recipe=Recipe(),
        data=(),
        metrics={},
        licence="BSD-3-Clause",
        version="1",
    )
    state = {name: v.half() if v.ndim > 1 else v for name, v in network.state_dict().items()}
    write_model(path, state, card)
    return network


@pytest.fixture
def embedder(tmp_path):
    write(tmp_path / "m.safetensors")
    return load_pixel_embedder(tmp_path / "m.safetensors", "cpu")


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def test_a_model_says_what_it_is(embedder):
    info = embedder.info
    assert (info.name, info.dim, info.clusters, info.channels, info.stride) == ("m", 8, 3, 1, 2)
    assert (info.pixels, info.grid, info.sigma) == (64, 8, 0.25)
    assert len(info.sha256) == 64


@pytest.mark.parametrize("size", [(64, 48), (33, 51), (1, 3)])
def test_every_pixel_gets_an_embedding_of_unit_length(embedder, size):
    embeddings = embedder.embed_image(noise(*size))
    assert embeddings.shape == (-(-size[0] // 2), -(-size[1] // 2), 8)
    assert embeddings.dtype == np.float16
    length = np.linalg.norm(embeddings.astype(np.float32), axis=2)
    assert np.allclose(length, 1, atol=2e-3)


def test_embeddings_are_those_of_the_network(tmp_path):
    network = write(tmp_path / "m.safetensors").eval()
    embedder = load_pixel_embedder(tmp_path / "m.safetensors", "cpu")
    pixels = noise(48, 32)
    with torch.inference_mode():
        due, shares = network(torch.from_numpy(pixels)[None, None].float() / 255)
    came = embedder.embed_image(pixels, half=False)
    assert came.dtype == np.float32
    assert np.allclose(came, due[0].permute(1, 2, 0), atol=0.02)  # weights are in half precision
    assert np.allclose(embedder.assign_image(pixels), shares[0].permute(1, 2, 0), atol=0.02)


def test_tiles_give_what_the_whole_gives(embedder, monkeypatch):
    pixels = noise(70, 500)
    whole = embedder.embed_image(pixels, half=False)
    monkeypatch.setattr(pixel_embedding, "_WHOLE", 1000)
    monkeypatch.setattr(pixel_embedding, "_TILE", 160)
    tiled = embedder.embed_image(pixels, half=False)
    assert tiled.shape == whole.shape == (35, 250, 8)
    assert np.allclose(tiled, whole, atol=1e-5)


def test_embedding_stops_within_one_tile(embedder, monkeypatch):
    monkeypatch.setattr(pixel_embedding, "_WHOLE", 100)
    monkeypatch.setattr(pixel_embedding, "_TILE", 32)
    asked = []
    with pytest.raises(Cancelled, match="while an image was embedded"):
        embedder.embed_image(noise(64, 64), should_stop=lambda: asked.append(1) or len(asked) == 2)


def test_histograms_are_evened_out_where_the_card_says_so(tmp_path, embedder):
    write(tmp_path / "even.safetensors", equalised=True)
    even = load_pixel_embedder(tmp_path / "even.safetensors", "cpu")
    image = noise(64, 48) // 3
    assert even.info.equalised
    assert np.array_equal(even.embed_image(image), embedder.embed_image(even_out(image)))
    assert not np.array_equal(even.embed_image(image), embedder.embed_image(image))


def test_images_are_brought_to_the_channels_of_the_model(tmp_path, embedder):
    grey = noise(32, 32)
    thrice = np.repeat(grey[..., None], 3, axis=2)
    one = embedder.embed_image(grey)
    assert np.array_equal(embedder.embed_image(grey[..., None]), one)
    assert np.allclose(embedder.embed_image(thrice), one, atol=2e-3)
    write(tmp_path / "rgb.safetensors", channels=3)
    colored = load_pixel_embedder(tmp_path / "rgb.safetensors", "cpu")
    assert np.array_equal(colored.embed_image(grey), colored.embed_image(thrice))


def test_wide_values_are_scaled(embedder):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    due = embedder.embed_image(ramp, half=False)
    for wide in (ramp.astype(np.uint16) * 10, ramp / 255.0, ramp.astype(np.int16) * 8 - 1024):
        assert (embedder.embed_image(wide, half=False) * due).sum(axis=2).mean() > 0.99


def test_images_are_brought_to_the_size_of_training(embedder):
    assert embedder.resize(noise(100, 150, 3)).shape == (64, 96, 1)
    assert embedder.resize(noise(20, 10)).shape == (128, 64, 1)


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (np.zeros((4, 8, 8), np.uint8), r"\(4, 8, 8\) came; due is one picture.*give one slice"),
        (np.zeros((0, 8), np.uint8), "due is one picture"),
        (np.zeros((8, 8), complex), "due is one picture of numbers"),
        (np.full((8, 8), np.nan), r"not a number \(NaN\)"),
    ],
)
def test_what_is_no_picture_is_told(embedder, pixels, text):
    with pytest.raises(UserError, match=text):
        embedder.embed_image(pixels)


def test_a_model_for_something_else_is_refused(tmp_path):
    write(tmp_path / "m.safetensors", task="figures")
    with pytest.raises(UserError, match="is for the task 'figures'; due is one for 'local-disc"):
        load_pixel_embedder(tmp_path / "m.safetensors")


def test_a_card_that_does_not_fit_its_weights_is_told(tmp_path):
    write(tmp_path / "m.safetensors")
    card = tmp_path / "m.json"
    card.write_text(card.read_text().replace('"width": 4', '"width": 8'))
    with pytest.raises(UserError, match="does not fit the network that its card describes"):
        load_pixel_embedder(tmp_path / "m.safetensors")
