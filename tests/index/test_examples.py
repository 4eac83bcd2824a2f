"""Examples become a direction: the least squares that the docstring states, and its limits."""

import numpy as np
import pytest
from index_world import make_vectors

from napari_medssl._errors import UserError
from napari_medssl.index.examples import RIDGE, combine_examples

MEAN = 0.1 * make_vectors(1, seed=8)[0]
NONE = np.empty((0, 16))


def test_one_positive_is_the_plain_search():
    one = make_vectors(1)
    np.testing.assert_allclose(combine_examples(one, NONE, MEAN), one[0], atol=1e-6)


def test_the_direction_is_the_least_of_what_is_minimised():
    """Against gradient descent on |w - m|^2 + sum (w . x - y)^2 / ridge."""
    liked, others = make_vectors(3, seed=1), make_vectors(2, seed=2)
    mean = liked.mean(axis=0).astype(np.float64)
    x = np.concatenate([liked, others]).astype(np.float64)
    y = x @ mean
    y[:3] = np.maximum(y[:3], mean @ mean)
    y[3:] = np.minimum(y[3:], MEAN @ mean)
    w = mean.copy()
    for _ in range(20_000):
        w -= 0.005 * ((w - mean) + x.T @ (x @ w - y) / RIDGE)
    came = combine_examples(liked, others, MEAN)
    np.testing.assert_allclose(came, w / np.linalg.norm(w), atol=1e-5)


def test_a_negative_that_is_unlike_the_positive_changes_nothing():
    one = make_vectors(1)
    np.testing.assert_allclose(combine_examples(one, -one, MEAN), one[0], atol=1e-6)


def test_a_negative_scores_less_than_before_and_the_order_does_not_matter():
    one = make_vectors(1)
    near = one + 0.3 * make_vectors(1, seed=4)
    near /= np.linalg.norm(near)
    far = make_vectors(2, seed=5)
    came = combine_examples(one, near, MEAN)
    assert near[0] @ came < near[0] @ one[0] - 0.2
    swapped = combine_examples(one, np.concatenate([far, near]), MEAN)
    np.testing.assert_allclose(
        swapped, combine_examples(one, np.concatenate([near, far]), MEAN), atol=1e-6
    )


def test_no_positive_and_opposite_ones_are_told():
    with pytest.raises(UserError, match="no positive example"):
        combine_examples(NONE, make_vectors(1), MEAN)
    one = make_vectors(1)
    with pytest.raises(UserError, match="cancel each other out"):
        combine_examples(np.concatenate([one, -one]), NONE, MEAN)
