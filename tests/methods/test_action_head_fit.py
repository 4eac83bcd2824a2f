"""The last layer that is fitted in one go, against scikit-learn and its own equation."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from napari_medssl.methods.action.head_fit import fit_last_layer


def made(pixels=400, dims=5, classes=3, seed=1):
    """Return maps in which classes overlap, the last one rare."""
    rng = np.random.default_rng(seed)
    due = np.minimum(rng.geometric(0.6, pixels) - 1, classes - 1)
    maps = rng.normal(size=(pixels, dims)) + rng.normal(size=(classes, dims))[due]
    return torch.from_numpy(maps).float(), torch.from_numpy(due)


def penalised_loss(layer, bias, maps, due):
    """Return equation 1, pixel by pixel."""
    counts = [int((due == c).sum()) for c in range(len(layer))]
    total = weights = 0.0
    for pixel, c in zip(maps.double(), due.tolist(), strict=True):
        scores = layer.double() @ pixel + bias.double()
        weight = counts[c] ** -0.5
        total += weight * float(torch.logsumexp(scores, 0) - scores[c])
        weights += weight
    return total / weights + 1e-3 * float((layer.double() ** 2).sum())


def test_it_is_the_penalised_logistic_regression_of_scikit_learn():
    maps, due = made()
    weights = np.bincount(due)[due] ** -0.5
    oracle = LogisticRegression(C=1 / (2 * 1e-3 * weights.sum()), tol=1e-8, max_iter=5000)
    oracle.fit(maps.numpy(), due.numpy(), sample_weight=weights)
    layer, bias = fit_last_layer(maps, due, 3)
    ours = torch.softmax(maps @ layer.T + bias, dim=1)
    np.testing.assert_allclose(ours, oracle.predict_proba(maps.numpy()), atol=5e-3)


def test_no_step_away_from_it_makes_equation_1_less():
    maps, due = made(pixels=150)
    layer, bias = fit_last_layer(maps, due, 3)
    least = penalised_loss(layer, bias, maps, due)
    generator = torch.Generator().manual_seed(2)
    for _ in range(10):
        off = 0.05 * torch.randn(layer.shape, generator=generator)
        turn = 0.05 * torch.randn(bias.shape, generator=generator)
        assert penalised_loss(layer + off, bias + turn, maps, due) > least


def test_a_class_without_a_pixel_is_the_likeliest_nowhere():
    maps, due = made()
    layer, bias = fit_last_layer(maps, due, 4)
    assert layer.shape == (4, 5)
    assert (maps @ layer.T + bias).argmax(dim=1).max() < 3


def test_it_can_be_fitted_where_no_gradient_is_kept():
    maps, due = made()
    with torch.no_grad():
        layer, bias = fit_last_layer(maps, due, 3)
    assert not layer.requires_grad
    assert not bias.requires_grad
    assert float(layer.abs().max()) > 0


@pytest.mark.parametrize("count", [0, 7])
def test_pixels_and_classes_must_be_as_many(count):
    with pytest.raises(ValueError, match="pixels"):
        fit_last_layer(torch.zeros(count, 5), torch.zeros(0, dtype=torch.int64), 2)
