"""Tiles are decoded once, kept under a limit, in threads; what nobody wants any more is not."""

import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.slides import ArraySlide, SlideReadError
from napari_medssl.io.slides.byte_lru import ByteLru
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide
from napari_medssl.io.slides.tile_cache import TileCache
from napari_medssl.io.slides.tile_request import grid_size


class CountingSlide(LevelSlide):
    """A slide of noise that counts what is decoded, can wait, and has bad places."""

    def __init__(self, width=1000, height=800, tile=256, bad=()):
        super().__init__(About("counted"), [Level(width, height, 1.0, tile, tile)])
        self.pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
        self.reads = []
        self.threads = set()
        self.bad = set(bad)
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def _read_inside(self, level, x, y, width, height):
        self.started.set()
        assert self.gate.wait(10)
        self.reads.append((x, y))
        self.threads.add(threading.current_thread().name)
        if (x, y) in self.bad:
            raise SlideReadError("bad tile", level, (x, y), (width, height))
        return self.pixels[y : y + height, x : x + width]

    def _make_fingerprint(self):
        return "0" * 32


@pytest.fixture
def cache():
    cache = TileCache(64 * 2**20, workers=2)
    yield cache
    cache.close()


def test_a_read_is_that_of_the_slide_and_is_decoded_once(cache):
    slide = CountingSlide()
    for corner, size in [((0, 0), (1000, 800)), ((-20, 700), (300, 300)), ((999, 0), (5, 5))]:
        assert (cache.read(slide, 0, corner, size) == slide.read_pixels(0, corner, size)).all()
    slide.reads.clear()
    cache.read(slide, 0, (300, 300), (500, 400))
    assert not slide.reads
    assert (cache.read(slide, 0, (5000, 0), (4, 4)) == 255).all()
    assert cache.read(slide, 0, (0, 0), (0, 7)).shape == (7, 0, 3)
    with pytest.raises(UserError, match="Level 4 is not in 'counted'"):
        cache.read(slide, 4, (0, 0), (4, 4))


def test_two_slides_are_kept_apart_and_forgotten_apart(cache):
    first, second = ArraySlide(np.zeros((50, 50))), ArraySlide(np.ones((50, 50)))
    assert not cache.read(first, 0, (0, 0), (50, 50)).any()
    assert cache.read(second, 0, (0, 0), (50, 50)).all()
    size = cache.size_bytes
    cache.forget(first)
    assert cache.size_bytes == size // 2


def test_memory_stays_under_the_limit():
    tile = 256 * 256 * 3
    cache = TileCache(3 * tile, workers=2)
    slide = CountingSlide()
    whole = cache.read(slide, 0, (0, 0), (1000, 800))
    assert (whole == slide.pixels).all()
    assert cache.size_bytes <= 3 * tile
    cache.close()


def test_the_least_used_goes_first_and_nobody_may_write():
    lru = ByteLru(250)
    arrays = [np.full(100, number, np.uint8) for number in range(3)]
    for number in (0, 1):
        lru.put(number, arrays[number])
    lru.get(0)
    lru.put(2, arrays[2])
    assert lru.get(1) is None
    assert lru.get(0) is arrays[0]
    assert lru.size_bytes == 200
    lru.put(3, np.zeros(251, np.uint8))
    assert lru.get(3) is None
    with pytest.raises(ValueError, match="read-only"):
        arrays[0][0] = 1


def test_a_newer_request_of_a_view_drops_the_older_one(cache):
    slide = CountingSlide(6000, 6000)
    slide.gate.clear()
    old = cache.request("canvas", slide, 0, (0, 0), (4000, 4000))
    other = cache.request("overview", slide, 0, (0, 5888), (256, 100))
    slide.started.wait(10)
    new = cache.request("canvas", slide, 0, (5120, 5120), (600, 600))
    slide.gate.set()
    assert (new.result(20) == slide.pixels[5120:5720, 5120:5720]).all()
    assert (other.result(20) == slide.pixels[5888:5988, :256]).all()
    with pytest.raises(CancelledError):
        old.result(1)
    assert len(slide.reads) < 2 * 8 + 9 + 1 + 1, "only the batches under way were decoded"


def test_a_tile_that_two_wait_for_is_decoded_once_and_survives_one_of_them(cache):
    slide = CountingSlide()
    slide.gate.clear()
    first = cache.request("a", slide, 0, (0, 0), (700, 700))
    second = cache.request("b", slide, 0, (0, 0), (700, 700))
    cache.cancel("a")
    slide.gate.set()
    assert (second.result(20) == slide.pixels[:700, :700]).all()
    assert first.cancelled()
    assert len(slide.reads) == len(set(slide.reads))


def test_the_pool_decodes_and_not_the_caller(cache):
    slide = CountingSlide()
    cache.read(slide, 0, (0, 0), (1000, 800))
    assert slide.threads
    assert all(name.startswith("tiles") for name in slide.threads)


def test_a_bad_tile_is_grey_and_told_and_the_others_are_shown():
    told = []
    cache = TileCache(2**24, workers=2, on_failure=lambda slide, error: told.append(error.corner))
    slide = CountingSlide(bad=[(256, 256)])
    found = cache.read(slide, 0, (0, 0), (1000, 800))
    due = slide.pixels.copy()
    due[256:512, 256:512] = 160
    assert (found == due).all()
    assert told == [(256, 256)]
    cache.close()


def test_a_closed_slide_is_told_to_who_waits(cache):
    slide = CountingSlide()
    slide.close()
    with pytest.raises(UserError, match="'counted' is closed"):
        cache.read(slide, 0, (0, 0), (20, 20))


def test_many_threads_of_readers(cache):
    slide = CountingSlide(3000, 3000)
    wrong = []

    def read(seed):
        random = np.random.default_rng(seed)
        for _ in range(20):
            x, y = (int(v) for v in random.integers(0, 2500, 2))
            found = cache.read(slide, 0, (x, y), (400, 300))
            if not (found == slide.pixels[y : y + 300, x : x + 400]).all():
                wrong.append((x, y))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(("tile", "due"), [(240, 480), (256, 256), (8, 256), (512, 512)])
def test_the_grid_is_of_whole_stored_tiles(tile, due):
    slide = CountingSlide(20, 20, tile)
    assert grid_size(slide, 0) == (due, due)


def test_large_tiles_are_cut():
    assert grid_size(CountingSlide(3840, 300, 3840), 0) == (512, 512)
    assert grid_size(CountingSlide(3840, 300, 2048), 0) == (2048, 2048)


def test_large_tiles_come_in_smaller_batches(cache):
    slide = CountingSlide(5000, 4100, 2048)
    assert (cache.read(slide, 0, (0, 0), (5000, 4100)) == slide.pixels).all()
    assert len(slide.reads) == 9


def test_a_bad_tile_is_tried_again_some_seconds_later(monkeypatch):
    """A disk was unplugged and is back: what is grey is not grey for good."""
    monkeypatch.setattr("napari_medssl.io.slides.tile_cache._BAD_FOR_S", 0.3)
    told = []
    cache = TileCache(64 * 2**20, workers=1, on_failure=lambda *_: told.append(1))
    slide = CountingSlide(bad=[(256, 256)])
    assert (cache.read(slide, 0, (256, 256), (8, 8)) == 160).all()
    slide.bad.clear()
    assert (cache.read(slide, 0, (256, 256), (8, 8)) == 160).all()  # not at every repaint
    time.sleep(0.4)
    due = slide.pixels[256:264, 256:264]
    assert (cache.read(slide, 0, (256, 256), (8, 8)) == due).all()
    count = len(slide.reads)
    time.sleep(0.4)
    assert (cache.read(slide, 0, (256, 256), (8, 8)) == due).all()
    assert len(slide.reads) == count
    assert told == [1]
    cache.close()
