"""Make the map of a source, step by step, and again with more rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.make_map import MOST_CLUSTERED, FormerMap, cluster_rows, make_map
from napari_medssl.backend.map_layout import LayoutConfig
from napari_medssl.backend.map_pictures import FilePictures
from napari_medssl.backend.map_rows import MapSource

QUICK = LayoutConfig(neighbours=5, epochs=20)


def bundles(count, groups=3, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.eye(dim)[np.arange(count) % groups] + rng.normal(0, 0.05, (count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def source_of(embeddings, first=0):
    names = tuple(f"p{n:05d}" for n in range(first, first + len(embeddings)))
    return MapSource(names, embeddings, {}, FilePictures([None] * len(names)), "a test")


def made(source, **more):
    return make_map(Path("somewhere"), QUICK, clusters=3, open_with=lambda *_, **__: source, **more)


def test_what_is_known_is_told_in_turn_and_clusters_are_those_of_the_bundles(tmp_path):
    steps = []
    source = source_of(bundles(60))
    found = made(source, cache=tmp_path, on_step=lambda name, value: steps.append((name, value)))
    names = [name for name, _ in steps]
    assert names[:4] == ["source", "places", "graph", "labels"]
    assert set(names[4:-1]) == {"places"}
    assert names[-1] == "trust"
    assert np.array_equal(steps[-2][1], found.places)
    assert len(np.unique(found.labels)) == 3
    assert all(len(np.unique(found.labels[group::3])) == 1 for group in range(3))
    again = made(source, cache=tmp_path)
    assert np.array_equal(again.places, found.places)


def test_rows_that_are_new_are_placed_among_those_that_stay():
    every = bundles(66)
    source = source_of(every)
    before = made(source_of(every[:60]))
    former = FormerMap(before.source.names, every[:60], before.places)
    told = []
    found = made(source, former=former, on_step=lambda name, value: told.append(name))
    assert np.array_equal(found.places[:60], before.places)
    assert np.isfinite(found.places).all()
    assert told.count("places") == 1  # none are shown on the way
    for row in range(60, 66):
        near = np.hypot(*(found.places[:60] - found.places[row]).T).argmin()
        assert near % 3 == row % 3


@pytest.mark.parametrize("change", ["other names", "other embeddings", "nothing new"])
def test_another_source_is_laid_out_by_itself(change):
    every = bundles(60)
    former = FormerMap(source_of(every).names, every, np.full((60, 2), 7, np.float32))
    source = {
        "other names": source_of(bundles(66), first=3),
        "other embeddings": source_of(bundles(66, seed=1)),
        "nothing new": source_of(every),
    }[change]
    assert not (made(source, former=former).places == 7).any()


def test_of_many_rows_some_are_clustered_and_the_others_go_to_the_nearest():
    rows = bundles(MOST_CLUSTERED + 900, groups=3)
    labels = cluster_rows(rows, 3)
    assert np.bincount(labels).tolist() == sorted(np.bincount(labels).tolist(), reverse=True)
    assert all(len(np.unique(labels[group::3])) == 1 for group in range(3))


def test_it_stops_where_it_is_asked_to():
    with pytest.raises(Cancelled):
        made(source_of(bundles(60)), should_stop=lambda: True)
    with pytest.raises(Cancelled):
        cluster_rows(bundles(60), None, should_stop=lambda: True)


def test_what_cannot_be_opened_is_told():
    def refuse(*_, **__):
        raise UserError("There is no such folder.")

    with pytest.raises(UserError, match="no such folder"):
        make_map(Path("nowhere"), QUICK, open_with=refuse)
