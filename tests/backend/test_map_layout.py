"""Laying out in a process of its own: cache, cancelling, new rows, bad input."""

import os
import signal
import threading

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend import map_process
from napari_medssl.backend.compute_process import ComputeLostError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.map_layout import (
    LayoutConfig,
    lay_out,
    neighbours_of,
    place_new,
    principal_places,
)

QUICK = LayoutConfig(epochs=30)


def groups(count=200, seed=0):
    """Return unit vectors in four groups, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(4, 12)) * 3
    labels = rng.integers(0, 4, count)
    values = centres[labels] + rng.normal(size=(count, 12))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.fixture(scope="module")
def made():
    values, labels = groups()
    return values, labels, neighbours_of(values)


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_principal_places_are_those_of_the_covariance():
    values, _ = groups()
    places = principal_places(values)
    centred = values - values.mean(axis=0)
    _, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    assert places.dtype == np.float32
    assert np.allclose(np.linalg.norm(places, axis=0), lengths[:2], rtol=1e-3)
    assert abs(places[:, 0] @ places[:, 1]) < 1e-2
    assert (principal_places(values) == places).all()


@pytest.mark.parametrize("shape", [(1, 5), (3, 1), (2, 2), (7, 3)])
def test_principal_places_of_few_rows_or_columns(shape):
    places = principal_places(np.ones(shape, np.float32))
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()


def test_a_layout_is_kept_and_the_same_for_a_seed(made, tmp_path, monkeypatch):
    values, labels, graph = made
    seen = []
    first = lay_out(
        values, graph, LayoutConfig(), cache=tmp_path, on_places=seen.append, on_progress=print
    )
    assert all(each.shape == first.shape for each in seen)
    assert (lay_out(values, graph, LayoutConfig()) == first).all()
    apart = np.linalg.norm(first[:, None] - first, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(axis=1)] == labels).mean() > 0.95

    def fail(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr("napari_medssl.backend.map_layout.call_child", fail)
    assert (lay_out(values, graph, LayoutConfig(), cache=tmp_path) == first).all()
    with pytest.raises(AssertionError, match="computed again"):
        lay_out(values, graph, LayoutConfig(seed=1), cache=tmp_path)
    with pytest.raises(AssertionError, match="computed again"):
        lay_out(values[::-1], graph, LayoutConfig(), cache=tmp_path)


def test_settings_are_kept_with_the_layout(made, tmp_path):
    values, _, graph = made
    lay_out(values, graph, QUICK, cache=tmp_path)
    (path,) = files(tmp_path)
    assert b'"neighbours": 15' in path.read_bytes().replace(b"\x00", b"")


def test_a_damaged_cache_is_made_again(made, tmp_path):
    values, _, graph = made
    first = lay_out(values, graph, QUICK, cache=tmp_path)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    assert (lay_out(values, graph, QUICK, cache=tmp_path) == first).all()


def test_asked_to_stop_the_process_is_killed_and_nothing_is_kept(made, tmp_path):
    values, _, graph = made
    lay_out(values, graph, QUICK)  # the process has begun
    pid = map_process._spare[0].pid
    forms = threading.Event()
    with pytest.raises(Cancelled, match="no new map"):
        lay_out(
            values,
            graph,
            LayoutConfig(epochs=10_000_000),
            cache=tmp_path,
            on_places=lambda places: forms.set(),
            should_stop=forms.is_set,
        )
    assert not files(tmp_path)
    assert map_process._spare[0].pid != pid
    assert lay_out(values, graph, QUICK).shape == (200, 2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is of POSIX")
def test_a_killed_process_leaves_no_broken_cache(made, tmp_path):
    values, _, graph = made
    lay_out(values, graph, QUICK)
    pid = map_process._spare[0].pid
    with pytest.raises(ComputeLostError, match="ended by itself"):
        lay_out(
            values,
            graph,
            LayoutConfig(epochs=10_000_000),
            cache=tmp_path,
            on_places=lambda places: os.kill(pid, signal.SIGKILL),
        )
    assert not files(tmp_path)
    assert lay_out(values, graph, QUICK, cache=tmp_path).shape == (200, 2)
    assert len(files(tmp_path)) == 1


def test_new_rows_come_to_lie_by_their_kind_and_old_ones_stay(made):
    values, labels, graph = made
    places = lay_out(values, graph, LayoutConfig())
    before = places.copy()
    more, kinds = groups(60, seed=3)
    found = place_new(more, values, places, LayoutConfig())
    assert (places == before).all()
    nearest = np.linalg.norm(found[:, None] - places, axis=-1).argmin(axis=1)
    assert (labels[nearest] == kinds).mean() > 0.9


def test_of_many_rows_some_are_laid_out_and_the_rest_placed(made):
    values, labels, graph = made
    places = lay_out(values, graph, LayoutConfig(fitted=120))
    assert np.isfinite(places).all()
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(axis=1)] == labels).mean() > 0.9


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 16])
def test_fewer_rows_than_neighbours_are_laid_out(count):
    values, _ = groups(count)
    places = lay_out(values, neighbours_of(values), QUICK)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_rows_that_are_alike_are_laid_out():
    values = np.tile(groups(1)[0], (40, 1))
    assert np.isfinite(lay_out(values, neighbours_of(values), QUICK)).all()


def test_bad_rows_are_told(made):
    values, _, graph = made
    bad = values.copy()
    bad[[7, 9], 3] = np.nan, np.inf
    told = "2 of 200 embeddings hold NaN or infinity, the first is row 7 .from 0.. Embed those"
    with pytest.raises(UserError, match=told):
        neighbours_of(bad)
    with pytest.raises(UserError, match=told):
        lay_out(bad, graph, QUICK)
    with pytest.raises(UserError, match=told):
        principal_places(bad)
    for shape in ((0, 12), (5, 0), (12,)):
        with pytest.raises(UserError, match=f"Embeddings of shape .{shape[0]},"):
            neighbours_of(np.zeros(shape, np.float32))


def test_rows_of_another_width_are_told(made):
    values, _, _ = made
    with pytest.raises(UserError, match=r"Embeddings of 5 numbers came for a map of 12\. Embed"):
        place_new(values[:, :5], values, values[:, :2], QUICK)


def test_bad_settings_are_told(made):
    values, _, graph = made
    with pytest.raises(UserError, match="'neighbours' is 1; due is 2 to 200"):
        lay_out(values, graph, LayoutConfig(neighbours=1))


def test_a_graph_of_other_rows_is_a_fault(made):
    values, _, graph = made
    with pytest.raises(ValueError, match="A graph of 200 rows came for 50"):
        lay_out(values[:50], graph, QUICK)
    with pytest.raises(ValueError, match="A graph of 15 neighbours came; 29 are due"):
        lay_out(values, graph, LayoutConfig(neighbours=30))
