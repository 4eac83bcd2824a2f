"""Weak and strong views: the same places in both, in the classes, and from one generator."""

from dataclasses import replace

import pytest
import torch

from napari_medssl.methods.action.views import (
    IGNORED,
    Sampling,
    same_places,
    strong_views,
    weak_views,
)

SMALL = Sampling(size=64)
STILL = Sampling(size=64, zoom=(1.0, 1.0), turn=0.0, flip_x=0.0, flip_y=0.0)


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def tagged(height=90, width=120):
    """Return an image of 8 flat squares a side whose red tells the class of each, and classes."""
    rows = torch.arange(height)[:, None] * 8 // height
    columns = torch.arange(width)[None] * 8 // width
    classes = (rows * 3 + columns * 5) % 7
    image = torch.stack([classes * 30, rows.expand_as(classes) * 30, columns.expand_as(classes)])
    return image.to(torch.uint8), classes.to(torch.uint8)


def test_views_are_squares_from_0_to_1_of_images_of_any_size():
    images = [
        torch.full((3, h, w), 255, dtype=torch.uint8) for h, w in ((64, 64), (1, 1), (7, 300))
    ]
    views, places = weak_views(images, SMALL, seeded())
    assert views.shape == (3, 3, 64, 64)
    assert places.shape == (3, 64, 64, 2)
    torch.testing.assert_close(views, torch.ones_like(views))  # reflected, never padded with black
    strong = strong_views(views, SMALL, seeded())
    assert strong.shape == views.shape
    assert (strong >= 0).all()
    assert (strong <= 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_classes_follow_their_pixels(seed):
    """Wherever a view shows one flat square alone, its class is that of the square."""
    image, classes = tagged()
    views, places = weak_views([image] * 3, SMALL, seeded(seed))
    found = same_places([classes] * 3, places)
    assert found.shape == (3, 64, 64)
    assert found.dtype == torch.int64
    red = views[:, :1] * 255 / 30
    pool = torch.nn.functional.max_pool2d
    # Between two squares a pixel may be whole by chance, but not with all around it.
    inner = (pool(red, 5, 1, 2) + pool(-red, 5, 1, 2) < 0.01)[:, 0]
    assert inner.float().mean() > 0.3
    assert torch.equal(found[inner], red[:, 0].round().long()[inner])


def test_unpainted_pixels_stay_unpainted():
    image, classes = tagged()
    classes[:, 60:] = IGNORED
    _, places = weak_views([image], STILL, seeded())
    found = same_places([classes], places)
    assert set(found.unique().tolist()) <= {*range(7), IGNORED}
    assert (found == IGNORED).any()


def test_a_view_without_zoom_turn_and_flip_is_a_crop():
    image, classes = tagged(64, 64)
    views, places = weak_views([image], STILL, seeded())
    torch.testing.assert_close(views[0] * 255, image.float(), atol=1e-3, rtol=0)
    assert torch.equal(same_places([classes], places)[0], classes.long())


@pytest.mark.parametrize("flip", ["flip_x", "flip_y"])
def test_flips_mirror_the_axis_that_they_name(flip):
    image, _ = tagged(64, 64)
    views, _ = weak_views([image], replace(STILL, **{flip: 1.0}), seeded())
    due = image.flip(2 if flip == "flip_x" else 1).float()
    torch.testing.assert_close(views[0] * 255, due, atol=1e-3, rtol=0)


def test_a_zoom_enlarges():
    """At twice the size a view shows half the side: a square of 8 pixels is 16 wide."""
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 28:36, 28:36] = 255
    middle = [
        float(weak_views([image], replace(STILL, zoom=(z, z)), seeded(3))[0].sum()) for z in (1, 2)
    ]
    # Where the zoomed view lies is drawn; it shows the square or a part of it.
    assert 0 < middle[1] <= 4.2 * middle[0]


def test_turns_and_zooms_are_as_asked():
    """Steps between neighbouring places have the length of the zoom and the angle of the turn."""
    image = torch.zeros(3, 200, 300, dtype=torch.uint8)
    how = replace(SMALL, zoom=(0.5, 2.0), turn=30.0)
    _, places = weak_views([image] * 40, how, seeded())
    pixels = places * torch.tensor([300, 200]) / 2
    right = pixels[:, 0, 1] - pixels[:, 0, 0]
    down = pixels[:, 1, 0] - pixels[:, 0, 0]
    lengths = right.norm(dim=1)
    torch.testing.assert_close(lengths, down.norm(dim=1), rtol=1e-3, atol=1e-3)
    assert ((lengths > 0.499) & (lengths < 2.001)).all()
    assert lengths.min() < 0.7 < 1.4 < lengths.max()
    assert ((right * down).sum(dim=1).abs() < 1e-2).all()  # square to each other
    angles = torch.rad2deg(torch.atan2(right[:, 1], right[:, 0].abs()))
    assert 15 < angles.abs().max() < 30.01


def test_a_strong_view_without_colours_and_blur_is_the_weak_one():
    image, _ = tagged()
    weak, _ = weak_views([image] * 4, SMALL, seeded())
    how = replace(SMALL, colored=0.0, blurred=0.0)
    assert torch.equal(strong_views(weak, how, seeded(2)), weak)


def test_a_strong_view_has_the_places_of_the_weak_one():
    """Colours change pixel by pixel, and a blur reaches a few: edges stay where they are."""
    image, classes = tagged()
    weak, places = weak_views([image] * 6, SMALL, seeded())
    found = same_places([classes] * 6, places)
    strong = strong_views(weak, replace(SMALL, colored=1.0, blurred=0.0), seeded(2))
    assert (strong - weak).abs().mean() > 0.01
    for before, after in zip(weak.flatten(2), strong.flatten(2), strict=True):
        # Pixels of one colour have one colour afterwards.
        kinds, group = before.unique(dim=1, return_inverse=True)
        sums = torch.zeros(3, kinds.shape[1]).index_add_(1, group, after)
        means = sums / torch.bincount(group)
        torch.testing.assert_close(after, means[:, group], atol=1e-4, rtol=0)
    assert found.unique().numel() == 7


def test_a_blur_keeps_a_flat_view_and_smooths_an_edge():
    how = replace(SMALL, colored=0.0, blurred=1.0)
    flat = torch.full((8, 3, 64, 64), 0.4)
    torch.testing.assert_close(strong_views(flat, how, seeded()), flat)
    edge = flat.clone()
    edge[..., 32:] = 0.9
    came = strong_views(edge, how, seeded())
    steps = (came[..., 1:] - came[..., :-1]).amax(dim=(1, 2, 3))
    assert (steps < 0.499).any()
    assert (came[..., 1:] >= came[..., :-1] - 1e-6).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_views_follow_from_the_generator(seed):
    image, _ = tagged()

    def make(number):
        generator = seeded(number)
        weak, places = weak_views([image] * 3, SMALL, generator)
        return weak, places, strong_views(weak, SMALL, generator)

    assert all(torch.equal(a, b) for a, b in zip(make(seed), make(seed), strict=True))
    assert not torch.equal(make(seed)[0], make(seed + 1)[0])


def test_views_differ_within_a_batch_and_take_nothing_from_torchs_own_state():
    image, _ = tagged()
    before = torch.get_rng_state()
    weak, _ = weak_views([image] * 3, SMALL, seeded())
    strong = strong_views(weak, SMALL, seeded())
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(weak[0], weak[1])
    assert not torch.equal(strong[0], strong[1])


def test_one_setting_does_not_change_what_another_draws():
    image, _ = tagged()
    _, places = weak_views([image], SMALL, seeded())
    _, other = weak_views([image], replace(SMALL, flip_x=0.0), seeded())
    one, two = (set(map(tuple, p.flatten(0, 2).tolist())) for p in (places, other))
    if one != two:  # mirrored: the same square of the image, from the other side
        torch.testing.assert_close(places.mean(dim=(1, 2)), other.mean(dim=(1, 2)))


def test_a_negative_swaps_light_and_dark_after_the_colours():
    """The rest is as without, also what is drawn for it."""
    weak, _ = weak_views([tagged()[0]] * 40, SMALL, seeded())
    plain = strong_views(weak, replace(SMALL, blurred=0.0), seeded(2))
    swapped = strong_views(weak, replace(SMALL, blurred=0.0, inverted=1.0), seeded(2))
    assert torch.equal(swapped, 1 - plain)
    some = strong_views(weak, replace(SMALL, blurred=0.0, inverted=0.3), seeded(2))
    is_negative = (some != plain).flatten(1).any(dim=1)
    assert torch.equal(some[is_negative], 1 - plain[is_negative])
    assert 4 <= int(is_negative.sum()) <= 20
