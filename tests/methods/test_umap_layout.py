"""UMAP: the graph beside loops written from the paper and umap-learn, the layout on any cores."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from napari_medssl.methods.umap_layout import Layout, curve_of, fuzzy_edges, memberships, settle
from napari_medssl.methods.umap_layout.layout import _BLOCKS, _rounds


def groups(rng, count=120, dim=8, parts=4):
    """Return unit vectors in some groups, and the group of each."""
    centres = rng.normal(size=(parts, dim)) * 4
    labels = rng.integers(0, parts, count)
    values = centres[labels] + rng.normal(size=(count, dim))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32), labels


def neighbours(values, k):
    """Return the k nearest rows and cosine distances by comparing all."""
    apart = 1 - values @ values.T
    np.fill_diagonal(apart, np.inf)
    rows = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return rows.astype(np.int32), np.maximum(np.take_along_axis(apart, rows, 1), 0)


@pytest.fixture(scope="module")
def made():
    values, labels = groups(np.random.default_rng(0))
    rows, distances = neighbours(values, 9)
    return values, labels, rows, distances


def test_memberships_of_a_row_add_up_to_log2_of_its_neighbours(made):
    _, _, _, distances = made
    found = memberships(distances, 10)
    assert np.allclose(found.sum(axis=1), np.log2(10), atol=1e-3)
    assert np.allclose(found[:, 0], 1)
    assert (np.diff(found, axis=1) <= 1e-6).all()


def test_the_graph_is_that_of_umap_learn(made, tmp_path):
    """As plain Python in a process of its own: to compile it takes longer than all else here."""
    values, _, rows, distances = made
    count = len(values)
    itself = np.arange(count, dtype=np.int32)[:, None]
    np.savez(
        tmp_path / "made.npz",
        values=values,
        rows=np.hstack([itself, rows]),
        distances=np.hstack([np.zeros((count, 1), np.float32), distances]),
    )
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", THEIRS, tmp_path], env=plain, check=True, timeout=240)
    with np.load(tmp_path / "theirs.npz") as theirs:
        graph, curve = theirs["graph"], theirs["curve"]
    edges = fuzzy_edges(rows, memberships(distances, 10))
    ours = np.zeros((count, count))
    ours[edges.head, edges.tail] = edges.weight
    assert np.abs(ours - graph).max() < 1e-3
    assert np.allclose(curve_of(0.1), curve, atol=1e-3)


THEIRS = """
import sys
import numpy as np
from umap.umap_ import find_ab_params, fuzzy_simplicial_set

with np.load(sys.argv[1] + "/made.npz") as made:
    graph, _, _ = fuzzy_simplicial_set(
        made["values"],
        10,
        np.random.RandomState(0),
        "cosine",
        knn_indices=made["rows"],
        knn_dists=made["distances"],
    )
np.savez(sys.argv[1] + "/theirs.npz", graph=graph.toarray(), curve=find_ab_params(1.0, 0.1))
"""


def test_the_union_of_memberships_is_a_plus_b_minus_ab():
    rows = np.asarray([[1], [2], [1]], np.int32)
    edges = fuzzy_edges(rows, np.asarray([[0.5], [0.25], [1.0]], np.float32))
    found = {
        (int(i), int(j)): w for i, j, w in zip(edges.head, edges.tail, edges.weight, strict=True)
    }
    assert found[0, 1] == found[1, 0] == 0.5
    assert found[1, 2] == found[2, 1] == 0.25 + 1 - 0.25
    assert len(found) == 4


def test_the_curve_falls_from_one():
    for least in (0.0, 0.1, 0.5, 0.99):
        a, b = curve_of(least)
        assert a > 0
        assert b > 0
        assert abs(1 / (1 + a * 1.0 ** (2 * b)) - np.exp(-(1 - least))) < 0.1


def test_slots_of_a_round_share_no_rows():
    """What is worked on at the same time never meets, and no edge is lost."""
    rng = np.random.default_rng(0)
    for count in (4, 50, 1000):
        head, tail = rng.integers(0, count, (2, 5000)).astype(np.int32)
        order, starts = _rounds(head, tail, count)
        assert (np.sort(order) == np.arange(5000)).all()
        assert starts[0] == 0
        assert starts[-1] == 5000
        for first in range(0, _BLOCKS * _BLOCKS, _BLOCKS):
            seen = set()
            for slot in range(first, first + _BLOCKS):
                part = order[starts[slot] : starts[slot + 1]]
                rows = {*head[part].tolist(), *tail[part].tolist()}
                assert not rows & seen
                seen |= rows


def laid(made, slices=(60,), seed=0, epochs=60):
    values, _, rows, distances = made
    edges = fuzzy_edges(rows, memberships(distances, 10))
    layout = Layout(edges, values[:, :2], curve_of(0.1), epochs, seed)
    for one in slices:
        layout.advance(one)
    assert layout.done == epochs
    return layout.places


def test_a_layout_is_the_same_in_any_slices_and_on_any_cores(made):
    whole = laid(made)
    assert (laid(made, slices=(1, 2, 30, 99)) == whole).all()
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert (laid(made) == whole).all()
    finally:
        numba.set_num_threads(threads)
    assert (laid(made, seed=1) != whole).any()


def test_groups_come_to_lie_apart(made):
    _, labels, _, _ = made
    places = laid(made, slices=(200,), epochs=200)
    near, _ = neighbours_on_plane(places, 5)
    assert (labels[near] == labels[:, None]).mean() > 0.95
    assert np.isfinite(places).all()


def neighbours_on_plane(places, k):
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(apart, np.inf)
    rows = np.argsort(apart, axis=1)[:, :k]
    return rows, np.take_along_axis(apart, rows, 1)


def test_rows_that_are_alike_are_laid_out():
    rows = np.asarray([[1, 2], [0, 2], [0, 1]] * 4, np.int32)
    weights = memberships(np.zeros((12, 2), np.float32), 3)
    layout = Layout(fuzzy_edges(rows, weights), np.zeros((12, 2)), curve_of(0.1), 50)
    layout.advance(50)
    assert np.isfinite(layout.places).all()


def test_a_row_that_is_placed_goes_its_own_way(made):
    _, labels, rows, distances = made
    others = laid(made, slices=(200,), epochs=200)
    weights = memberships(distances, 9, nearest_is_full=False)
    curve = curve_of(0.1)
    kept = others.copy()
    whole = settle(rows, weights, others, curve, 30)
    assert (others == kept).all()
    alone = memberships(distances[7:8], 9, nearest_is_full=False)
    assert (settle(rows[7:8], alone, others, curve, 30)[0] == whole[7]).all()
    nearest = np.linalg.norm(whole[:, None] - others, axis=-1).argmin(axis=1)
    assert (labels[nearest] == labels).mean() > 0.95
