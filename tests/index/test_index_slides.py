"""Indexing as a verb: the order of tiles, what cannot be read or embedded, and full disks."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from index_child import CONFIG, PIXELS, SmallHistogram, write_slide

from napari_medssl._errors import UserError
from napari_medssl.backend import index_slides as verb
from napari_medssl.backend import search_query
from napari_medssl.backend.encoders import EncoderInfo
from napari_medssl.backend.search_query import Query, SearchConfig
from napari_medssl.backend.search_tiles import search_tiles
from napari_medssl.backend.tile_stream import TileForm, stream_shards
from napari_medssl.index import arrays, open_collection, slide_writer
from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.array_slide import ArraySlide
from napari_medssl.io.slides.protocol import SlideReadError
from napari_medssl.io.stain import Reinhard, fit_slide_stain
from napari_medssl.io.tile_table import TileSource, TileTable

SIDE = 40 * PIXELS
SHARD = 256  # 7 shards of a slide


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(arrays, "SHARD_ROWS", SHARD)


@pytest.fixture
def encoder(monkeypatch):
    """Whatever is in the list is the encoder; histograms of small tiles to begin with."""
    chosen = [SmallHistogram()]
    for module in (verb, search_query):
        monkeypatch.setattr(module, "make_encoder", lambda name, device: chosen[0])
    return chosen


@pytest.fixture
def slide(tmp_path):
    write_slide(tmp_path / "a.png", side=SIDE)
    return str(tmp_path / "a.png")


def index(slides, library, config=CONFIG, **more):
    return verb.index_slides(slides, library, config, **more)


class Changed:
    """An encoder of which something is another."""

    def __init__(self, change=lambda values: values, **info):
        self.info = replace(SmallHistogram.info, **info)
        self._change = change

    def embed(self, tiles):
        return self._change(SmallHistogram().embed(tiles))


def test_what_a_person_looks_at_comes_first_and_may_move(encoder, slide, tmp_path, monkeypatch):
    written = []
    whole = slide_writer.SlideWriter.write

    def write(self, shard, embeddings):
        rows = self.tiles[arrays.shard_rows(shard, len(self.tiles))]
        written.append((int(np.median(rows["x"])), int(np.median(rows["y"]))))
        whole(self, shard, embeddings)

    monkeypatch.setattr(slide_writer.SlideWriter, "write", write)
    asked = []

    def towards():
        asked.append(None)
        return (SIDE, SIDE) if len(asked) <= 2 else (0, 0)

    index([slide], tmp_path / "library", towards=towards)
    assert len(written) == 7
    assert min(written[0]) > SIDE / 2  # lower right
    assert max(written[2]) < SIDE / 2  # then upper left
    assert len(open_collection(tmp_path / "library").tiles(fingerprint_of(slide))) == 1600


def fingerprint_of(path):
    with open_slide(path) as opened:
        return opened.fingerprint


def test_progress_moves_with_every_batch(encoder, slide, tmp_path):
    seen = []
    index([slide], tmp_path / "lib", on_progress=seen.append)
    done = [one.done for one in seen if one.message == "a.png"]
    assert done[0] == 0
    assert done[-1] > SHARD
    assert max(np.diff(done)) <= CONFIG.batch < SHARD


def test_values_that_are_not_finite_fail_their_slide_alone(encoder, slide, tmp_path):
    write_slide(tmp_path / "b.png", seed=1, side=SIDE)
    seen = []

    def spoil(values):
        seen.append(len(values))
        if sum(seen) <= SHARD:
            values[0] = np.nan
        return values

    encoder[0] = Changed(spoil)
    report = index([slide, str(tmp_path / "b.png")], tmp_path / "library")
    ((name, reason),) = report.failures
    assert name == slide
    assert "gives no embedding of finite values and unit length for the tile at x " in reason
    assert report.indexed == [str(tmp_path / "b.png")]
    assert len(open_collection(tmp_path / "library").slides) == 1


def test_other_weights_of_the_same_name_lie_beside_and_are_told(encoder, slide, tmp_path):
    encoder[0] = Changed(sha256="aa")
    index([slide], tmp_path / "library")
    first = open_collection(tmp_path / "library").set_up
    encoder[0] = Changed(sha256="bb")
    with pytest.raises(
        UserError, match=r"has other weights \(sha256 bb\) than .* made with \(aa\)"
    ):
        search_tiles(tmp_path / "library", Query(image=tmp_path / "a.png"), SearchConfig(top=1))
    report = index([slide], tmp_path / "library")
    assert "holds embeddings of another encoder 'histogram' (other weights" in report.remarks[0]
    assert open_collection(tmp_path / "library", first.name).tile_count == 1600
    with pytest.raises(UserError, match="holds 2 collections that fit"):
        open_collection(tmp_path / "library", "histogram")


def test_a_slide_without_tissue_is_noted_and_not_looked_at_again(encoder, tmp_path):
    from PIL import Image

    Image.new("RGB", (SIDE, SIDE), (250, 250, 250)).save(tmp_path / "glass.png")
    config = replace(CONFIG, min_tissue=0.5)
    report = index([str(tmp_path / "glass.png")], tmp_path / "library", config)
    assert "'glass.png' shows no tissue: no tile is indexed." in report.remarks
    again = index([str(tmp_path / "glass.png")], tmp_path / "library", config)
    assert (again.indexed, len(again.skipped)) == ([], 1)


class HurtSlide(ArraySlide):
    """A slide of which a square cannot be read."""

    hurt = (100, 100, 120, 110)

    def _read_inside(self, level, x, y, width, height):
        x0, y0, x1, y1 = self.hurt
        if level == 0 and x < x1 and x + width > x0 and y < y1 and y + height > y0:
            raise SlideReadError("damaged there", level, (x, y), (width, height))
        return super()._read_inside(level, x, y, width, height)


def test_tiles_that_cannot_be_read_are_told_and_left_out(encoder, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 250, (SIDE, SIDE, 3), np.uint8)
    from napari_medssl.backend import slide_indexer

    monkeypatch.setattr(
        slide_indexer, "open_slide", lambda path: HurtSlide(pixels, mpp=0.5, name="hurt")
    )
    report = index(["hurt"], tmp_path / "library")
    bad = {(96, 96), (112, 96)}  # of 16 pixels
    assert len(report.failures) == len(bad)
    assert report.indexed == ["hurt"]
    found = open_collection(tmp_path / "library")
    (record,) = found.slides
    assert (record.tiles, record.unread) == (1600, 2)
    tiles = found.tiles(record.fingerprint)
    assert bad.isdisjoint(zip(tiles["x"].tolist(), tiles["y"].tolist(), strict=True))
    assert len(tiles) == 1598


def test_the_stain_is_that_of_the_slide_for_every_tile(encoder, tmp_path):
    """Also of those embedded after a stop."""
    rng = np.random.default_rng(0)
    from PIL import Image

    pixels = rng.normal((190, 110, 170), 30, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    encoder[0] = Changed(stain="he")
    done = []

    def stop():
        return bool(done) and done[-1] >= 700

    with pytest.raises(verb.Cancelled):
        index(
            [str(tmp_path / "a.png")],
            tmp_path / "library",
            should_stop=stop,
            on_progress=lambda progress: done.append(progress.done),
        )
    index([str(tmp_path / "a.png")], tmp_path / "library")
    found = open_collection(tmp_path / "library")
    (record,) = found.slides
    rows = found.tiles(record.fingerprint)
    source = TileSource(record.fingerprint, 0.5, 0.5, PIXELS)
    locations = np.stack([rows["x"], rows["y"]], axis=1).astype(np.int64)
    table = TileTable(locations, PIXELS, rows["tissue"], np.full(1600, np.nan, "f4"), source)
    with open_slide(tmp_path / "a.png") as opened:
        look = Reinhard(fit_slide_stain(opened, table), "he")
    for x, y in ((0, 0), (320, 80), (624, 624)):
        alone = look(pixels[None, y : y + PIXELS, x : x + PIXELS])
        tile = found.nearest_tile(record.fingerprint, (x + 1, y + 1))
        vector = SmallHistogram().embed(alone)[0]
        np.testing.assert_allclose(found.vector(tile), vector, atol=2e-3)


def test_a_disk_that_is_full_in_the_middle_goes_on_when_there_is_room(
    encoder, slide, tmp_path, mount, monkeypatch
):
    folder = mount("size=3m")
    monkeypatch.setattr(slide_writer.SlideWriter, "_check_space", lambda self, rows: None)
    filler = folder / "filler"
    filler.write_bytes(bytes(2_000_000))
    report = index([slide, slide], folder / "library")
    ((name, reason),) = report.failures  # the second is not tried
    assert name == slide
    assert reason.startswith("The disk is full: ")
    assert reason.endswith("give the same command again; it goes on where it was.")
    assert not list(folder.rglob(".writing-*"))
    filler.unlink()
    report = index([slide], folder / "library")
    assert (report.failures, report.indexed) == ([], [slide])
    assert 0 < report.tiles < 1600  # what was there is kept
    assert open_collection(folder / "library").tile_count == 1600


def test_what_a_kill_left_of_a_write_is_not_in_the_finished_slide(encoder, slide, tmp_path):
    done = []
    with pytest.raises(verb.Cancelled):
        index(
            [slide],
            tmp_path / "library",
            should_stop=lambda: bool(done) and done[-1] >= 700,
            on_progress=lambda progress: done.append(progress.done),
        )
    (partial,) = (tmp_path / "library").glob("*.embeddings/slides/*.partial")
    (partial / "embeddings" / ".writing-left").write_bytes(b"half")
    index([slide], tmp_path / "library")
    assert not list((tmp_path / "library").rglob(".writing-*"))


def test_the_reader_thread_ends_with_whoever_uses_it(slide):
    form = TileForm(PIXELS, PIXELS, 8)
    places = np.zeros((64, 2), np.int64)
    shards = iter([(0, places), (1, places)])
    with open_slide(slide) as opened:
        stream = stream_shards(opened, form, lambda: next(shards, None))
        assert next(stream).shard == 0
        stream.close()
        assert "medssl shards" not in [thread.name for thread in threading.enumerate()]

        def fail():
            raise RuntimeError("what was asked for next")

        with pytest.raises(RuntimeError, match="what was asked for next"):
            next(stream_shards(opened, form, fail))


def test_an_encoder_says_what_the_tiles_are():
    class Wanting:
        info = EncoderInfo(name="w", dim=3, pixels=96, mpp=1.0, stain="he", sha256="s")

    made = verb.set_up_of(Wanting(), replace(CONFIG, mpp=None))
    assert (made.mpp, made.size, made.pixels, made.stain) == (1.0, 96, 96, "he")
    made = verb.set_up_of(Wanting(), replace(CONFIG, mpp=0.25, size=384))
    assert (made.mpp, made.size, made.pixels) == (0.25, 384, 96)
