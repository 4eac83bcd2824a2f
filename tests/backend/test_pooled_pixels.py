"""Pixel embeddings pooled to one of a tile."""

from __future__ import annotations

import numpy as np
import pytest
from test_pixel_embedding import write

from napari_medssl.backend.encoders import list_encoders, make_encoder
from napari_medssl.backend.pixel_embedding import load_pixel_embedder


@pytest.fixture
def model(tmp_path):
    write(tmp_path / "m.safetensors")
    return str(tmp_path / "m.safetensors")


def tiles(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def test_an_embedding_is_mean_deviation_and_regions_each_of_the_same_weight(model):
    encoder = make_encoder(model, "cpu")
    assert (encoder.info.name, encoder.info.dim, encoder.info.pixels) == ("m", 19, 64)
    found = encoder.embed(tiles())
    assert found.dtype == np.float32
    embedder = load_pixel_embedder(model, "cpu")
    for tile, row in zip(tiles(), found, strict=True):
        pixels = embedder.embed_image(tile, half=False).reshape(-1, 8)
        shares = embedder.assign_image(tile, half=False).reshape(-1, 3)
        parts = [pixels.mean(axis=0), pixels.std(axis=0), shares.mean(axis=0)]
        due = np.concatenate([part / np.linalg.norm(part) for part in parts]) / np.sqrt(3)
        np.testing.assert_allclose(row, due, atol=1e-5)


def test_no_tiles_and_tiles_of_another_size(model):
    encoder = make_encoder(model, "cpu")
    assert encoder.embed(tiles(0)).shape == (0, 19)
    with pytest.raises(ValueError, match="wants uint8"):
        encoder.embed(tiles()[:, :32])


def test_shipped_models_are_listed():
    assert "ld-chest-xray" in list_encoders()
