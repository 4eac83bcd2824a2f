"""Hits that are alike in stain alone are told from those that are alike without it."""

import json

import numpy as np
import pytest
import tifffile

from napari_medssl.backend.index_config import IndexConfig
from napari_medssl.backend.index_slides import index_slides
from napari_medssl.backend.stain_rank import HitStain, StainAnswer, stain_distance, stain_share
from napari_medssl.cli import main
from napari_medssl.index import open_collection
from napari_medssl.io.stain import lab_to_rgb, rgb_to_lab

TILE, SIDE = 224, 4
HALF = SIDE * SIDE // 2
KEYS = ((0, 0), (0, 1), (1, 0), (1, 1))


def kinds():
    """Kind of each tile: one in the upper half of a slide, another in the lower."""
    return np.repeat((np.arange(SIDE) >= SIDE // 2).astype(int)[:, None], SIDE, axis=1)


def tile_of(kind, stain, rng):
    """Two stains in opposite amounts: in patches of one or the other, or mixed all over."""
    amount = rng.uniform(-1, 1, size=(TILE // 8, TILE // 8))
    amount = np.kron(np.sign(amount) if kind == 0 else amount * 3**0.5, np.ones((8, 8))) * 0.8
    amount += rng.normal(0, 0.1, amount.shape)
    first, second = (0.4 + 0.25 * amount)[..., None], (0.5 - 0.3 * amount)[..., None]
    density = first * np.array([0.65, 0.70, 0.29]) + second * np.array([0.07, 0.99, 0.11])
    tile = np.clip(240 * np.exp(-density), 0, 255).astype(np.uint8)
    lab = rgb_to_lab(tile) + np.array((10, -14, 12), np.float32) * stain
    return lab_to_rgb(lab)


def write_slide(path, stain):
    rng = np.random.default_rng(stain)
    rows = [np.concatenate([tile_of(kind, stain, rng) for kind in row], 1) for row in kinds()]
    tifffile.imwrite(
        path,
        np.concatenate(rows),
        tile=(256, 256),
        photometric="rgb",
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )
    return path


@pytest.fixture(scope="module")
def stained(tmp_path_factory):
    """Two slides of the same two kinds of tissue in two stains, indexed by colour alone."""
    folder = tmp_path_factory.mktemp("stained")
    paths = [str(write_slide(folder / f"stain{stain}.tif", stain)) for stain in (0, 1)]
    config = IndexConfig(encoder="histogram", min_tissue=0.0, device="cpu")
    report = index_slides(paths, folder / "library", config)
    assert report.tiles == 2 * SIDE * SIDE, report.failures
    return folder


def search(folder, *words):
    out = folder / "hits.json"
    place = ["--slide", str(folder / "stain0.tif"), "--at", "300,300"]
    words = ["search", "--library", str(folder / "library"), *place, "--out", str(out), *words]
    assert main([*words, "--top", "30"]) == 0
    return json.loads(out.read_bytes())


def of(hit):
    """Stain and kind of a hit."""
    return int(hit["slide"][-5]), int(kinds()[hit["y"] // TILE, hit["x"] // TILE])


def test_without_stain_the_same_tissue_in_another_stain_comes_before_the_same_stain(stained):
    plain = search(stained)["hits"]
    ranks = {key: [n for n, hit in enumerate(plain) if of(hit) == key] for key in ((0, 1), (1, 0))}
    assert max(ranks[0, 1]) < min(ranks[1, 0])  # by colour alone it is the other way round
    found = search(stained, "--stain")
    hits = found["hits"]
    fellows = 2 * HALF - 1  # without the query itself
    assert sum(of(hit)[1] for hit in hits[:fellows]) <= 1
    values = [hit["similarity_without_stain"] for hit in hits]
    assert values == sorted(values, reverse=True)
    badges = {key: [h["is_due_to_stain"] for h in hits if of(h) == key] for key in KEYS}
    assert not any(badges[1, 0] + badges[1, 1])
    assert np.mean(badges[0, 1]) > 0.8
    assert np.mean(badges[0, 0]) < 0.5  # what they have in common besides is little here
    assert not found["is_stain_driven"]


def test_a_share_is_what_went_of_the_standing():
    assert stain_share(2.0, 2.0) == 0
    assert stain_share(2.0, 0.5) == pytest.approx(0.75)
    assert stain_share(2.0, -1.0) == 1
    assert stain_share(2.0, 3.0) == 0
    assert stain_share(-1.0, -2.0) == 0


def test_the_order_puts_what_was_not_read_last_and_counts_what_was():
    hits = (HitStain(0.2, 0.6, 0.1), None, HitStain(0.9, 0.1, 0), HitStain(0.5, 0.8, 0.4), None)
    answer = StainAnswer(hits)
    assert answer.order == [2, 3, 0, 1, 4]
    assert answer.due == 2
    assert answer.is_driven
    assert not StainAnswer((HitStain(0.2, 0.6, 0.1), HitStain(0.9, 0.1, 0.1))).is_driven
    assert not HitStain(0.2, 0.6, 0.7).is_due  # in another stain than the query


def test_a_stain_is_as_far_as_the_others_are_on_average():
    others = np.random.default_rng(0).normal(size=(50, 3)) * (1, 2, 3)
    distance = stain_distance(others[0], others)
    assert distance(others[0]) == 0
    assert np.mean([distance(one) for one in others]) == pytest.approx(1)
    assert distance(np.full(3, np.nan)) == float("inf")
    assert stain_distance(np.full(3, np.nan), others)(others[0]) == float("inf")


def test_spread_tiles_are_of_all_slides_and_always_the_same(stained):
    found = open_collection(stained / "library")
    tiles = found.spread_tiles(10)
    assert len(tiles) == len(set(tiles)) == 10
    assert {tile.slide for tile in tiles} == {slide.fingerprint for slide in found.slides}
    assert tiles == open_collection(stained / "library").spread_tiles(10)
    assert len(found.spread_tiles(1000)) == 2 * SIDE * SIDE
    assert len({tile.slide for tile in found.spread_tiles(10, slides=1)}) == 1
