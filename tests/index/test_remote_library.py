"""A library in an object store: slides are there once or not at all, whoever is killed."""

import json

import fsspec
import numpy as np
import pytest
from index_child import CONFIG, PIXELS, SmallHistogram, write_slide
from index_world import fingerprint, make_set_up, make_vectors

from napari_medssl._errors import UserError
from napari_medssl.backend import index_slides as verb
from napari_medssl.backend.library_place import copy_folder, read_library, written_library
from napari_medssl.backend.mirror_library import MirrorConfig, mirror_library
from napari_medssl.backend.search_query import Query, SearchConfig
from napari_medssl.backend.search_tiles import search_tiles
from napari_medssl.cli import main
from napari_medssl.index import open_collection
from napari_medssl.index.object_store import ObjectStore
from napari_medssl.index.slide_writer import SlideWriter

ROWS = 40


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes what follows run on another machine: one with a cache of its own."""

    def change(name):
        monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path / name))

    change("one")
    return change


@pytest.fixture
def url(machine, tmp_path):
    place = f"memory://{tmp_path.name}/biopsies"
    yield place
    fsspec.filesystem("memory").rm(tmp_path.name, recursive=True)


def objects(url):
    """Every object of the library, by place."""
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}


def put(url, number, *, seed=None, patient=""):
    """Write a slide of made-up vectors into the library."""
    with written_library(url, make=True) as held:
        _write(held, number, seed, patient)


def _write(held, number, seed=None, patient=""):
    from index_world import make_tiles

    from napari_medssl.index.slide_record import SlideRecord

    set_up = make_set_up()
    vectors = make_vectors(ROWS, seed=number if seed is None else seed)
    collection = held.library.make_collection(set_up, "made")
    name = fingerprint(number)
    record = SlideRecord(name, f"/slides/{number}.svs", patient, (1600, 6400), 0.5)
    folder = collection.slide_folder(name)
    with SlideWriter(folder, record, set_up, lambda: make_tiles(ROWS)) as writer:
        for shard in writer.todo:
            writer.write(shard, vectors)
        writer.finish()
    held.publish(collection, name)


def slides(url):
    """Fingerprints and contents that a reader finds."""
    library, problems = read_library(url)
    manifests, bad = library.collection().manifests()
    assert (problems, bad) == ((), ())
    return {name: one.content for name, one in manifests.items()}


def test_a_slide_is_published_when_it_is_finished_and_read_elsewhere(url, machine):
    put(url, 0)
    put(url, 1, patient="p")
    assert "lock.json" not in objects(url)
    machine("two")
    library, _ = read_library(url)
    assert [one.patient for one in open_collection(library).slides] == ["", "p"]
    due = make_vectors(ROWS, seed=1)[3]
    (hit,) = open_collection(library).search(due, 1).hits[0]
    assert (hit.tile.slide, hit.similarity) == (fingerprint(1), pytest.approx(1, abs=1e-3))
    # What changes and goes on one machine does so on the other.
    machine("one")
    put(url, 0, seed=7)
    with written_library(url, make=False) as held:
        assert held.remove_slide(fingerprint(1)) == 1
    found = slides(url)
    machine("two")
    assert slides(url) == found
    assert list(found) == [fingerprint(0)]
    names = {place.split("/")[2] for place in objects(url) if "/slides/" in place}
    assert names == {f"{fingerprint(0)}-{found[fingerprint(0)]}"}  # and nothing of former ones


class Killed(BaseException):
    """Nothing catches it."""


def change_all(url):
    """One slide comes, one is replaced, one goes: at most once each, however often it is run."""
    with written_library(url, make=True) as held:
        there = {one for c in held.library.collections for one in c.fingerprints()}
        if fingerprint(2) not in there:
            _write(held, 2)
        _write(held, 0, seed=9)
        held.remove_slide(fingerprint(1))


def test_killed_at_any_step_every_slide_is_there_once(url, machine):
    due = {}
    for step in range(40):  # the first one is unbroken
        place = f"{url}-{step}"
        machine(f"one-{step}")
        put(place, 0)
        put(place, 1)
        was_killed = _changed_until(place, step)
        machine("reader")
        assert fingerprint(0) in slides(place)  # and only whole slides, whatever happened
        machine(f"one-{step}")
        if step:
            change_all(place)
        found = {name: data for name, data in objects(place).items() if name != "library.json"}
        due = due or found
        assert found == due
        if step and not was_killed:
            break
    assert step > 6


def _changed_until(place, last):
    """Change all with the process killed at one of its steps; say whether it was."""
    steps = []

    def counted(whole):
        def call(self, *values):
            steps.append(values)
            if len(steps) == last:
                raise Killed
            # After its death it does nothing: its lock stays, too.
            return None if 0 < last < len(steps) else whole(self, *values)

        return call

    with pytest.MonkeyPatch.context() as changed:
        for name in ("write", "create", "remove"):
            changed.setattr(ObjectStore, name, counted(getattr(ObjectStore, name)))
        try:
            change_all(place)
        except Killed:
            return True
    return False


def test_two_machines_do_not_write_at_once(url, machine):
    with written_library(url, make=True):
        machine("two")
        with pytest.raises(
            UserError,
            match=r"written by another program \(process \d+ on .*delete 'memory://.*lock",
        ):
            put(url, 0)
    put(url, 0)
    store = ObjectStore(url)
    copy = json.loads((copy_folder(url) / "remote.json").read_bytes())["copy"]
    store.write({"lock.json": json.dumps({"copy": copy}).encode()})  # of a run that was killed
    put(url, 1)
    assert len(slides(url)) == 2


def test_a_run_reads_what_it_has_while_another_publishes(url):
    put(url, 0)
    with written_library(url, make=False):
        assert list(slides(url)) == [fingerprint(0)]


def test_what_is_damaged_in_the_store_is_left_out_and_told(url, machine):
    put(url, 0)
    put(url, 1)
    (place, *_) = [one for one in objects(url) if fingerprint(1) in one and "/c." in one]
    ObjectStore(url).write({place: b"rubbish"})
    machine("two")
    library, problems = read_library(url)
    assert library.collection().fingerprints() == (fingerprint(0),)
    assert len(problems) == 1
    assert "is not as it was written; the slide is left out" in problems[0]
    put(url, 1)  # as --reindex does
    machine("three")
    assert len(slides(url)) == 2


def test_errors_of_a_place_say_what_to_do(url, tmp_path):
    with pytest.raises(UserError, match=r"There is no library 'memory://.* Make one with `medssl"):
        read_library(url)
    ObjectStore(url).write({"holiday.jpg": b"sun"})
    with pytest.raises(UserError, match="holds something else than a library of embeddings"):
        put(url, 0)
    with pytest.raises(UserError, match=r"'nowhere://a/b' is of a kind that is not known"):
        read_library("nowhere://me:secret@a/b")


def test_a_library_made_anew_at_a_place_is_not_mixed_with_the_former(url):
    put(url, 0)
    ObjectStore(url).remove("")
    put(url, 1)
    assert list(slides(url)) == [fingerprint(1)]


def index(folder, place, slides=("0.png", "1.png")):
    return verb.index_slides([str(folder / name) for name in slides], place, CONFIG)


def test_the_verbs_take_a_url_as_they_take_a_folder(url, machine, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verb, "make_encoder", lambda name, device: SmallHistogram())
    for number in range(2):
        write_slide(tmp_path / f"{number}.png", seed=number, side=16 * PIXELS)
    assert len(index(tmp_path, url).indexed) == 2
    index(tmp_path, tmp_path / "local")
    machine("two")
    report = index(tmp_path, url)
    assert (report.tiles, len(report.skipped)) == (0, 2)
    query = Query(str(tmp_path / "0.png"), (40.0, 40.0))
    found = [search_tiles(place, query, SearchConfig()) for place in (url, tmp_path / "local")]
    assert found[0].hits == found[1].hits
    assert len(found[0].hits) == 10
    mirror = mirror_library(url, str(tmp_path / "engine"), MirrorConfig())
    assert (mirror.added, mirror.tiles) == (2, 512)
    assert main(["index", str(tmp_path / "0.png"), "--library", url, "--remove"]) == 0
    assert "1 slide taken out of the library." in capsys.readouterr().err
    machine("three")
    assert len(slides(url)) == 1


def test_in_a_simulated_s3_it_is_the_same(machine, tmp_path, monkeypatch):
    """Library, mirror and slides there, with the conditional put that locks the library."""
    server = pytest.importorskip(
        "moto.server", reason='moto is not installed: pip install "moto[server]" s3fs'
    )
    pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ALLOW_HTTP": "true",
        }.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        _check_library_in_s3(machine)
        monkeypatch.setattr(verb, "make_encoder", lambda name, device: SmallHistogram())
        _check_slide_in_s3(tmp_path)
    finally:
        running.stop()


def _check_slide_in_s3(folder):
    """A slide there gives the files that it gives here."""
    write_slide(folder / "a.png", side=16 * PIXELS)
    store = folder / "a.ome.zarr"
    assert main(["slide", "convert", str(folder / "a.png"), "--out", str(store)]) == 0
    fsspec.filesystem("s3").put(str(store), "bucket/a.ome.zarr", recursive=True)
    found = []
    for slide, place in (
        (str(store), folder / "here"),
        ("s3://bucket/a.ome.zarr", "s3://bucket/b"),
    ):
        report = verb.index_slides([slide], place, CONFIG)
        assert (report.tiles, report.failures) == (256, [])
        library, _ = read_library(place)
        ((_, one),) = library.collection().manifests()[0].items()
        found.append(one.files)
    assert found[0] == found[1]


def _check_library_in_s3(machine):
    url = "s3://bucket/biopsies"
    put(url, 0)
    with written_library(url, make=False):
        machine("two")
        with pytest.raises(UserError, match="is being written by another program"):
            put(url, 1)
    put(url, 1)
    put(url, 0, seed=5)
    library, _ = read_library(url)
    assert len(slides(url)) == 2
    vector = make_vectors(ROWS, seed=5)[3]
    due = open_collection(library).search(vector, 5).hits[0]
    if pytest.importorskip("lancedb"):
        from napari_medssl.index.engine_search import open_engine

        mirror_library(url, "s3://bucket/engine", MirrorConfig())
        found = open_engine("s3://bucket/engine").search(vector, 5).hits[0]
        assert [hit.tile for hit in found] == [hit.tile for hit in due]
        np.testing.assert_allclose(
            [hit.similarity for hit in found], [hit.similarity for hit in due], atol=1e-6
        )
