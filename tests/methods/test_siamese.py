"""The loss, the pairs and the augmentation of the tile encoder, against slow oracles."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.siamese.augment import Augmentation, augment, jitter_stain, zoom_and_turn
from napari_medssl.methods.siamese.losses import contrastive_loss
from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork
from napari_medssl.methods.siamese.pairs import Pairs, PairSampler
from napari_medssl.methods.siamese.trunk import EfficientNetLite0

STILL = Augmentation(stain=0, tint=0, gamma=0, zoom=0, turns=False)


def slow_loss(first, second, is_far, margin, form):
    """The printed equation, one pair and one number at a time."""
    total = 0.0
    for a, b, y in zip(first.tolist(), second.tolist(), is_far.tolist(), strict=True):
        d = math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)))
        power = 2 if form == "squared" else 1
        total += (1 - y) * d**power + y * max(0.0, margin - d) ** power
    return total / len(is_far)


@pytest.mark.parametrize("form", ["squared", "plain"])
@pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
def test_the_loss_is_the_printed_one(form, margin):
    generator = torch.Generator().manual_seed(1)
    first, second = (
        torch.nn.functional.normalize(torch.randn(40, 8, generator=generator, dtype=torch.double))
        for _ in range(2)
    )
    is_far = torch.rand(40, generator=generator) < 0.5
    came = contrastive_loss(first, second, is_far, margin=margin, form=form)
    assert came.item() == pytest.approx(slow_loss(first, second, is_far, margin, form), abs=1e-9)


@pytest.mark.parametrize("form", ["squared", "plain"])
def test_a_tile_and_itself_give_a_finite_slope(form):
    tile = torch.ones(2, 4, requires_grad=True)
    contrastive_loss(tile, tile * 1, torch.tensor([True, False]), form=form).backward()
    assert torch.isfinite(tile.grad).all()


def test_wrong_shapes_and_forms_are_told():
    ones = torch.ones(2, 4)
    with pytest.raises(ValueError, match="labels; due are two of"):
        contrastive_loss(ones, ones, torch.tensor([True]))
    with pytest.raises(ValueError, match="Form 'cubed' is unknown"):
        contrastive_loss(ones, ones, torch.tensor([True, False]), form="cubed")


def grid_mm(side, step):
    y, x = np.mgrid[:side, :side] * float(step)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def test_pairs_are_near_or_far_and_each_tile_leads_one():
    places = np.concatenate([grid_mm(20, 0.8), grid_mm(5, 0.8)])
    slides = np.repeat([0, 1], [400, 25])
    sampler = PairSampler(slides, places, near_mm=2, far_mm=10)
    rng = np.random.default_rng(0)
    for _ in range(5):
        pairs = sampler.draw(rng)
        assert sorted(pairs.first) == list(range(425))
        apart = sampler.distance_mm(pairs)
        assert (apart[pairs.is_far] > 10).all()
        assert (apart[~pairs.is_far] <= 2).all()
        assert 0.4 < pairs.is_far.mean() < 0.6
        assert (pairs.first != pairs.second).all()
        # The small slide has no far pair of its own: its partners are on the large one.
        small = (slides[pairs.first] == 1) & pairs.is_far
        assert (slides[pairs.second[small]] == 0).all()
    assert "1 of 2 slides have no tiles more than 10 mm apart" in sampler.remarks[0]


def test_far_partners_stay_on_a_slide_that_is_large_enough():
    places = np.stack([np.linspace(0, 40, 200), np.zeros(200)], axis=1)
    sampler = PairSampler(np.zeros(200, int), places)
    pairs = sampler.draw(np.random.default_rng(0))
    assert not sampler.remarks
    assert (sampler.distance_mm(pairs)[pairs.is_far] > 10).all()


def test_near_partners_are_spread_over_the_disc():
    """Their mean distance is near 2/3 of the radius, that of a uniform disc."""
    sampler = PairSampler(
        np.repeat([0, 1], 1600), np.concatenate([grid_mm(40, 0.1)] * 2), near_mm=1
    )
    pairs = sampler.draw(np.random.default_rng(0))
    apart = sampler.distance_mm(pairs)[~pairs.is_far]
    assert 0.55 < apart.mean() < 0.75


def test_a_lone_small_slide_has_its_distances_scaled():
    sampler = PairSampler(np.zeros(100, int), grid_mm(10, 0.2), near_mm=2, far_mm=10)
    longest = 0.2 * 9 * math.sqrt(2)
    assert sampler.far_mm == pytest.approx(longest / 2)
    assert sampler.near_mm == pytest.approx(longest / 10)
    assert "The only slide is 2.55 mm across" in sampler.remarks[0]
    pairs = sampler.draw(np.random.default_rng(0))
    assert (sampler.distance_mm(pairs)[pairs.is_far] > sampler.far_mm).all()


def test_tiles_without_a_place_are_near_to_themselves_alone():
    sampler = PairSampler(np.repeat([0, 1], 10), np.full((20, 2), np.nan))
    pairs = sampler.draw(np.random.default_rng(0))
    assert (pairs.first == pairs.second)[~pairs.is_far].all()
    assert (sampler.slides[pairs.first] != sampler.slides[pairs.second])[pairs.is_far].all()
    assert "20 of 20 tiles have no place" in sampler.remarks[-1]


def test_many_tiles_have_the_same_far_tiles_as_few():
    """Above a size only corners of the hull are looked at: far from any is far from one of them."""
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.random((3000, 2)) * 11, rng.random((3000, 2)) * 3])
    sampler = PairSampler(np.repeat([0, 1], 3000), places)
    gaps = np.linalg.norm(places[:3000, None] - places[None, :3000], axis=2).max(axis=1)
    assert (sampler._has_far[:3000] == (gaps > 10)).all()
    assert not sampler._has_far[3000:].any()


def test_pairs_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="due is 0 < near < far"):
        PairSampler(np.zeros(2, int), np.zeros((2, 2)), near_mm=3, far_mm=2)
    with pytest.raises(ValueError, match="due is one row a tile"):
        PairSampler(np.zeros(2, int), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="give another slide"):
        PairSampler(np.zeros(3, int), np.full((3, 2), np.nan))


def test_the_same_generator_draws_the_same_pairs():
    sampler = PairSampler(np.repeat([0, 1], 100), np.concatenate([grid_mm(10, 1.5)] * 2))
    draws = [sampler.draw(np.random.default_rng(4)) for _ in range(2)]
    for name in Pairs.__slots__:
        assert (getattr(draws[0], name) == getattr(draws[1], name)).all()


def tiles(count=3, side=32):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(20, 256, (count, 3, side, side), generator=generator).float()


def test_nothing_changes_where_nothing_is_asked_for():
    came = augment(tiles(), STILL, torch.Generator().manual_seed(0))
    assert torch.allclose(came, tiles(), atol=0.01)


def test_turns_are_those_of_the_square():
    """Each changed tile is one of the eight turned and mirrored ones, and all eight come."""
    how = Augmentation(stain=0, tint=0, gamma=0, zoom=0)
    one = tiles(1, 8)
    eight = [torch.rot90(m, k, (2, 3)) for m in (one, one.flip(3)) for k in range(4)]
    came = zoom_and_turn(one.repeat(200, 1, 1, 1), how, torch.Generator().manual_seed(0))
    gaps = torch.stack([(came - due).abs().amax(dim=(1, 2, 3)) for due in eight])
    assert (gaps.min(dim=0).values < 0.01).all()
    assert set(gaps.argmin(dim=0).tolist()) == set(range(8))


def test_stain_moves_along_its_vector_and_leaves_glass():
    """White stays white without a shift of light, and a grey level moves where the stain says."""
    how = Augmentation(stain=0.5, tint=0, gamma=0)
    white = torch.full((16, 3, 4, 4), 255.0)
    came = jitter_stain(white, how, torch.Generator().manual_seed(0))
    assert came.min() > 235
    changed = jitter_stain(tiles(), how, torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert (changed - tiles()).abs().mean() > 3


def test_a_zoomed_tile_shows_a_part_of_it():
    ramp = torch.arange(64.0).expand(1, 3, 64, 64).repeat(50, 1, 1, 1)
    how = Augmentation(stain=0, tint=0, gamma=0, zoom=0.5, turns=False)
    came = zoom_and_turn(ramp, how, torch.Generator().manual_seed(0))
    width = came[:, 0, 0, -1] - came[:, 0, 0, 0]
    assert width.min() > 0.5 * 62
    assert width.max() <= 63
    assert came.min() >= 0
    assert came.max() <= 63


def test_the_trunk_pads_like_tensorflow():
    """An odd pixel of padding is at the right and bottom: a shift by the stride shifts the maps."""
    torch.manual_seed(0)
    trunk = EfficientNetLite0().eval()
    pixels = torch.randn(1, 3, 64, 64)
    conv = trunk.stem[0]
    due = torch.nn.functional.conv2d(
        torch.nn.functional.pad(pixels, (0, 1, 0, 1)), conv.weight, stride=2
    )
    assert torch.allclose(conv(pixels), due, atol=1e-5)
    with torch.inference_mode():
        assert [maps.shape[-1] for maps in trunk.stages(pixels)] == [32, 16, 8, 4, 4, 2, 2, 2]
        assert torch.allclose(trunk(pixels), trunk.stages(pixels)[-1].mean((2, 3)), atol=1e-5)


def test_local_embeddings_mean_the_embedding():
    """Of maps that are as fine as the places, finer, coarser, and of sides that do not divide."""
    torch.manual_seed(0)
    for side, stages in ((64, (1, 3, 5)), (72, (3, 6)), (96, (2, 4))):
        network = SiameseNetwork(NetworkConfig(dim=8, stages=stages)).eval()
        network.mean.normal_()
        network.spread.uniform_(0.5, 2)
        tiles = torch.randint(0, 256, (2, 3, side, side)).float()
        with torch.inference_mode():
            local, whole = network.local(tiles), network(tiles)
        assert local.shape == (2, 8, -(-side // 16), -(-side // 16))
        assert torch.allclose(F.normalize(local.mean(dim=(2, 3)), dim=1), whole, atol=1e-4)
