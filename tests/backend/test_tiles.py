"""Tiling a slide: which tiles, what is written, and what happens when it stops or fails."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import tiles as tiles_module
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.tiles import TilesConfig, grid, plan_tiles, tile_slide
from napari_medssl.io.slides import ArraySlide, SlideReadError, open_slide
from napari_medssl.io.tile_table import read_tiles
from napari_medssl.io.tiles import TileReader

CONFIG = TilesConfig(mpp=2.0, size=64, slide_mpp=1.0)


def pixels(side=1024):
    """At 1 micron: tissue in the right half, sharp above and blurred below."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    stain = ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.5) * 1.2 + 0.5
    stain[side // 2 :] = ndimage.gaussian_filter(stain[side // 2 :], 8) * 1.5
    stain[:, : side // 2] = 0
    light = 243 * np.exp(-np.clip(stain, 0, None)[..., None] * (0.3, 1.0, 0.4))
    return np.clip(light + rng.normal(0, 1, light.shape), 0, 255).astype(np.uint8)


PIXELS = pixels()


@pytest.fixture
def slide_file(tmp_path):
    path = tmp_path / "slide.png"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.mark.parametrize(
    ("dimensions", "size", "overlap", "count"),
    [((100, 50), 25, 0.0, 8), ((99, 50), 25, 0.0, 6), ((100, 50), 20, 0.5, 36), ((9, 9), 10, 0, 0)],
)
def test_the_grid_holds_whole_tiles(dimensions, size, overlap, count):
    found = grid(dimensions, size, overlap)
    assert found.shape == (count, 2)
    assert (found + size <= dimensions).all()
    assert len(np.unique(found, axis=0)) == count


def test_too_many_tiles_are_told():
    with pytest.raises(UserError, match="tiles are too many; the limit is 50000000"):
        grid((4_000_000, 4_000_000), 10, 0.9)


def test_the_table_tells_where_tissue_is_and_how_sharp(slide_file, tmp_path):
    out = tmp_path / "t.parquet"
    report = tile_slide(slide_file, out, CONFIG)
    found = read_tiles(out)
    assert (report.remarks, report.failures) == ((), ())
    assert found.size == 128
    assert (found.source.mpp, found.source.slide_mpp, found.source.pixels) == (2.0, 1.0, 64)
    with open_slide(slide_file) as slide:
        assert found.source.slide == slide.fingerprint
    assert sorted(map(tuple, found.locations.tolist())) == [
        (x, y) for x in range(512, 1024, 128) for y in range(0, 1024, 128)
    ]
    assert (found.tissue > 0.9).all()
    is_low = found.locations[:, 1] >= 512
    assert found.blur[is_low].min() > 2 * found.blur[~is_low].max()


def test_blur_is_in_microns_and_can_rule_tiles_out(slide_file, tmp_path):
    out = tmp_path / "t.parquet"
    report = tile_slide(slide_file, out, replace(CONFIG, max_blur=4.0))
    assert (report.table.locations[:, 1] < 512).all()
    assert len(report.table) == 16
    unread = tile_slide(slide_file, out, replace(CONFIG, blur=False)).table
    assert np.isnan(unread.blur).all()
    assert len(unread) == 32


def test_min_tissue_and_overlap(slide_file, tmp_path):
    def count(**settings):
        config = replace(CONFIG, blur=False, **settings)
        return len(tile_slide(slide_file, tmp_path / "t.parquet", config).table)

    assert count(min_tissue=0.0) == 64
    assert count(min_tissue=0.0, overlap=0.5) == 15 * 15
    assert count(min_tissue=0.3, overlap=0.5) > count(min_tissue=0.7, overlap=0.5)


def test_pictures_are_those_of_the_reader(slide_file, tmp_path):
    folder = tmp_path / "new" / "tiles"
    table = tile_slide(slide_file, tmp_path / "t.parquet", CONFIG, save=folder).table
    with open_slide(slide_file) as slide:
        (batch,) = TileReader(slide, table.locations, table.size, 64)
    assert len(list(folder.iterdir())) == len(table)
    for tile, (x, y) in zip(batch.pixels, batch.locations.tolist(), strict=True):
        assert (np.asarray(Image.open(folder / f"{x}_{y}.png")) == tile).all()


def test_a_slide_without_mpp_asks_for_it(slide_file, tmp_path):
    with pytest.raises(UserError, match=r"'slide.png' does not say .* with --slide-mpp, such as"):
        tile_slide(slide_file, tmp_path / "t.parquet", TilesConfig())
    assert not (tmp_path / "t.parquet").exists()


def test_another_mpp_than_that_of_the_slide_is_told():
    slide = ArraySlide(PIXELS, mpp=0.5)
    (line,) = plan_tiles(slide, CONFIG).remarks
    assert "says that it has 0.5 microns per pixel; 1 is used as you asked" in line
    (line,) = plan_tiles(slide, TilesConfig(mpp=0.25, size=64)).remarks
    assert "The tiles are enlarged" in line
    assert plan_tiles(slide, TilesConfig(mpp=0.5, size=64)).remarks == ()


def test_a_slide_smaller_than_a_tile_is_told():
    with pytest.raises(UserError, match="1024 x 1024 pixels, smaller than one tile of 2048"):
        plan_tiles(ArraySlide(PIXELS, mpp=0.5), TilesConfig(mpp=0.5, size=2048))


def test_size_is_in_whole_pixels_and_the_source_says_what_came_of_it():
    table = plan_tiles(ArraySlide(PIXELS, mpp=0.499), TilesConfig(mpp=0.5, size=64)).table
    assert table.size == 64
    assert table.source.mpp == pytest.approx(0.499)


@pytest.mark.parametrize("after", [0, 1])
def test_stopped_it_writes_no_table(slide_file, tmp_path, after, monkeypatch):
    monkeypatch.setattr(tiles_module, "_BATCH", 4)
    reports = []
    with pytest.raises(Cancelled):
        tile_slide(
            slide_file,
            tmp_path / "t.parquet",
            CONFIG,
            on_progress=reports.append,
            should_stop=lambda: len(reports) >= after,
        )
    assert [file.name for file in tmp_path.iterdir()] == ["slide.png"]
    assert len(reports) == after


def test_progress_ends_with_all_tiles(slide_file, tmp_path):
    reports = []
    tile_slide(slide_file, tmp_path / "t.parquet", CONFIG, on_progress=reports.append)
    assert (reports[-1].done, reports[-1].total) == (32, 32)


class DamagedSlide(ArraySlide):
    def _read_inside(self, level, x, y, width, height):
        if level == 0 and x <= 700 < x + width and y <= 200 < y + height:
            raise SlideReadError("damaged there", level, (x, y), (width, height))
        return super()._read_inside(level, x, y, width, height)


def test_bad_tiles_are_left_out_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles_module, "open_slide", lambda path: DamagedSlide(PIXELS, mpp=1.0))
    config = replace(CONFIG, mpp=1.0, size=128)
    report = tile_slide(tmp_path / "x.svs", tmp_path / "t.parquet", config)
    assert len(report.table) == 31
    ((place, reason),) = report.failures
    assert place == "x 640, y 128"
    assert "damaged there" in reason
