"""The head in closed form, against the ratio that it makes largest."""

import numpy as np
import pytest

from napari_medssl.methods.siamese.closed_form import near_far_head, scatter


def slow_scatter(differences):
    total = np.zeros((differences.shape[1],) * 2)
    for row in differences:
        for i in range(len(row)):
            for j in range(len(row)):
                total[i, j] += row[i] * row[j]
    return total / (2 * len(differences))


def ratio(row, values, near, shrinkage):
    """Scatter of all tiles along a direction to that of near pairs, one tile at a time."""
    spread = sum((row @ (v - values.mean(axis=0))) ** 2 for v in values) / len(values)
    level = shrinkage * sum(values.var(axis=0)) / values.shape[1]
    return spread / (row @ slow_scatter(near) @ row + level * (row @ row))


@pytest.fixture
def tiles():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(60, 6)) * (3, 2, 1, 1, 1, 1)
    near = rng.normal(size=(80, 6)) * (3, 0.1, 0.1, 1, 1, 1)
    return values, near


def test_scatter_is_half_the_mean_outer_product(tiles):
    assert np.allclose(scatter(tiles[1]), slow_scatter(tiles[1]))
    assert np.allclose(scatter(np.empty((0, 3))), 0)


def test_no_direction_is_better_than_the_first(tiles):
    values, near = tiles
    rows = near_far_head(values, scatter(near), 4, 0.1)
    assert rows.shape == (4, 6)
    ratios = [ratio(row, values, near, 0.1) for row in rows]
    assert ratios == sorted(ratios, reverse=True)
    rng = np.random.default_rng(4)
    tried = rng.normal(size=(200, 6))
    assert max(ratio(row, values, near, 0.1) for row in tried) <= ratios[0] + 1e-9
    # What varies most between near tiles is what the head looks at least.
    assert abs(rows[0, 1]) > 5 * abs(rows[0, 0])


def test_near_pairs_have_the_same_scatter_along_every_row(tiles):
    values, near = tiles
    rows = near_far_head(values, scatter(near), 6, 0.1)
    level = 0.1 * np.trace(np.cov(values.T, bias=True)) / 6
    assert np.allclose(rows @ (scatter(near) + level * np.eye(6)) @ rows.T, np.eye(6), atol=1e-8)


def test_directions_without_spread_are_left_out():
    values = np.zeros((20, 5))
    values[:, :2] = np.random.default_rng(0).normal(size=(20, 2))
    assert near_far_head(values, np.eye(5), 5).shape == (2, 5)


@pytest.mark.parametrize(
    ("values", "near", "text"),
    [
        (np.ones((1, 3)), np.eye(3), "at least two rows"),
        (np.ones((4, 3)), np.eye(3), "All tiles are alike"),
        (np.eye(3), np.eye(2), "A near scatter of"),
    ],
)
def test_what_does_not_fit_is_told(values, near, text):
    with pytest.raises(ValueError, match=text):
        near_far_head(values, near, 2)
