"""Batches of tiles: complete, the same every time, stopped at once, and bad tiles named."""

import shutil
import threading
import time

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io import tiles as tiles_module
from napari_medssl.io.slides import ArraySlide, SlideReadError, open_slide
from napari_medssl.io.tile_sampling import TileSampler
from napari_medssl.io.tiles import TileReader, TileReadError

PIXELS = np.random.default_rng(0).integers(0, 256, (1200, 1500, 3), np.uint8)


def slide():
    return ArraySlide(PIXELS, mpp=0.5)


def grid(step, width=1500, height=1200):
    y, x = np.mgrid[0:height:step, 0:width:step]
    return np.stack([x.ravel(), y.ravel()], 1)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(tiles_module, "_BLOCK_BYTES", 200_000)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("size", "pixels", "step"), [(64, 64, 64), (90, 64, 45), (150, 40, 101)])
def test_every_tile_comes_once_with_its_place(size, pixels, step):
    places = np.random.default_rng(1).permutation(grid(step))
    reader = TileReader(slide(), places, size, pixels, batch_size=7, workers=3)
    sampler = TileSampler(slide(), size, pixels)
    found = np.zeros((len(places), pixels, pixels, 3), np.uint8)
    seen = []
    for batch in reader:
        assert len(batch.index) == 7 or len(seen) + len(batch.index) == len(places)
        assert (batch.locations == places[batch.index]).all()
        found[batch.index] = batch.pixels
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(len(places)))
    assert len(reader) == -(-len(places) // 7)
    assert (found == sampler.read([tuple(place) for place in places.tolist()])).all()


@pytest.mark.usefixtures("small_blocks")
def test_batches_do_not_depend_on_threads():
    def batches(workers, ahead):
        reader = TileReader(slide(), grid(50), 64, 50, batch_size=8, workers=workers, ahead=ahead)
        return [(batch.index.tolist(), batch.pixels.tobytes()) for batch in reader]

    assert batches(1, 1) == batches(4, 9) == batches(2, 2)


def test_a_reader_can_be_read_twice():
    reader = TileReader(slide(), grid(300), 64, 64)
    first, second = ([b.pixels.sum() for b in reader] for _ in range(2))
    assert first == second


@pytest.mark.usefixtures("small_blocks")
def test_neighbours_come_together():
    """Blocks follow each other, so that what is stored together is read together."""
    reader = TileReader(slide(), np.random.default_rng(0).permutation(grid(64)), 64, 64)
    places = np.concatenate([batch.locations for batch in reader])
    jumps = np.abs(np.diff(places, axis=0)).max(1)
    assert np.median(jumps) == 64


class CountedSlide(ArraySlide):
    """Counts the reads under way and done; each takes a moment."""

    def __init__(self, pause_s=0.0, bad=None):
        super().__init__(PIXELS, mpp=0.5)
        self.reads, self.pause_s, self.bad = 0, pause_s, bad
        self.lock = threading.Lock()

    def _read_inside(self, level, x, y, width, height):
        with self.lock:
            self.reads += 1
        time.sleep(self.pause_s)
        if self.bad and x <= self.bad[0] < x + width and y <= self.bad[1] < y + height:
            raise SlideReadError("damaged there", level, (x, y), (width, height))
        return super()._read_inside(level, x, y, width, height)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_read_ahead_is_bounded():
    source = CountedSlide()
    batches = iter(TileReader(source, grid(64), 64, 64, batch_size=4, workers=2, ahead=2))
    next(batches)
    time.sleep(0.2)
    read = source.reads
    per_block = 200_000 // (3 * 67 * 67)
    assert read <= per_block * 4
    time.sleep(0.1)
    assert source.reads == read
    batches.close()


@pytest.mark.usefixtures("small_blocks")
def test_closing_stops_the_threads():
    source = CountedSlide(pause_s=0.002)
    before = threading.active_count()
    batches = iter(TileReader(source, grid(32), 64, 64, batch_size=4, workers=2))
    next(batches)
    began = time.monotonic()
    batches.close()
    assert time.monotonic() - began < 2
    assert threading.active_count() == before
    read = source.reads
    time.sleep(0.1)
    assert source.reads == read


@pytest.mark.usefixtures("small_blocks")
def test_a_bad_tile_is_named():
    places = grid(64)
    number = int(np.flatnonzero((places == (640, 512)).all(1))[0])
    reader = TileReader(CountedSlide(bad=(700, 570)), places, 64, 64, workers=2)
    with pytest.raises(TileReadError, match=f"Tile {number} at x 640, y 512 cannot be") as caught:
        list(reader)
    assert (caught.value.index, caught.value.location) == (number, (640, 512))
    assert "damaged there" in str(caught.value)


@pytest.mark.usefixtures("small_blocks")
def test_a_bad_tile_is_skipped_and_recorded_by_choice():
    places = grid(64)
    reader = TileReader(
        CountedSlide(bad=(700, 570)), places, 64, 64, batch_size=9, on_bad_tile="skip"
    )
    for _ in range(2):
        seen = np.concatenate([batch.index for batch in reader])
        assert len(seen) == len(places) - 1
        assert [failure.location for failure in reader.failures] == [(640, 512)]


def test_every_tile_may_be_bad():
    reader = TileReader(CountedSlide(bad=(5, 5)), [(0, 0)] * 3, 64, 64, on_bad_tile="skip")
    assert list(reader) == []
    assert [failure.index for failure in reader.failures] == [0, 1, 2]


def test_no_tiles_are_no_batches():
    assert list(TileReader(slide(), np.zeros((0, 2), int), 64, 64)) == []
    assert list(TileReader(slide(), [], 64, 64)) == []


@pytest.mark.parametrize(
    ("locations", "options", "text"),
    [
        ([1, 2, 3], {}, r"shape \(3,\); due is \(N, 2\)"),
        ([(0, 0)], {"batch_size": 0}, "batch_size 0, workers None and ahead 4 are due"),
        ([(0, 0)], {"workers": 0}, "workers 0"),
    ],
)
def test_requests_that_make_no_sense_are_told(locations, options, text):
    with pytest.raises(UserError, match=text):
        TileReader(slide(), locations, 64, 64, **options)


@pytest.mark.data
@pytest.mark.parametrize("pixels", [224, 200, 112])
def test_tiles_of_a_real_slide_are_those_of_openslide(data_dir, pixels):
    from PIL import Image

    openslide = pytest.importorskip("openslide")
    path = data_dir / "slides" / "CMU-1-Small-Region.svs"
    theirs = openslide.OpenSlide(path)
    with open_slide(path) as ours:
        reader = TileReader(ours, grid(500, 1900, 2700), 224, pixels)
        for batch in reader:
            for tile, (x, y) in zip(batch.pixels, batch.locations.tolist(), strict=True):
                wide = theirs.read_region((x - 8, y - 8), 0, (240, 240)).convert("RGB")
                due = wide.resize((pixels, pixels), Image.Resampling.BILINEAR, box=(8, 8, 232, 232))
                inside = tile if x and y else tile[8:, 8:]
                assert (inside == np.asarray(due)[-len(inside) :, -len(inside) :]).all()


@pytest.mark.data
def test_a_corrupt_tile_of_a_real_slide_costs_what_lies_over_it(data_dir, tmp_path):
    import tifffile

    path = tmp_path / "bad.svs"
    shutil.copyfile(data_dir / "slides" / "CMU-1-Small-Region.svs", path)
    path.chmod(0o644)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[34], page.databytecounts[34]
        x, y = 34 % 10 * 240, 34 // 10 * 240
    with path.open("rb+") as stream:
        stream.seek(offset)
        stream.write(b"\x55" * count)
    places = grid(240, 2160, 2880)
    with open_slide(path) as source:
        reader = TileReader(source, places, 240, 240, on_bad_tile="skip")
        seen = np.concatenate([batch.locations for batch in reader])
        assert [failure.location for failure in reader.failures] == [(x, y)]
        assert len(seen) == len(places) - 1
