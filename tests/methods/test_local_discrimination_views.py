"""The views of local discrimination: where they lie, how they come back, and from what seed."""

import pytest
import torch

from napari_medssl.methods.local_discrimination.coloring import (
    Coloring,
    change_colors,
    luminance,
)
from napari_medssl.methods.local_discrimination.views import (
    Sampling,
    bring_back,
    draw_images,
    make_views,
    step_generator,
)

PLAIN = Coloring(brightness=0, contrast=0, saturation=0, hue=0, grey=0)
STILL = Sampling(
    size=32,
    flip_x=0,
    flip_y=0,
    rotation=0,
    crop=(1, 1),
    tilt=0,
    turns=False,
    mirror=0,
    colors=PLAIN,
)


def still_but(**changes):
    values = {name: getattr(STILL, name) for name in STILL.__dataclass_fields__}
    return Sampling(**(values | changes))


def letter(side=32):
    """An F, unlike itself in every turn and mirroring but one."""
    image = torch.zeros(1, side, side, dtype=torch.uint8)
    s = side // 8
    image[:, s : 7 * s, 2 * s : 3 * s] = 250
    image[:, s : 2 * s, 2 * s : 6 * s] = 250
    image[:, 3 * s : 4 * s, 2 * s : 5 * s] = 120
    return image


def smooth(side=64, channels=1, seed=0):
    """An image without fine detail: resampling changes it little."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, channels, 6, 6, generator=generator)
    large = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 1)
    return (large[0] * 255).to(torch.uint8)


def views_of(image, how, step=0):
    return make_views([image, image], how, step_generator(1, step))


def dihedral(image):
    """Return the eight turns and mirrorings of a square image, by name."""
    turned = {f"{90 * k}": image.rot90(k, (-2, -1)) for k in range(4)}
    return turned | {f"{90 * k} mirrored": t.flip(-1) for k, t in enumerate(turned.values())}


def which(view, image):
    return next(
        name for name, other in dihedral(image).items() if (view - other).abs().max() < 0.02
    )


def test_without_changes_a_view_is_the_image():
    image = letter()
    views = views_of(image, STILL)
    assert torch.allclose(views.first[0], image / 255, atol=1e-5)
    assert torch.allclose(views.second[1], image / 255, atol=1e-5)
    assert torch.allclose(views.back, torch.eye(2).expand(2, 2, 2))


def test_a_mirrored_second_view_is_mirrored_along_one_axis():
    """The published code flips both axes, which is half a turn: no mirrored view ever comes."""
    image = letter()
    second = views_of(image, still_but(mirror=1)).second[0]
    assert torch.allclose(second, image.flip(2) / 255, atol=1e-5)


def test_all_eight_turns_and_mirrorings_occur():
    image = letter()
    how = still_but(turns=True, mirror=0.5)
    seen = [which(views_of(image, how, step).second[0], image / 255) for step in range(60)]
    assert set(seen) == set(dihedral(image))
    assert 15 < sum("mirrored" in name for name in seen) < 45


def test_images_are_mirrored_along_each_axis_with_both_views():
    image = letter()
    for changes, due in (({"flip_x": 1}, image.flip(2)), ({"flip_y": 1}, image.flip(1))):
        views = views_of(image, still_but(**changes))
        assert torch.allclose(views.first[0], due / 255, atol=1e-5)
        assert torch.allclose(views.second[0], due / 255, atol=1e-5)


def test_what_is_switched_off_never_occurs():
    """For images whose orientation carries meaning, as in chest X-rays."""
    image = letter()
    for step in range(20):
        views = views_of(image, STILL, step)
        assert which(views.second[0], image / 255) == "0"


@pytest.mark.parametrize("step", range(8))
def test_second_views_come_back_exactly_through_turns_and_mirrorings(step):
    """With the image for its own embedding: what comes back is the first view, pixel by pixel."""
    views = views_of(letter(), still_but(turns=True, mirror=0.5, flip_x=0.5), step)
    assert torch.allclose(bring_back(views.second, views.back), views.first, atol=1e-4)


@pytest.mark.parametrize("step", range(4))
def test_second_views_come_back_through_every_change_of_place(step):
    """Small turns too: the published code aligns to a cell of 56 pixels only."""
    how = Sampling(size=64, tilt=6, colors=PLAIN)
    views = views_of(smooth(), how, step)
    came = bring_back(views.second, views.back)
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (came - views.first)[inside].abs().max() < 0.03
    assert (views.second - views.first)[inside].abs().max() > 0.1


def test_a_crop_keeps_the_aspect_and_the_area_asked_for():
    ramp = torch.arange(100, dtype=torch.uint8).expand(1, 40, 100).clone()
    half = still_but(size=40, crop=(0.25, 0.25))
    for step in range(5):
        first = views_of(ramp, half, step).first[0, 0] * 255
        # Half of the shorter side, 20 pixels, in 40: half a grey level to the pixel.
        slopes = first[:, 1:] - first[:, :-1]
        assert slopes[:, 2:-2].mean().item() == pytest.approx(0.5, abs=0.02)
        assert (first[:, 2:-2].std(dim=0) < 0.01).all()


def test_beyond_the_border_the_image_is_reflected():
    bright = torch.full((1, 40, 40), 200, dtype=torch.uint8)
    views = views_of(bright, still_but(rotation=180))
    assert torch.allclose(views.first, torch.tensor(200 / 255), atol=1e-3)


def test_the_mixed_image_is_the_share_of_two():
    views = make_views([letter(), letter(64)], Sampling(size=32), step_generator(3, 0))
    share = views.share.item()
    assert 0.2 <= share <= 0.8
    due = share * views.first[0] + (1 - share) * views.first[1]
    assert torch.allclose(views.mixed[0], due)


def test_a_step_is_the_same_each_time_and_unlike_others():
    images = [smooth(seed=1), smooth(48, seed=2)]
    how = Sampling(size=32)
    one, again = (make_views(images, how, step_generator(1, 5)) for _ in range(2))
    assert torch.equal(one.first, again.first)
    assert torch.equal(one.second, again.second)
    for seed, step in ((1, 6), (2, 5)):
        assert not torch.equal(one.first, make_views(images, how, step_generator(seed, step)).first)


def test_no_image_is_drawn_twice_for_a_step():
    assert sorted(draw_images(6, 6, step_generator(1, 0))) == list(range(6))
    assert len(set(draw_images(50, 8, step_generator(1, 1)))) == 8
    with pytest.raises(ValueError, match="6 of 3 images are wanted"):
        draw_images(3, 6, step_generator(1, 0))
    drawn = [tuple(draw_images(50, 8, step_generator(1, step))) for step in range(20)]
    assert len(set(drawn)) == 20


def test_views_of_one_image_alone_are_refused():
    with pytest.raises(ValueError, match="due are pairs"):
        make_views([letter()], STILL, step_generator(1, 0))


def test_colors_change_each_view_in_its_own_way_and_stay_in_range():
    views = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = change_colors(views, Coloring(), step_generator(1, 0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert all((changed[k] - views[k]).abs().max() > 0.02 for k in range(6))
    assert torch.equal(change_colors(views, PLAIN, step_generator(1, 0)), views) or torch.allclose(
        change_colors(views, PLAIN, step_generator(1, 0)), views, atol=1e-5
    )


def test_brightness_and_contrast_are_straight_lines_around_the_mean():
    views = 0.3 + 0.2 * torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    how = Coloring(brightness=0.4, contrast=0, saturation=0, hue=0, grey=0)
    ratio = change_colors(views, how, step_generator(1, 0)) / views
    assert ratio.std() < 1e-6
    assert 0.6 <= ratio.mean() <= 1.4
    how = Coloring(brightness=0, contrast=0.4, saturation=0, hue=0, grey=0)
    changed = change_colors(views, how, step_generator(1, 0))
    assert changed.mean().item() == pytest.approx(views.mean().item())
    assert changed.std() != pytest.approx(views.std())


def test_hue_and_saturation_leave_luminance_and_grey_views_lose_their_colors():
    views = 0.4 + 0.2 * torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    how = Coloring(brightness=0, contrast=0, saturation=0.4, hue=0.02, grey=0)
    changed = change_colors(views, how, step_generator(1, 0))
    assert torch.allclose(luminance(changed), luminance(views), atol=1e-3)
    assert (changed - views).abs().max() > 0.005
    grey = change_colors(views, Coloring(grey=1), step_generator(1, 0))
    assert torch.allclose(grey[:, 0], grey[:, 2])
