"""What is written of a slide, what another reader gets, and what is refused when it is read."""

import json

import numpy as np
import pytest
import zarr
from index_world import DIM, fingerprint, make_set_up, make_tiles, make_vectors, put_slide

from napari_medssl._errors import UserError
from napari_medssl.index import open_collection, slide_writer
from napari_medssl.index.arrays import SHARD_ROWS, shard_rows
from napari_medssl.index.library import Library
from napari_medssl.index.set_up import SetUp, check_encoder
from napari_medssl.index.slide_record import SlideRecord, read_manifest
from napari_medssl.index.slide_writer import SlideWriter
from napari_medssl.index.tile_order import compact_order, nearest_shards


def folder_of(library, number):
    return library.collection().slide_folder(fingerprint(number))


@pytest.mark.parametrize("count", [0, 1, 255, SHARD_ROWS, SHARD_ROWS + 1, 3 * SHARD_ROWS - 7])
def test_any_reader_of_zarr_finds_what_was_written(library, count):
    vectors = make_vectors(count)
    put_slide(library, 1, vectors)
    group = zarr.open_group(folder_of(library, 1), mode="r")
    assert group["embeddings"].dtype == np.float16
    assert (group["embeddings"][:] == vectors.astype(np.float16)).all()
    for name in ("x", "y", "size", "tissue"):
        assert (group[name][:] == make_tiles(count)[name]).all()
    manifest = read_manifest(folder_of(library, 1))
    assert manifest.record.tiles == count
    on_disk = {
        path.relative_to(folder_of(library, 1)).as_posix()
        for path in folder_of(library, 1).rglob("*")
        if path.is_file()
    }
    assert on_disk == {*manifest.files, "manifest.json"}


def test_a_tile_that_could_not_be_read_is_found_by_no_search(library):
    vectors = make_vectors(40)
    vectors[7] = 0
    put_slide(library, 1, vectors)
    assert read_manifest(folder_of(library, 1)).record.unread == 1
    found = open_collection(library)
    hits = found.search(make_vectors(1), 100).hits[0]
    assert len(hits) == 39
    assert (7 * 32, 0) not in [(hit.tile.x, hit.tile.y) for hit in hits]


def test_a_slide_of_which_no_tile_could_be_read_is_whole(library):
    put_slide(library, 1, np.zeros((SHARD_ROWS + 5, DIM), np.float32))
    found = open_collection(library)
    assert (found.tile_count, found.problems) == (0, ())


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_embeddings_that_are_none_are_refused(library, value):
    vectors = make_vectors(40)
    vectors[9] *= value
    with pytest.raises(
        UserError, match=r"Encoder 'made' gives no embedding of finite values.*x 288"
    ):
        put_slide(library, 1, vectors)
    assert library.collection().fingerprints() == ()


def test_a_second_writer_goes_on_and_asks_for_no_tiles(library):
    vectors = make_vectors(3 * SHARD_ROWS)
    put_slide(library, 1, vectors, stop_after=2)
    assert library.collection().fingerprints() == ()
    collection = library.collection()
    record = SlideRecord(fingerprint(1), "/elsewhere.svs")

    def never():
        raise AssertionError("the tiles are on the disk")

    with SlideWriter(
        collection.slide_folder(fingerprint(1)), record, collection.set_up, never
    ) as writer:
        assert (writer.resumed, writer.todo, writer.done_tiles) == (2, (2,), 2 * SHARD_ROWS)
        writer.write(2, vectors[2 * SHARD_ROWS :])
        writer.finish()
    group = zarr.open_group(folder_of(library, 1), mode="r")
    assert (group["embeddings"][:] == vectors.astype(np.float16)).all()


class Killed(BaseException):
    """As a kill: nothing of the program catches it."""


@pytest.mark.parametrize("number", [1, 2])
def test_killed_between_the_former_and_the_new_slide_it_goes_on(library, monkeypatch, number):
    """At the renaming of the former one, and at that of the new one."""
    put_slide(library, 1, make_vectors(40))
    whole, calls = slide_writer.os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) == number:
            raise Killed
        whole(source, target)

    new = make_vectors(SHARD_ROWS + 3, seed=4)
    with monkeypatch.context() as patch:
        patch.setattr(slide_writer.os, "rename", rename)
        with pytest.raises(Killed):
            put_slide(library, 1, new)
    assert len(library.collection().fingerprints()) == 2 - number
    collection = library.collection()
    record = SlideRecord(fingerprint(1), "/1.svs")
    place = collection.slide_folder(fingerprint(1))
    with SlideWriter(place, record, collection.set_up, list) as writer:
        assert writer.todo == ()
        writer.finish()
    found = open_collection(library)
    assert (found.tile_count, found.problems) == (SHARD_ROWS + 3, ())
    assert [path.name for path in collection.slides_folder.iterdir()] == [fingerprint(1)]


def test_what_a_kill_left_of_a_removed_slide_is_deleted_by_the_next_writer(library, monkeypatch):
    put_slide(library, 1, make_vectors(40))
    with monkeypatch.context() as patch, library.write_lock():
        patch.setattr(slide_writer.shutil, "rmtree", lambda path, ignore_errors: None)
        library.remove_slide(fingerprint(1))
    slides = library.collection().slides_folder
    assert [path.name for path in slides.iterdir()] == [f"{fingerprint(1)}-0.removed"]
    assert open_collection(library).tile_count == 0
    put_slide(library, 2, make_vectors(40))
    assert [path.name for path in slides.iterdir()] == [fingerprint(2)]


@pytest.mark.parametrize("hurt", ["shard", "table", "journal"])
def test_what_a_kill_left_damaged_is_made_again(library, hurt):
    vectors = make_vectors(2 * SHARD_ROWS)
    put_slide(library, 1, vectors, stop_after=1)
    partial = library.collection().slide_folder(fingerprint(1) + ".partial")
    name = {"shard": "embeddings/c.0.0", "table": "x/c.0", "journal": "journal.jsonl"}[hurt]
    data = bytearray((partial / name).read_bytes())
    data[len(data) // 2 if hurt == "shard" else 100] ^= 1
    (partial / name).write_bytes(data)
    put_slide(library, 1, vectors)
    group = zarr.open_group(folder_of(library, 1), mode="r")
    assert (group["embeddings"][:] == vectors.astype(np.float16)).all()
    assert (group["x"][:] == make_tiles(len(vectors))["x"]).all()


def test_a_shard_that_is_missing_or_damaged_is_told_and_the_rest_is_searched(library):
    put_slide(library, 1, make_vectors(40))
    put_slide(library, 2, make_vectors(2 * SHARD_ROWS, seed=2))
    shard = folder_of(library, 2) / "embeddings/c.1.0"
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    found = open_collection(library)
    assert found.tile_count == 40
    ((name, reason),) = found.problems
    assert name == fingerprint(2)
    assert reason == (
        "Indexed slide '2.svs' is damaged (embeddings/c.1.0 is missing or not as it was written); "
        "it is left out of the search. Index that slide again with --reindex."
    )
    shard.unlink()  # zarr would read zeros
    assert open_collection(library).problems[0][0] == fingerprint(2)
    put_slide(library, 2, make_vectors(2 * SHARD_ROWS, seed=2))
    assert open_collection(library).problems == ()


@pytest.mark.parametrize(
    "change",
    [
        {"data_type": "float64"},
        {"shape": [40, 17]},
        {"codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {}}]},
        {"codecs": [{"name": "vlen-utf8"}]},
        {"zarr_format": 2},
        {"codecs": None},
    ],
)
def test_a_document_that_promises_something_else_is_refused(library, change):
    """Also where the manifest vouches for it: somebody made both."""
    put_slide(library, 1, make_vectors(40))
    path = folder_of(library, 1) / "embeddings/zarr.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    from napari_medssl.io.slide_store.journal import Receipt

    manifest_path = folder_of(library, 1) / "manifest.json"
    manifest = json.loads(manifest_path.read_bytes())
    manifest["files"]["embeddings/zarr.json"] = Receipt.of_file(path).to_json()
    manifest_path.write_text(json.dumps(manifest))
    ((_, reason),) = open_collection(library).problems
    assert "is damaged" in reason


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../passwd": {"size": 1, "blake2b": ""}}},
        {"format": "another"},
        {"tiles": -1},
        {"tiles": 10**12},
        {"slide": None},
    ],
)
def test_a_damaged_manifest_leaves_out_its_slide_alone(library, change):
    put_slide(library, 1, make_vectors(40))
    put_slide(library, 2, make_vectors(30))
    path = folder_of(library, 1) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    found = open_collection(library)
    assert found.tile_count == 30
    assert "missing or damaged" in found.problems[0][1]
    assert "--reindex" in found.problems[0][1]


def test_a_slide_of_another_set_up_is_not_taken_for_one_of_the_collection(library):
    put_slide(library, 1, make_vectors(40))
    other = make_set_up(sha256="cd" * 32)
    put_slide(library, 2, make_vectors(40), set_up=other)
    first = library.collection(make_set_up().name)
    second = library.collection(other.name)
    second.slide_folder(fingerprint(2)).rename(first.slide_folder(fingerprint(2)))
    found = open_collection(library, make_set_up().name)
    assert found.tile_count == 40
    assert "does not fit its collection" in found.problems[0][1]


def test_one_writer_at_a_time(library):
    with (
        library.write_lock(),
        pytest.raises(UserError, match=r"'library' is being written by another program \(process"),
        Library.open(library.folder).write_lock(),
    ):
        pass
    with library.write_lock():
        pass


def test_a_folder_that_is_no_library_is_not_touched(tmp_path):
    with pytest.raises(UserError, match="There is no library"):
        Library.open(tmp_path / "none")
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        Library.open(tmp_path, make=True)
    with pytest.raises(UserError, match="holds something else"):
        Library.open(tmp_path / "a.txt", make=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"format": "napari-medssl embeddings", "version": 2}', "reads up to 1"),
        ('{"format": "other", "version": 1}', "is no library of embeddings but 'other'"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_a_library_that_cannot_be_understood_is_told(library, content, text):
    (library.folder / "library.json").write_text(content)
    with pytest.raises(UserError, match=text):
        Library.open(library.folder)


def test_a_collection_that_a_kill_stopped_is_made_by_the_next(library):
    folder = library.folder / f"{make_set_up().name}.embeddings"
    (folder / "slides").mkdir(parents=True)
    assert library.collections == ()
    put_slide(library, 1, make_vectors(40))
    assert open_collection(library).tile_count == 40
    (folder / "collection.json").unlink()
    with pytest.raises(UserError, match=r"'collection\.json' of the collection .* is missing"):
        open_collection(library)


def test_a_slide_goes_and_comes_anew(library):
    put_slide(library, 1, make_vectors(40))
    put_slide(library, 2, make_vectors(30, seed=2))
    found = open_collection(library)
    with library.write_lock():
        assert library.remove_slide(fingerprint(1)) == 1
        assert library.remove_slide(fingerprint(1)) == 0
    assert found.tile_count == 70  # until it looks again
    found.refresh()
    assert found.tile_count == 30
    assert {hit.tile.slide for hit in found.search(make_vectors(1), 99).hits[0]} == {fingerprint(2)}
    put_slide(library, 1, make_vectors(50, seed=5))
    found.refresh()
    assert found.tile_count == 80


def test_a_set_up_has_a_name_of_its_own():
    names = {
        make_set_up(**change).name
        for change in ({}, {"sha256": ""}, {"mpp": 1.0}, {"size": 64}, {"stain": "he"}, {"dim": 8})
    }
    assert len(names) == 6
    assert make_set_up(encoder="../a/b c").name.startswith("a-b-c-0.5um-32px-")
    assert SetUp.from_json(make_set_up().to_json()) == make_set_up()
    with pytest.raises(ValueError, match="no set-up"):
        SetUp.from_json({"encoder": "a"})


def test_an_encoder_of_other_weights_is_told():
    check_encoder(make_set_up(), "made", "ab" * 32)
    with pytest.raises(
        UserError, match=r"Encoder 'made' has other weights \(sha256 cdcdcdcdcdcd\)"
    ):
        check_encoder(make_set_up(), "made", "cd" * 32)


def test_tiles_of_a_shard_lie_together():
    x, y = np.meshgrid(np.arange(64) * 100, np.arange(64) * 100)
    locations = np.stack([x.ravel(), y.ravel()], axis=1)
    order = compact_order(locations, 100)
    assert sorted(order.tolist()) == list(range(4096))
    for shard in range(4):
        spread = np.ptp(locations[order][shard_rows(shard, 4096)], axis=0)
        assert spread.tolist() == [3100, 3100]


def test_the_shards_near_a_point_come_first():
    tiles = make_tiles(5 * SHARD_ROWS)
    assert nearest_shards(tiles, [0, 1, 2, 3, 4], (0, 1e6)) == (4, 3, 2, 1, 0)
    assert nearest_shards(tiles, [0, 3, 4], (100, 0)) == (0, 3, 4)
