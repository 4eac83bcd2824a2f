"""The fast path: pixels are OpenSlide's, damage costs a tile, doubts go to OpenSlide."""

import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import tifffile

from napari_medssl._errors import UserError
from napari_medssl.io.slides import ArraySlide, open_slide
from napari_medssl.io.slides.jpeg_tiff_slide import JpegTiffSlide
from napari_medssl.io.slides.openslide_slide import OpenSlideSlide
from napari_medssl.io.slides.protocol import SlideReadError
from napari_medssl.io.slides.sameness import is_same

SLIDES = (
    "CMU-1-Small-Region.svs",
    "her2st_C2.tif",
    "her2st_C4.tif",
    "visium_mouse_brain_hires.tif",
)


def random_reads(slide, level, count, seed=0):
    """Give places over all of a level and across its edges, with sizes up to two tiles."""
    random = np.random.default_rng(seed)
    width, height = slide.level_dimensions[level]
    for _ in range(count):
        size = tuple(int(v) for v in random.integers(1, 500, 2))
        x, y = random.integers(-100, width + 50), random.integers(-100, height + 50)
        yield (int(x), int(y)), size


@pytest.mark.data
@pytest.mark.parametrize("name", SLIDES)
def test_level_0_is_equal_to_openslide_in_every_pixel(data_dir, name):
    path = data_dir / "slides" / name
    with open_slide(path) as fast, OpenSlideSlide(path) as slow:
        assert isinstance(fast, JpegTiffSlide)
        assert all(fast.is_fast(level) for level in range(fast.level_count))
        for corner, size in random_reads(fast, 0, 40):
            assert (fast.read_pixels(0, corner, size) == slow.read_pixels(0, corner, size)).all()
        for level in range(fast.level_count):  # from the origin OpenSlide does not interpolate
            size = tuple(min(side, 1200) for side in fast.level_dimensions[level])
            theirs = slow.read_pixels(level, (0, 0), size)
            assert (fast.read_pixels(level, (0, 0), size) == theirs).all()


@pytest.mark.data
def test_lower_levels_are_the_stored_pixels(data_dir):
    path = data_dir / "slides" / "her2st_C2.tif"
    with open_slide(path) as slide, tifffile.TiffFile(path) as file:
        for level in (2, 3):
            whole = file.pages[level].asarray()
            for (x, y), size in random_reads(slide, level, 20):
                x, y = abs(x) % (whole.shape[1] - 1), abs(y) % (whole.shape[0] - 1)
                due = whole[y : y + size[1], x : x + size[0]]
                found = slide.read_pixels(level, (x, y), size)
                assert (found[: due.shape[0], : due.shape[1]] == due).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"photometric": "rgb"},
        {"tile": (256, 112)},
        {"compressionargs": {"level": 95}, "subsampling": (1, 1)},
        {"aperio": True},
    ],
    ids=str,
)
def test_every_kind_of_jpeg_tiles_is_read_alike(tmp_path, write_tiff_slide, options):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, **options)
    with open_slide(path) as fast, OpenSlideSlide(path) as slow:
        assert isinstance(fast, JpegTiffSlide)
        assert fast.level_count == 3
        for level in range(3):
            assert fast.is_fast(level)
            for corner, size in random_reads(fast, level, 20, level):
                found, due = (s.read_pixels(level, corner, size) for s in (fast, slow))
                if level == 0:
                    assert (found == due).all()


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"compression": "lzw"}])
def test_other_compressions_stay_with_openslide(tmp_path, write_tiff_slide, options):
    path = tmp_path / "made.tif"
    pyramid = write_tiff_slide(path, photometric="rgb", **options)
    with open_slide(path) as slide:
        assert not slide.is_fast(0)
        assert (slide.read_pixels(0, (10, 20), (300, 200)) == pyramid[0][20:220, 10:310]).all()
        batch = slide.read_many(0, [(0, 0), (-5, -5)], (64, 32))
        assert (batch[0] == pyramid[0][:32, :64]).all()


def test_a_batch_is_its_reads(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path)
    with open_slide(path) as slide:
        for level in range(3):
            corners = [corner for corner, _ in random_reads(slide, level, 30)]
            batch = slide.read_many(level, corners, (150, 90))
            for row, corner in zip(batch, corners, strict=True):
                assert (row == slide.read_pixels(level, corner, (150, 90))).all()
        assert slide.read_many(0, [], (5, 5)).shape == (0, 5, 5, 3)
        slide._decoded.clear()
        decoded = []
        decode = slide._decode
        slide._decode = lambda *key: (decoded.append(key), decode(*key))[1]
        slide.read_many(0, [(x, y) for x in (10, 40, 90) for y in (10, 60)], (100, 100))
        assert sorted(decoded) == [(0, 0), (0, 1), (0, 8), (0, 9)]


def test_one_difference_leaves_the_slide_to_openslide(tmp_path, write_tiff_slide, monkeypatch):
    path = tmp_path / "made.tif"
    write_tiff_slide(path)
    slow = OpenSlideSlide(path)
    slide = open_slide(path)
    decode = slide._decode

    def wrong(level, tile):
        pixels = decode(level, tile).copy()
        pixels[5, 5, 1] ^= 1
        return pixels

    slide._decode = wrong
    found = slide.read_pixels(0, (3, 4), (200, 100))
    assert not slide.is_fast(0)
    assert (found == slow.read_pixels(0, (3, 4), (200, 100))).all()


def test_interpolation_is_no_difference_but_a_wrong_tile_is():
    random = np.random.default_rng(0)
    ours = random.integers(0, 256, (64, 64, 3), np.uint8)

    def read(place, size):
        """Interpolate linearly, pixel by pixel, and cut off the fraction."""
        result = np.zeros((size[1], size[0], 3), np.uint8)
        for row in range(size[1]):
            for column in range(size[0]):
                x, y = place[0] / 2.03 - 100 + column, place[1] / 2.03 - 50 + row
                left, top = int(np.floor(x)), int(np.floor(y))
                fx, fy = x - left, y - top
                four = ours[top : top + 2, left : left + 2].astype(float)
                rows = (1 - fy) * four[0] + fy * four[1]
                result[row, column] = np.floor((1 - fx) * rows[0] + fx * rows[1])
        return result

    assert is_same(ours, (100, 50), 2.03, read)
    assert not is_same(ours[::-1], (100, 50), 2.03, read)
    assert not is_same(np.roll(ours, 1, 1), (100, 50), 2.03, read)


def tile_place(path, number, level=0):
    with tifffile.TiffFile(path) as file:
        page = file.pages[level]
        return page.dataoffsets[number], page.databytecounts[number]


def test_a_bad_tile_costs_that_tile_alone(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path)
    with open_slide(path) as whole:
        due = whole.read_pixels(0, (0, 0), (300, 100))
    offset, count = tile_place(path, 18)  # third row of eight, third column
    with path.open("rb+") as stream:
        stream.seek(offset)
        stream.write(b"\x55" * count)
    with open_slide(path) as slide:
        for _ in range(2):
            with pytest.raises(SlideReadError, match=r"x 256, y 256 of level 0") as caught:
                slide.read_pixels(0, (250, 250), (20, 20))
            assert caught.value.corner == (256, 256)
            assert (slide.read_pixels(0, (0, 0), (300, 100)) == due).all()


def test_a_tile_that_claims_another_size_takes_no_memory(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, levels=1)
    offset, count = tile_place(path, 18)
    with path.open("rb+") as stream:
        stream.seek(offset)
        data = stream.read(count)
        at = offset + data.index(b"\xff\xc0") + 5
        stream.seek(at)
        stream.write(b"\xff\x00\xff\x00")
    with open_slide(path) as slide, pytest.raises(SlideReadError, match=r"x 256, y 256 of level 0"):
        slide.read_pixels(0, (256, 256), (20, 20))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("compression", ["jpeg", "zlib"])
def test_a_forked_process_reads_beside_its_parent(tmp_path, write_tiff_slide, compression):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, compression=compression, photometric="rgb")
    script = """
import os, sys
from napari_medssl.io.slides import ArraySlide, open_slide
slide = open_slide(sys.argv[1])
due = slide.read_pixels(0, (0, 0), slide.dimensions)
child = os.fork()
wrong = sum(
    (slide.read_pixels(0, (0, 0), slide.dimensions) != due).any() for _ in range(20)
)
if not child:
    os._exit(min(int(wrong), 1))
sys.exit(bool(wrong) or os.waitpid(child, 0)[1])
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)


@pytest.mark.parametrize("compression", ["jpeg", "zlib"])
def test_a_slide_goes_to_another_process_as_its_place(tmp_path, write_tiff_slide, compression):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, compression=compression, photometric="rgb")
    with open_slide(path) as slide, pickle.loads(pickle.dumps(slide)) as again:
        assert again.source == str(path)
        assert (
            again.read_pixels(0, (0, 0), (99, 9)) == slide.read_pixels(0, (0, 0), (99, 9))
        ).all()
    with pytest.raises(TypeError, match="has no place to be opened again from"):
        pickle.dumps(ArraySlide(np.zeros((5, 5))))


def test_a_tile_that_is_not_stored_is_what_openslide_says(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = list(file.pages[0].databytecounts)
        counts[9] = 0
        file.pages[0].tags["TileByteCounts"].overwrite(counts)
    with open_slide(path) as fast, OpenSlideSlide(path) as slow:
        try:
            due = slow.read_pixels(0, (100, 100), (200, 200))
        except SlideReadError:
            with pytest.raises(SlideReadError):
                fast.read_pixels(0, (100, 100), (200, 200))
        else:
            assert (fast.read_pixels(0, (100, 100), (200, 200)) == due).all()


@pytest.mark.parametrize("part", [0.4, 0.9, 0.999])
def test_a_file_cut_off_behind_its_directories_is_refused(tmp_path, write_tiff_slide, part):
    """OpenSlide alone opens such a file, and fails when the missing tiles are looked at."""
    path = tmp_path / "made.tif"
    write_tiff_slide(path, levels=1)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(UserError, match=r"'made.tif'.*(cut off|damaged)"):
        open_slide(path)


def test_a_file_cut_off_while_it_is_open_is_told_by_the_tile(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, levels=1)
    with open_slide(path) as slide:
        slide.read_pixels(0, (0, 0), (64, 64))
        with path.open("rb+") as stream:
            stream.truncate(path.stat().st_size // 2)
        with pytest.raises(SlideReadError, match="the file is damaged there"):
            slide.read_pixels(0, (800, 600), (64, 64))
        slide.read_pixels(0, (0, 0), (64, 64))


@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_a_file_that_was_away_is_read_when_it_is_back(tmp_path, write_tiff_slide, compression):
    """Also by OpenSlide, whose handle is dead after an error and cannot be opened meanwhile."""
    path, aside = tmp_path / "made.tif", tmp_path / "aside"
    write_tiff_slide(path, levels=1, compression=compression, photometric="rgb")
    with open_slide(path) as slide:
        due = slide.read_pixels(0, (800, 600), (64, 64))
    content = path.read_bytes()
    with open_slide(path) as slide:
        slide.read_pixels(0, (0, 0), (64, 64))
        with path.open("rb+") as stream:
            stream.truncate(2000)
        for _ in range(2):
            with pytest.raises(SlideReadError, match="damaged there or out of reach") as caught:
                slide.read_pixels(0, (800, 600), (64, 64))
            assert caught.value.level == 0
        path.rename(aside)
        with pytest.raises(SlideReadError, match="out of reach"):
            slide.read_pixels(0, (800, 600), (64, 64))
        path.write_bytes(content)
        assert (slide.read_pixels(0, (800, 600), (64, 64)) == due).all()


def test_closing_waits_for_the_readers(tmp_path, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path)
    slide = open_slide(path)
    due = slide.read_pixels(0, (0, 0), (512, 512))
    outcomes = []

    def read():
        try:
            while True:
                outcomes.append((slide.read_pixels(0, (0, 0), (512, 512)) == due).all())
        except UserError as error:
            outcomes.append("is closed" in str(error))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    while len(outcomes) < 6:
        threading.Event().wait(0.01)
    slide.close()
    slide.close()
    for reader in readers:
        reader.join()
    assert all(outcomes)
