"""Reinhard's transfer equals its equations, glass keeps its colour, tiles of a slide stay alike."""

import threading
from pathlib import Path

import numpy as np
import pytest
import skimage
from skimage import color

from napari_medssl._errors import UserError
from napari_medssl.io import stain
from napari_medssl.io.slides import ArraySlide, open_slide
from napari_medssl.io.stain import (
    REFERENCES,
    Reinhard,
    StainStatistics,
    fit_slide_stain,
    fit_stain,
    lab_to_rgb,
    rgb_to_lab,
)
from napari_medssl.io.tile_table import TileSource, TileTable
from napari_medssl.io.tiles import TileReader


def ihc():
    return skimage.io.imread(Path(skimage.__file__).parent / "data" / "ihc.png")[..., :3]


def every_colour(step=5):
    axis = np.arange(0, 256, step, dtype=np.uint8)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def test_lab_is_that_of_skimage():
    colors = every_colour()
    assert np.abs(rgb_to_lab(colors) - color.rgb2lab(colors)).max() < 0.1


def test_lab_and_back_is_the_same_colour():
    colors = every_colour(3)
    assert np.abs(lab_to_rgb(rgb_to_lab(colors)).astype(int) - colors).max() <= 1


def oracle(rgb, source, reference):
    """Equations 10 to 12 of Reinhard et al., pixel by pixel in float64."""
    lab = color.rgb2lab(rgb)
    result = np.zeros_like(lab)
    for channel in range(3):
        centred = lab[..., channel] - source.mean[channel]
        scaled = reference.std[channel] / source.std[channel] * centred
        result[..., channel] = scaled + reference.mean[channel]
    with np.errstate(all="ignore"):
        return 255 * np.clip(color.lab2rgb(result), 0, 1)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_it_is_the_equations():
    rgb = ihc()
    source = fit_stain(rgb)
    reference = StainStatistics((60.0, 20.0, -12.0), (12.0, 9.0, 7.0))
    found = Reinhard(source, reference, keep_glass=False)(rgb)
    assert np.abs(found - oracle(rgb, source, reference)).max() < 1.5


def test_statistics_become_those_of_the_reference():
    rgb = ihc()
    mask = np.ones(rgb.shape[:2], bool)
    reference = StainStatistics((60.0, 10.0, -8.0), (9.0, 5.0, 4.0))
    moved = Reinhard(fit_stain(rgb, mask), reference, keep_glass=False)(rgb)
    found = fit_stain(moved, mask)
    assert found.mean == pytest.approx(reference.mean, abs=0.3)
    assert found.std == pytest.approx(reference.std, abs=0.3)


def test_its_own_reference_changes_nothing():
    rgb = ihc()
    own = fit_stain(rgb)
    assert np.abs(Reinhard(own, own)(rgb).astype(int) - rgb).max() <= 1


def with_glass(glass=(228, 216, 230)):
    rgb = np.full((512, 1024, 3), glass, np.uint8)
    rgb[:, :512] = (ihc().astype(float) * np.array(glass) / 255).astype(np.uint8)
    return rgb


def test_glass_counts_for_nothing_and_keeps_its_colour():
    rgb = with_glass()
    source = fit_stain(rgb)
    due = fit_stain(rgb[:, :512], stained_of(rgb)[:, :512])
    assert source.mean == pytest.approx(due.mean, abs=0.1)
    moved = Reinhard(source)(rgb)
    assert (moved[:, 512:] == rgb[:, 512:]).all()
    assert np.abs(moved[:, :512].astype(int) - rgb[:, :512]).mean() > 3


def test_pale_tissue_is_not_taken_for_glass():
    """A tile without glass: what is eosin alone is stain as well."""
    glass, eosin = (245, 243, 245), (240, 165, 205)
    rgb = ihc()[:64, :64].copy()
    rgb[:32] = eosin
    rgb[::7, ::5] = (120, 70, 150)
    without = fit_stain(np.where((rgb > 215).all(-1, keepdims=True), np.uint8(60), rgb))
    assert without.glass[0] - 25 <= min(without.glass) <= max(without.glass) <= 255
    densities = stain._density(
        np.array([eosin], np.uint8), stain._density_tables(np.array(without.glass))
    )
    assert densities[0] > stain._GLASS
    # With glass in sight, its own colour counts, slightly tinted or not.
    rgb[:, 32:] = glass
    assert fit_stain(rgb).glass == glass


def stained_of(rgb):
    source = fit_stain(rgb)
    tables = stain._density_tables(np.array(source.glass))
    return stain._density(rgb, tables) > stain._STAINED


def test_the_table_of_colours_is_the_computation(monkeypatch):
    rgb = ihc()
    slow = Reinhard(fit_stain(rgb))
    due = slow(rgb)
    assert slow._every is None
    monkeypatch.setattr(stain, "_TABLE_FROM", 0)
    fast = Reinhard(fit_stain(rgb))
    results = []
    threads = [threading.Thread(target=lambda: results.append(fast(rgb))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fast._every is not None
    assert all((found == due).all() for found in results)


def test_a_slide_is_fitted_on_its_tiles_and_normalised_as_they_are_read():
    slide = ArraySlide(np.tile(ihc(), (3, 3, 1)), mpp=0.5)
    places = np.stack(np.meshgrid(range(0, 1400, 128), range(0, 1400, 128)), -1).reshape(-1, 2)
    nothing = np.zeros(len(places), np.float32)
    table = TileTable(places, 128, nothing, nothing, TileSource("", 0.5, 0.5, 128))
    source = fit_slide_stain(slide, table, count=30)
    assert source.mean == pytest.approx(fit_stain(ihc()).mean, abs=2)
    normalise = Reinhard(source)
    for batch in TileReader(slide, places[:9], 128, 128, transform=normalise):
        for tile, (x, y) in zip(batch.pixels, batch.locations.tolist(), strict=True):
            assert (tile == normalise(slide.read_pixels(0, (x, y), (128, 128)))).all()


def test_what_cannot_be_fitted_is_told():
    white = np.full((64, 64, 3), 255, np.uint8)
    with pytest.raises(UserError, match="0 stained pixels are there, due are 100 or more"):
        fit_stain(white)
    with pytest.raises(UserError, match="0 stained pixels"):
        fit_stain(np.zeros((0, 3), np.uint8))
    plain = np.full((64, 64, 3), (120, 60, 150), np.uint8)
    with pytest.raises(UserError, match="all pixels are of one colour"):
        fit_stain(plain)
    with pytest.raises(UserError, match="no stain reference 'pas'; choose one of 'he' or fit one"):
        Reinhard(REFERENCES["he"], "pas")


@pytest.mark.data
def test_slides_come_closer_to_each_other(data_dir):
    from napari_medssl.backend.tiles import TilesConfig, plan_tiles

    means, moved_means = [], []
    for name in ("CMU-1-Small-Region.svs", "her2st_C2.tif"):
        with open_slide(data_dir / "slides" / name) as slide:
            table = plan_tiles(slide, TilesConfig(mpp=1.0, size=224)).table
            source = fit_slide_stain(slide, table, count=24)
            reader = TileReader(slide, table.locations[::5], table.size, 224)
            tiles = np.concatenate([batch.pixels for batch in reader])
        means.append(np.array(fit_stain(tiles).mean))
        moved_means.append(np.array(fit_stain(Reinhard(source)(tiles)).mean))
    before, after = (np.linalg.norm(a - b) for a, b in (means, moved_means))
    assert after < before / 3
