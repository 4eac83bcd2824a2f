"""A mirror in LanceDB: the hits of the library, only changes are written, recall is measured."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from index_world import fingerprint, make_set_up, make_vectors, put_slide

from napari_medssl._errors import UserError
from napari_medssl.backend import mirror_library as mirror_verb
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.mirror_library import MirrorConfig, mirror_library
from napari_medssl.backend.search_query import Query, SearchConfig
from napari_medssl.backend.search_tiles import search_tiles
from napari_medssl.cli import main
from napari_medssl.index import engine_index, engine_mirror, open_collection
from napari_medssl.index.approximate import Reach
from napari_medssl.index.engine import Engine, SearchWay
from napari_medssl.index.engine_search import open_engine

pytest.importorskip("lancedb")

ROWS = 300


@pytest.fixture
def filled(library):
    """Three slides, two of one patient."""
    for number in range(3):
        put_slide(library, number, make_vectors(ROWS, seed=number), patient=f"p{number // 2}")
    return library


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "engine")


def mirrored(library, url, **config):
    return mirror_library(library.folder, url, MirrorConfig(**config))


def rows(url):
    """What the engine holds, as (slide, x, y), sorted."""
    table = Engine(url).table(make_set_up().name).to_arrow().to_pylist()
    return sorted((row["slide"], row["x"], row["y"]) for row in table)


def due(library):
    found = open_collection(library)
    return sorted(
        (slide.fingerprint, int(tile["x"]), int(tile["y"]))
        for slide in found.slides
        for tile in found.tiles(slide.fingerprint)
    )


def same_hits(ours, theirs):
    assert [hit.tile for hit in theirs] == [hit.tile for hit in ours]
    np.testing.assert_allclose(
        [hit.similarity for hit in theirs], [hit.similarity for hit in ours], atol=1e-6
    )


def test_the_hits_are_those_of_the_library(filled, url):
    report = mirrored(filled, url)
    assert (report.added, report.removed, report.tiles, report.recall) == (3, 0, 3 * ROWS, 1.0)
    ours, theirs = open_collection(filled), open_engine(url)
    assert (theirs.set_up, theirs.encoder_given) == (ours.set_up, ours.encoder_given)
    assert theirs.slides == ours.slides
    query = ours.nearest_tile(fingerprint(0), (40, 40))
    assert theirs.nearest_tile(fingerprint(0), (40, 40)) == query
    vector = ours.vector(query)
    np.testing.assert_allclose(theirs.vector(query), vector, atol=1e-6)
    for out in (
        {},
        {"exclude_tiles": [query]},
        {"exclude_slides": {fingerprint(0)}},
        {"exclude_patients": {"p0"}},
        {"exclude_slides": {fingerprint(2)}, "exclude_patients": {"p0"}},
    ):
        same_hits(ours.search(vector, 20, **out).hits[0], theirs.search(vector, 20, **out).hits[0])


def test_only_what_changed_is_written_and_what_went_goes(filled, url):
    mirrored(filled, url)
    again = mirrored(filled, url)
    assert (again.added, again.removed) == (0, 0)
    with filled.write_lock():
        filled.remove_slide(fingerprint(0))
    put_slide(filled, 1, make_vectors(ROWS - 50, seed=7), patient="p9")  # in the place of another
    put_slide(filled, 3, make_vectors(ROWS, seed=3))
    report = mirrored(filled, url)
    assert (report.added, report.removed) == (2, 2)
    assert rows(url) == due(filled)
    assert open_engine(url).slides == open_collection(filled).slides


def test_another_patient_is_noted_without_writing_tiles(filled, url, monkeypatch):
    from napari_medssl.index.slide_record import read_manifest, update_manifest

    mirrored(filled, url)
    folder = filled.collection().slide_folder(fingerprint(2))
    update_manifest(folder, read_manifest(folder), "/moved/2.svs", "p0")
    report = mirrored(filled, url)
    assert (report.added, report.removed) == (0, 0)
    assert open_engine(url).slides == open_collection(filled).slides


@pytest.mark.parametrize("step", range(1, 8))
def test_killed_at_any_step_nothing_is_lost_or_doubled(filled, url, step, monkeypatch):
    mirrored(filled, url)
    with filled.write_lock():
        filled.remove_slide(fingerprint(0))
    put_slide(filled, 1, make_vectors(ROWS, seed=8))
    put_slide(filled, 3, make_vectors(ROWS, seed=3))
    monkeypatch.setattr(engine_mirror, "_GROUP_ROWS", 1)  # each slide by itself
    steps = []

    class Killed(BaseException):
        """Nothing catches it."""

    class Table:
        """A table whose writing calls are counted; one of them is the last."""

        def __init__(self, table):
            self._table = table

        def __getattr__(self, name):
            whole = getattr(self._table, name)
            if name not in ("add", "delete", "update", "merge_insert"):
                return whole

            def counted(*args, **kwargs):
                steps.append(name)
                if len(steps) == step:
                    raise Killed
                return whole(*args, **kwargs)

            return counted

    plain = Engine.table
    with monkeypatch.context() as changed:
        changed.setattr(Engine, "table", lambda *args: Table(plain(*args)))
        with pytest.raises(Killed):
            mirrored(filled, url)
    whole = {record.fingerprint for record in open_engine(url).slides}
    held = [slide for slide, _, _ in rows(url) if slide in whole]
    assert {slide: held.count(slide) for slide in whole} == dict.fromkeys(whole, ROWS)
    mirrored(filled, url)
    assert rows(url) == due(filled)


def test_stopped_it_goes_on(filled, url, monkeypatch):
    monkeypatch.setattr(engine_mirror, "_GROUP_ROWS", 1)
    told = []
    with pytest.raises(Cancelled, match="it goes on there"):
        mirror_library(
            filled.folder,
            url,
            MirrorConfig(),
            on_progress=told.append,
            should_stop=lambda: bool(told) and told[-1].done == ROWS,
        )
    assert len(open_engine(url).slides) == 1
    assert mirrored(filled, url).added == 2
    assert rows(url) == due(filled)


def spread_vectors(count, seed):
    """Unit vectors (count, 64) without clusters, in eight directions."""
    directions = np.random.default_rng(0).normal(size=(8, 64))
    values = np.random.default_rng(seed).normal(size=(count, 8)) @ directions
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_the_recall_of_its_index_is_measured(library, url, monkeypatch):
    """On vectors without clusters, which a few lists do not cover."""
    monkeypatch.setattr(engine_index, "LEAST_ROWS", 1000)
    monkeypatch.setattr(engine_index, "_LIST_ROWS", 128)
    monkeypatch.setattr(engine_index, "_QUERIES", 10)
    monkeypatch.setattr(engine_index, "NEIGHBOURS", (10,))
    for number in range(4):
        put_slide(library, number, spread_vectors(600, number))
    report = mirrored(library, url)
    way = open_engine(url)._entry.way
    assert way.rows == 2400
    assert 1 < way.reach(10).nprobe <= engine_index.list_count(2400)
    assert report.recall == way.reach(1).recall >= 0.99
    ours, theirs = open_collection(library), open_engine(url)
    queries = spread_vectors(20, 99)
    exact, found = (one.search(queries, 10) for one in (ours, theirs))
    shares = [
        len({hit.tile for hit in due} & {hit.tile for hit in came}) / 10
        for due, came in zip(exact.hits, found.hits, strict=True)
    ]
    assert np.mean(shares) > 0.95
    assert found.recall == report.recall
    # The lists near a query may hold nothing but what is left out.
    few = way.reach(10).nprobe // 4
    theirs._entry = replace(theirs._entry, way=replace(way, reaches=(Reach(10, few, 0.99),)))
    out = {"exclude_slides": {fingerprint(number) for number in range(3)}}
    exact, found = (one.search(queries, 10, **out) for one in (ours, theirs))
    shares = [
        len({hit.tile for hit in due} & {hit.tile for hit in came}) / 10
        for due, came in zip(exact.hits, found.hits, strict=True)
    ]
    assert np.mean(shares) > 0.95
    put_slide(library, 4, spread_vectors(60, 4))  # too few for another index
    assert mirrored(library, url).recall == report.recall
    (hit,) = open_engine(url).search(spread_vectors(60, 4)[7], 1).hits[0]
    assert hit.tile.slide == fingerprint(4)


def test_killed_between_index_and_measurement_nothing_old_is_told(filled, url, monkeypatch):
    """What was measured of the former index says nothing of the one that is there now."""
    monkeypatch.setattr(engine_index, "LEAST_ROWS", ROWS)
    old = SearchWay(ROWS, 10, (Reach(10, 1, 0.5),))
    monkeypatch.setattr(mirror_verb, "measured_way", lambda *args, **more: old)
    assert mirrored(filled, url).recall == 0.5

    class Killed(BaseException):
        """Nothing catches it."""

    def kill(*args, **more):
        raise Killed

    monkeypatch.setattr(mirror_verb, "measured_way", kill)
    with pytest.raises(Killed):
        mirrored(filled, url, reindex=True)
    found = open_engine(url)
    assert (found._entry.way, found.search(make_vectors(1), 5).recall) == (SearchWay(), 1.0)
    monkeypatch.setattr(mirror_verb, "measured_way", lambda *args, **more: old)
    assert mirrored(filled, url).recall == 0.5  # made again without being asked


def test_a_library_is_known_by_its_id(filled, url, library, tmp_path):
    """Not by its slides: all of them may be replaced, and two libraries may share some."""
    mirrored(filled, url)
    with filled.write_lock():
        for number in range(3):
            filled.remove_slide(fingerprint(number))
    put_slide(filled, 7, make_vectors(ROWS, seed=7))
    report = mirrored(filled, url)
    assert (report.added, report.removed) == (1, 3)
    other = type(library).open(tmp_path / "other", make=True)
    put_slide(other, 7, make_vectors(ROWS, seed=7))
    with pytest.raises(UserError, match=r"mirrors another library \(id \w{8}, this one is \w{8}\)"):
        mirrored(other, url)


def test_an_old_library_gets_an_id_when_it_is_written_to(filled, url):
    about = filled.folder / "library.json"
    about.write_text(json.dumps({"format": "napari-medssl embeddings", "version": 1}))
    assert filled.id == ""
    mirrored(filled, url)  # read, not written to
    assert filled.id == Engine(url).entry().library == ""
    with filled.write_lock():
        pass
    assert len(filled.id) == 32
    assert mirrored(filled, url).added == 0
    assert Engine(url).entry().library == filled.id


def test_one_engine_does_not_wait_for_another(filled, url, tmp_path):
    with mirror_verb._mirror_lock(filled, url):
        assert mirrored(filled, str(tmp_path / "beside")).added == 3
        with pytest.raises(UserError, match=r"engine .* is being written by another program"):
            mirrored(filled, url)
    with (
        mirror_verb._mirror_lock(filled, "s3://bucket/a"),
        mirror_verb._mirror_lock(filled, "s3://bucket/b"),
        pytest.raises(UserError, match="'s3://bucket/a/' is being written by another program"),
        mirror_verb._mirror_lock(filled, "s3://bucket/a/"),
    ):
        pass


def test_faults_of_ours_are_not_the_engine_s(filled, url):
    mirrored(filled, url)
    engine = Engine(url)
    with pytest.raises(ValueError, match="could not convert"), engine.errors_told():
        float("ours")
    with (
        pytest.raises(UserError, match=r"cannot be used: .*Look at the place"),
        engine.errors_told(),
    ):
        engine.table(make_set_up().name).search().where("x ==").to_arrow()


def test_an_index_is_made_anew_when_tiles_were_replaced(filled, url, monkeypatch):
    """As many go as come: the number of tiles says nothing of it."""
    monkeypatch.setattr(engine_index, "LEAST_ROWS", ROWS)
    monkeypatch.setattr(engine_index, "_MOST_NEW", 0.5)
    made = []

    def make(tiles, entry, flat, **more):
        made.append(entry.way.changed)
        return SearchWay(tiles.count_rows(), 10)

    monkeypatch.setattr(mirror_verb, "measured_way", make)
    for number, due in ((0, [0]), (1, [0]), (2, [0, 2 * ROWS]), (0, [0, 2 * ROWS])):
        mirrored(filled, url)
        assert made == due
        put_slide(filled, number, make_vectors(ROWS, seed=10 + number + len(made)))
    assert open_engine(url)._entry.way == SearchWay(3 * ROWS, 10, changed=ROWS)


def test_the_command_line_mirrors(filled, url, tmp_path, capsys):
    words = ["--library", str(filled.folder), "--engine", url]
    assert main(["mirror", *words]) == 0
    assert "3 slides added, 0 taken out or replaced; 900 tiles in made-" in capsys.readouterr().err
    out = tmp_path / "hits.json"
    assert main(["search", *words, "--slide", "a", "--at", "1,1", "--out", str(out)]) == 2
    assert "Give either --library or --engine" in capsys.readouterr().err


def test_the_command_line_searches_the_mirror_as_the_library(filled, url, tmp_path, monkeypatch):
    from napari_medssl.backend import search_query

    class Made:
        info = replace(make_set_up(), encoder="made")
        name = "made"

        def embed(self, tiles):
            return make_vectors(len(tiles), seed=5)

    monkeypatch.setattr(search_query.QueryVector, "_encoder", lambda self: Made())
    from PIL import Image

    Image.new("RGB", (32, 32), (200, 100, 150)).save(tmp_path / "tile.png")
    mirrored(filled, url)
    documents = []
    out = tmp_path / "hits.json"
    for place in (["--library", str(filled.folder)], ["--engine", url]):
        words = ["search", *place, "--image", str(tmp_path / "tile.png"), "--out", str(out)]
        assert main(words) == 0
        documents.append(json.loads(out.read_bytes()))
    assert documents[0] == documents[1]
    with pytest.raises(UserError, match="--stain asks the library itself, not an engine"):
        search_tiles(
            None,
            Query(image=tmp_path / "tile.png"),
            SearchConfig(stain=True),
            engine=url,
        )


def test_errors_say_what_to_do(filled, url, library, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"There is no engine .* Make one with `medssl mirror"):
        open_engine(url)
    with pytest.raises(
        UserError, match="is of a kind that is not known; due is a folder, or a URL"
    ):
        mirrored(filled, "ftp://somewhere/else")
    for place in (filled.folder, filled.folder / "engine"):
        with pytest.raises(UserError, match="would lie in the library itself"):
            mirrored(filled, str(place))
    mirrored(filled, url)
    with pytest.raises(UserError, match="0 of them fit encoder 'imagenet'"):
        open_engine(url, "imagenet")
    with pytest.raises(UserError, match="A query has 3 dimensions"):
        open_engine(url).search(np.ones(3), 1)
    other = type(library).open(tmp_path / "other", make=True)
    other.make_collection(make_set_up(), "made")
    assert mirrored(other, str(tmp_path / "empty"), reindex=True).tiles == 0
    put_slide(other, 9, make_vectors(10))
    with pytest.raises(UserError, match=r"mirrors another library \(id"):
        mirrored(other, url)
    (other.folder / "library.json").write_text(
        '{"format": "napari-medssl embeddings", "version": 1}'
    )
    with pytest.raises(UserError, match="mirrors another library: none of its 3 slides"):
        mirrored(other, url)
    Engine(url).table(make_set_up().name).delete("x = 0")
    with pytest.raises(UserError, match=r"holds \d+ tiles of this collection, the library 900"):
        mirrored(filled, url)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(UserError, match=r'pip install "napari-medssl\[engine\]"'):
        mirrored(filled, url)
