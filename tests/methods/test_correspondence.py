"""Patches that correspond, against planted ones, and what they bring to a similarity."""

import numpy as np
import pytest

from napari_medssl.methods.siamese.correspondence import contributions, match_patches


def local(seed=0, side=8, dim=16):
    return np.random.default_rng(seed).normal(0.2, 1, (side, side, dim))


def cosine(one, other):
    z, y = (each.reshape(-1, each.shape[-1]).mean(axis=0) for each in (one, other))
    return z @ y / np.linalg.norm(z) / np.linalg.norm(y)


def test_contributions_sum_up_to_the_similarity():
    one, other = local(1), local(2, side=5)
    for a, b in ((one, other), (other, one)):
        assert contributions(a, b).sum() == pytest.approx(cosine(one, other))
        assert contributions(a, b).shape == a.shape[:2]


def test_a_shifted_copy_is_matched_by_its_shift():
    field = local(side=20)
    query, hit = field[4:14, 4:14], field[1:11, 6:16]  # the hit sees 3 rows up, 2 columns right
    found = match_patches(query, hit, 8)
    assert len(found) == 8
    for match in found:
        assert match.similarity == pytest.approx(1)
        assert (match.hit[0] - match.query[0], match.hit[1] - match.query[1]) == (3, -2)


def test_pairs_are_mutual_apart_and_the_weightiest_first():
    query, hit = local(3, side=10), local(4, side=10)
    rows, columns = query[1:9, 1:9].reshape(64, -1), hit[1:9, 1:9].reshape(64, -1)
    cosines = rows @ columns.T
    weights = cosines.copy()
    cosines /= np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(columns, axis=1)
    found = match_patches(query, hit, 5)
    assert found
    last = np.inf
    for number, match in enumerate(found):
        i, j = ((row - 1) * 8 + column - 1 for row, column in (match.query, match.hit))
        assert cosines[i].argmax() == j
        assert cosines[:, j].argmax() == i
        assert match.similarity == pytest.approx(cosines[i, j])
        assert weights[i, j] <= last
        last = weights[i, j]
        brings = contributions(query, hit)[match.query] + contributions(hit, query)[match.hit]
        assert match.contribution == pytest.approx(brings / 2)
        for other in found[:number]:
            assert match.query != other.query
            assert match.hit != other.hit


def test_larger_patches_do_not_overlap_and_keep_off_the_rim():
    field = local(side=20)
    query, hit = field[4:16, 4:16], field[2:14, 5:17]
    found = match_patches(query, hit, 4, side=3, margin=2)
    assert len(found) >= 3
    shares = contributions(query, hit), contributions(hit, query)
    for number, match in enumerate(found):
        assert (match.hit[0] - match.query[0], match.hit[1] - match.query[1]) == (2, -1)
        parts = [
            share[row : row + 3, column : column + 3].sum()
            for share, (row, column) in zip(shares, (match.query, match.hit), strict=True)
        ]
        assert match.contribution == pytest.approx(sum(parts) / 2)
        assert all(2 <= value <= 7 for value in (*match.query, *match.hit))
        for other in found[:number]:
            for a, b in ((match.query, other.query), (match.hit, other.hit)):
                assert max(abs(a[0] - b[0]), abs(a[1] - b[1])) >= 3
    assert match_patches(local(side=4), local(1, side=4), side=3) == ()


def test_patches_that_speak_against_it_are_no_pairs():
    query = np.zeros((4, 4, 2))
    query[1, 1], query[2, 2] = (1, 0), (0, 1)
    assert match_patches(query, -query) == ()
