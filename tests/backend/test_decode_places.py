"""Decode a place of a map from the rows around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from autoencoder_world import config_of, make_folder, one_thread
from torch.nn import functional as F

from napari_medssl._errors import UserError
from napari_medssl.backend.autoencoder import load_autoencoder
from napari_medssl.backend.decode_places import decode_place, near_rows
from napari_medssl.backend.train_autoencoder import train_autoencoder

__all__ = ["one_thread"]  # a fixture of this module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    out = folder / "m.safetensors"
    train_autoencoder(config_of(make_folder(folder / "images"), out))
    return str(out)


def embeddings(count=5):
    rows = np.random.default_rng(3).normal(size=(count, 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_rows_count_most_and_those_without_a_place_not_at_all():
    places = np.array([[0, 0], [1, 0], [3, 0], [np.nan, 0], [50, 0]], np.float32)
    rows, weights = near_rows(places, 0.1, 0, count=3)
    assert rows.tolist() == [0, 1, 2]
    distances = np.array([0.1, 0.9, 2.9])
    due = np.exp(-0.5 * (distances / 0.9) ** 2)
    np.testing.assert_allclose(weights, due / due.sum(), rtol=1e-5)


def test_of_equal_places_all_count_alike_and_of_none_there_is_none():
    _, weights = near_rows(np.zeros((4, 2), np.float32), 0, 0)
    np.testing.assert_allclose(weights, 0.25)
    rows, weights = near_rows(np.full((3, 2), np.nan, np.float32), 0, 0)
    assert len(rows) == len(weights) == 0


def test_one_row_is_decoded_as_it_is(model):
    values = embeddings(1)
    found = decode_place(model, values, np.ones(1, np.float32), samples=2, device="cpu")
    due = load_autoencoder(model, "cpu").decode(torch.from_numpy(values))
    assert (found.mean == np.repeat(due[0], 4 - due.shape[3], axis=2)[..., :3]).all()
    assert (found.samples == found.mean).all()  # one row has no spread
    assert found.samples.shape == (2, 32, 32, 3)


def test_the_mean_of_the_rows_around_is_decoded_at_unit_length(model):
    values, weights = embeddings(), np.array([0.4, 0.3, 0.1, 0.1, 0.1], np.float32)
    found = decode_place(model, values, weights, device="cpu")
    mean = F.normalize(torch.from_numpy((values * weights[:, None]).sum(axis=0))[None], dim=1)
    due = load_autoencoder(model, "cpu").decode(mean)[0]
    assert np.abs(found.mean[..., 0].astype(int) - due[..., 0]).max() <= 1
    assert len(found.samples) == 3
    again = decode_place(model, values, weights, device="cpu")
    assert (again.samples == found.samples).all()


def test_embeddings_of_another_width_and_an_empty_place_are_refused(model):
    with pytest.raises(UserError, match="of 5 values, the model 'm' decodes 8"):
        decode_place(model, np.eye(5, dtype=np.float32), np.ones(5, np.float32), device="cpu")
    with pytest.raises(UserError, match="nothing to decode"):
        decode_place(model, np.zeros((0, 8), np.float32), np.zeros(0, np.float32))
