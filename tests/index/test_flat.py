"""The flat cache: what it saves, how it grows, and that losing it costs nothing."""

import os

import numpy as np
import pytest
from index_world import fingerprint, make_vectors, put_slide

from napari_medssl.index import flat_update, open_collection
from napari_medssl.index.flat import CACHE, read_flat
from napari_medssl.index.flat_update import open_flat


def cached(library):
    collection = library.collection()
    return open_flat(collection, collection.manifests()[0])[0]


@pytest.fixture
def reads(monkeypatch):
    """The slides whose embeddings are read."""
    seen = []
    whole = flat_update._Update._read_slide

    def read(self, name, manifest):
        seen.append(int(name, 16))
        return whole(self, name, manifest)

    monkeypatch.setattr(flat_update._Update, "_read_slide", read)
    return seen


def test_a_slide_is_read_once_and_new_ones_are_appended(library, reads):
    put_slide(library, 5, make_vectors(40))
    put_slide(library, 7, make_vectors(30))
    first = cached(library)
    assert cached(library).generation == first.generation == 1
    put_slide(library, 1, make_vectors(20, seed=3))
    grown = cached(library)
    assert reads == [5, 7, 1]
    assert grown.generation == 1
    assert [one.slide for one in grown.segments] == [fingerprint(k) for k in (5, 7, 1)]
    assert (grown.vectors[:70] == first.vectors).all()
    assert (grown.vectors[70:] == make_vectors(20, seed=3).astype(np.float16)).all()
    assert isinstance(grown.vectors, np.memmap)


def test_rows_keep_their_numbers_until_many_are_gone(library, reads):
    for number in range(1, 11):
        put_slide(library, number, make_vectors(20, seed=number))
    cached(library)
    with library.write_lock():
        library.remove_slide(fingerprint(2))
    one_gone = cached(library)
    assert (one_gone.generation, len(one_gone.vectors), len(one_gone.live)) == (1, 200, 9)
    with library.write_lock():
        library.remove_slide(fingerprint(3))
        library.remove_slide(fingerprint(4))
    packed = cached(library)
    assert (packed.generation, len(packed.vectors), len(packed.live)) == (2, 140, 7)
    assert len(reads) == 10  # what stays is copied, not read again
    for segment in packed.segments:
        due = make_vectors(20, seed=int(segment.slide, 16)).astype(np.float16)
        assert (packed.vectors[segment.start : segment.start + 20] == due).all()
    names = {path.name for path in (library.collection().folder / CACHE).iterdir()}
    assert names == {"flat.json", "lock", "tiles-2.bin", "vectors-2.f16"}


@pytest.mark.parametrize("hurt", ["delete", "cut off", "no json", "other rows", "all"])
def test_a_cache_that_is_lost_is_made_again(library, hurt):
    put_slide(library, 1, make_vectors(40))
    put_slide(library, 2, make_vectors(30, seed=2))
    query = make_vectors(1, seed=9)
    due = open_collection(library).search(query, 5).hits
    folder = library.collection().folder / CACHE
    if hurt == "delete":
        (folder / "vectors-1.f16").unlink()
    elif hurt == "cut off":
        os.truncate(folder / "vectors-1.f16", 100)
    elif hurt == "no json":
        (folder / "flat.json").write_text("{")
    elif hurt == "other rows":
        path = folder / "flat.json"
        path.write_text(path.read_text().replace('"rows": 40', '"rows": 41'))
    else:
        for path in folder.iterdir():
            path.unlink()
    assert open_collection(library).search(query, 5).hits == due


def test_what_a_kill_left_behind_the_end_does_not_count(library):
    put_slide(library, 1, make_vectors(40))
    cached(library)
    folder = library.collection().folder / CACHE
    for name in ("vectors-1.f16", "tiles-1.bin"):
        with (folder / name).open("ab") as stream:
            stream.write(b"half of a slide")
    put_slide(library, 2, make_vectors(30, seed=2))
    flat = cached(library)
    assert (flat.vectors[40:] == make_vectors(30, seed=2).astype(np.float16)).all()
    assert (flat.tiles["size"] == 32).all()


def test_where_nothing_can_be_written_the_cache_is_in_memory(library, monkeypatch):
    put_slide(library, 1, make_vectors(40))

    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(flat_update, "FileLock", refuse)
    flat = cached(library)
    assert (flat.generation, len(flat.vectors)) == (-1, 40)
    assert read_flat(library.collection().folder / CACHE, 16) is None
    assert len(open_collection(library).search(make_vectors(1), 5).hits[0]) == 5


def test_told_to_stop_it_keeps_the_slides_that_it_has(library):
    for number in range(1, 4):
        put_slide(library, number, make_vectors(20))
    collection = library.collection()
    answers = iter([False, True, True, True])
    flat, problems = open_flat(
        collection, collection.manifests()[0], should_stop=lambda: next(answers)
    )
    assert (len(flat.live), problems) == (1, ())
    assert len(cached(library).live) == 3
