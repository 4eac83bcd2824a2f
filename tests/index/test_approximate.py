"""The index of large libraries: what it promises was measured, and it is never needed."""

import json

import numpy as np
import pytest
from index_world import fingerprint, put_slide

from napari_medssl._errors import UserError
from napari_medssl.index import approximate, open_collection, recall
from napari_medssl.index.approximate import build_approximate, list_count, needs_index
from napari_medssl.index.flat import CACHE
from napari_medssl.index.flat_update import open_flat

DIM = 32
COUNT = 6000


def latent(count, seed=0):
    """Vectors that do not cluster: Gaussian in 12 dimensions, mixed into 32."""
    mix = np.random.default_rng(99).normal(size=(12, DIM))
    values = np.random.default_rng(seed).normal(size=(count, 12)) @ mix
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def _few_queries(monkeypatch):
    monkeypatch.setattr(approximate, "_QUERIES", 64)


@pytest.fixture
def flat(library):
    for number in (1, 2, 3):
        put_slide(library, number, latent(COUNT // 3, seed=number))
    collection = library.collection()
    return open_flat(collection, collection.manifests()[0])[0]


def built(library, flat, **more):
    return build_approximate(library.collection().folder, flat, **more)


def true_recall(index, flat, queries, keep=None, top=10):
    """The share of the nearest, by comparing all, that the index gives."""
    similarity = queries.astype(np.float64) @ flat.vectors.astype(np.float64).T
    if keep is not None:
        similarity[:, ~keep] = -np.inf
    due = np.argsort(-similarity, axis=1)[:, :top]
    _, rows = index.search(queries, top, keep)
    return np.mean([len(set(one) & set(two)) for one, two in zip(due, rows, strict=True)]) / top


def test_the_promised_recall_holds_for_queries_it_never_saw(library, flat):
    index = built(library, flat)
    assert index.rows == COUNT
    assert [one.top for one in index.reaches] == [10, 100]
    assert min(one.recall for one in index.reaches) >= recall.LEAST_RECALL
    queries = latent(200, seed=77)
    assert true_recall(index, flat, queries) >= 0.98
    assert true_recall(index, flat, queries, top=100) >= 0.98
    keep = np.ones(COUNT, bool)
    keep[: COUNT // 3] = False
    assert true_recall(index, flat, queries, keep) >= 0.98
    _, rows = index.search(queries, 50, keep)
    assert rows.min() >= COUNT // 3


def test_vectors_that_do_not_cluster_need_more_lists_than_those_that_do(library, tmp_path, flat):
    spread = built(library, flat)
    centres = latent(8, seed=5)
    rng = np.random.default_rng(0)
    values = centres[rng.integers(0, 8, COUNT)] + 0.02 * rng.normal(size=(COUNT, DIM))
    put_slide(library, 9, (values / np.linalg.norm(values, axis=1, keepdims=True)).astype("f4"))
    with library.write_lock():
        for number in (1, 2, 3):
            library.remove_slide(fingerprint(number))
    collection = library.collection()
    clustered = built(library, open_flat(collection, collection.manifests()[0])[0])
    assert clustered.reach(10).nprobe < spread.reach(10).nprobe


def test_a_collection_searches_the_index_and_what_came_since(library, flat):
    built(library, flat)
    put_slide(library, 4, latent(500, seed=4))
    found = open_collection(library)
    assert found.recall >= recall.LEAST_RECALL
    tile = found.nearest_tile(fingerprint(4), (100, 100))
    hits = found.search(found.vector(tile), 10).hits[0]
    assert hits[0].tile == tile
    plain = open_collection(library)
    (library.collection().folder / CACHE / "approximate-1.json").unlink()
    exact = open_collection(library)
    assert exact.recall == 1.0
    queries = latent(50, seed=8)
    one = plain.search(queries, 10).hits
    two = exact.search(queries, 10).hits
    shared = [len({h.tile for h in a} & {h.tile for h in b}) for a, b in zip(one, two, strict=True)]
    assert np.mean(shared) >= 9.8


def test_what_left_the_library_is_not_found_though_the_index_holds_it(library, flat):
    built(library, flat)
    with library.write_lock():
        library.remove_slide(fingerprint(2))
    found = open_collection(library)
    # A third is gone, so the rows were packed and the index no longer fits.
    assert found.recall == 1.0
    put_slide(library, 2, latent(COUNT // 3, seed=2))
    put_slide(library, 5, latent(100, seed=5))
    found.refresh()
    built(library, open_flat(library.collection(), library.collection().manifests()[0])[0])
    with library.write_lock():
        library.remove_slide(fingerprint(5))
    found.refresh()
    assert found.recall >= recall.LEAST_RECALL
    slides = {hit.tile.slide for hit in found.search(latent(1), 6000).hits[0]}
    assert fingerprint(5) not in slides


def test_when_little_is_left_to_search_in_it_is_compared_one_by_one(library, flat, monkeypatch):
    from napari_medssl.index import view

    built(library, flat)
    found = open_collection(library)
    query = latent(1, seed=8)
    most = {fingerprint(1), fingerprint(2)}
    few = found.search(query, 20, exclude_slides=most)
    assert few.recall == 1.0
    similarity = flat.vectors[2 * COUNT // 3 :].astype(np.float32) @ query[0]
    due = np.sort(similarity)[::-1][:20]
    np.testing.assert_allclose([hit.similarity for hit in few.hits[0]], due, atol=1e-5)
    monkeypatch.setattr(view, "_FEW_ROWS", 100)
    more = found.search(query, 20, exclude_slides=most)
    assert {hit.tile.slide for hit in more.hits[0]} == {fingerprint(3)}
    shared = {hit.tile for hit in more.hits[0]} & {hit.tile for hit in few.hits[0]}
    assert len(shared) >= 18


def test_the_tile_that_is_asked_for_does_not_take_the_place_of_a_hit(library, flat, monkeypatch):
    built(library, flat)
    found = open_collection(library)
    tile = found.nearest_tile(fingerprint(1), (5, 5))
    asked = []
    approximate = found._view.approximate
    whole = approximate.reach
    monkeypatch.setattr(approximate, "reach", lambda top: asked.append(top) or whole(top))
    result = found.search(found.vector(tile), 10, exclude_tiles=[tile])
    assert len(result.hits[0]) == 10
    assert set(asked) == {10}


def test_an_index_is_made_only_where_exact_search_is_slow(library, flat, monkeypatch):
    folder = library.collection().folder
    assert not needs_index(folder, flat)
    monkeypatch.setattr(approximate, "_LEAST_ROWS", 100)
    monkeypatch.setattr(approximate, "exact_ms", lambda flat: 9.0)
    assert not needs_index(folder, flat)
    monkeypatch.setattr(approximate, "exact_ms", lambda flat: 11.0)
    assert needs_index(folder, flat)
    built(library, flat)
    assert not needs_index(folder, flat)
    put_slide(library, 4, latent(1000, seed=4))
    grown = open_flat(library.collection(), library.collection().manifests()[0])[0]
    assert needs_index(folder, grown)


@pytest.mark.parametrize("hurt", ["index", "about", "recall", "cut off"])
def test_a_damaged_index_is_not_used(library, flat, hurt):
    built(library, flat)
    folder = library.collection().folder / CACHE
    path = folder / (
        "approximate-1.faiss" if hurt in ("index", "cut off") else "approximate-1.json"
    )
    if hurt == "recall":
        about = json.loads(path.read_bytes())
        path.write_text(json.dumps(about | {"key": "another"}))
    elif hurt == "cut off":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.write_bytes(b"nothing")
    found = open_collection(library)
    assert found.recall == 1.0
    assert len(found.search(latent(1), 10).hits[0]) == 10


def test_it_stops_when_told_to_and_leaves_nothing(library, flat):
    assert built(library, flat, should_stop=lambda: True) is None
    names = {path.name for path in (library.collection().folder / CACHE).iterdir()}
    assert not [name for name in names if "approximate" in name or name.startswith(".writing")]


def test_a_disk_without_room_is_told_before_the_work(library, flat, monkeypatch):
    class Usage:
        free = 100_000

    monkeypatch.setattr(approximate.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(UserError, match=r"has 0 MB free; the index of 6000 tiles needs 0 MB"):
        built(library, flat)


def test_a_disk_that_fills_up_leaves_the_exact_search(library, flat, monkeypatch):
    import faiss

    def refuse(index, path):
        raise RuntimeError("Error: 'ret == (n)' failed: write error: No space left on device")

    monkeypatch.setattr(faiss, "write_index", refuse)
    with pytest.raises(UserError, match="the disk is full or refuses"):
        built(library, flat)
    assert not list((library.collection().folder / CACHE).glob(".writing-*"))
    assert open_collection(library).recall == 1.0


def test_the_number_of_lists_grows_with_the_root():
    assert [list_count(n) for n in (100, 10_000, 1_000_000, 10_000_000)] == [16, 256, 2048, 8192]
