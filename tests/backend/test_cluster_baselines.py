"""The supervised network beside clusterings, and the error that principal components leave."""

from __future__ import annotations

import numpy as np
import pytest
from autoencoder_world import one_thread, picture
from PIL import Image

from napari_medssl.backend.evaluate_clusters import left_of, principal, score_pairs
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.supervised_baseline import supervised_accuracy

__all__ = ["one_thread"]  # a fixture of this module


def squares(count=24):
    pictures = [Image.fromarray(picture(n)).convert("RGB").resize((32, 32)) for n in range(count)]
    return np.stack([np.asarray(one) for one in pictures])


def test_discs_and_stripes_are_told_apart_and_names_dealt_at_random_are_not():
    kinds = np.arange(24) % 2
    assert supervised_accuracy(squares(), kinds, folds=2, steps=60, device="cpu") >= 0.8
    dealt = np.random.default_rng(0).permutation(kinds)
    assert supervised_accuracy(squares(), dealt, folds=2, steps=30, device="cpu") <= 0.75


def test_a_class_of_one_picture_cannot_be_held_out_and_it_stops_when_asked():
    alone = np.array([0] * 23 + [1])
    assert np.isnan(supervised_accuracy(squares(), alone, device="cpu"))
    with pytest.raises(Cancelled):
        supervised_accuracy(squares(), np.arange(24) % 2, device="cpu", should_stop=lambda: True)


def test_what_components_leave_is_the_error_of_the_pictures_made_from_them_again():
    values = np.random.default_rng(0).normal(size=(20, 9)).astype(np.float32)
    centred = values - values.mean(axis=0)
    basis = np.linalg.svd(centred, full_matrices=False)[2][:4]
    again = principal(values, 4) @ basis
    due = ((centred - again) ** 2).sum() / (centred**2).sum()
    assert left_of(values, 4) == pytest.approx(due, rel=1e-4)
    assert left_of(values, 9) == pytest.approx(0, abs=1e-9)


def test_two_classes_taken_as_one_are_found_again_where_they_lie_apart():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), [10, 20, 20])
    middles = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])  # the last two are one in truth
    rows = middles[truth] + rng.normal(0, 0.05, (50, 3))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    found = {pair.classes: pair for pair in score_pairs(rows, truth, ["a", "b", "c"], 2)}
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found["a", "b"].accuracy == 1
    assert found["a", "b"].majority == pytest.approx(2 / 3)
    assert found["b", "c"].mutual_information < 0.2
    assert found["b", "c"].images == 40
