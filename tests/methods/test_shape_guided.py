"""The shape-guided losses against slow oracles, and faults of the released code that ours lacks."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from napari_medssl.methods.local_discrimination.discriminator import (
    SLOPE,
    ShapeDiscriminator,
    adversarial_loss,
    discriminator_loss,
    gradient_penalty,
    softened,
)
from napari_medssl.methods.local_discrimination.network import (
    LocalDiscriminationNetwork,
    NetworkConfig,
)
from napari_medssl.methods.local_discrimination.objective import Objective, region_loss
from napari_medssl.methods.local_discrimination.pieces import (
    draw_backgrounds,
    draw_piece,
    draw_shapes,
)
from napari_medssl.methods.local_discrimination.rendering import Rendering, render, smooth_noise
from napari_medssl.methods.local_discrimination.shape_guided import (
    ShapeObjective,
    cosine_readout,
    render_loss,
    shape_guided_step,
)
from napari_medssl.methods.local_discrimination.views import Sampling, make_views, step_generator


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def logistic(x):
    return 1 / (1 + math.exp(-x))


def test_losses_of_the_discriminator_are_equation_8():
    true, false = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([-0.4, 0.9])
    due = -sum(math.log(logistic(x)) for x in true.tolist()) / 3
    due -= sum(math.log(1 - logistic(x)) for x in false.tolist()) / 2
    assert float(discriminator_loss(true, false)) == pytest.approx(due / 2, rel=1e-5)
    due = -sum(math.log(logistic(x)) for x in false.tolist()) / 2
    assert float(adversarial_loss(false)) == pytest.approx(due, rel=1e-5)


def test_render_loss_is_equation_9():
    """Cross-entropy pixel by pixel, of shapes brought to the maps by the mean of their pixels."""
    shares = torch.rand(2, 1, 3, 3, generator=seeded()) * 0.8 + 0.1
    shapes = (torch.rand(2, 1, 6, 6, generator=seeded(1)) > 0.5).float()
    due = []
    for n in range(2):
        for y in range(3):
            for x in range(3):
                a = float(shares[n, 0, y, x])
                s = float(shapes[n, 0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean())
                due.append(-s * math.log(a) - (1 - s) * math.log(1 - a))
    assert float(render_loss(shares, shapes)) == pytest.approx(np.mean(due), rel=1e-5)


def test_gradient_penalty_is_half_the_squared_gradient():
    """Of a linear logit it is known: half the sum of its squared weights."""
    weights = torch.randn(1, 1, 4, 4, generator=seeded())

    class Linear(nn.Module):
        def forward(self, maps):
            return (maps * weights).sum(dim=(1, 2, 3))

    due = float(weights.square().sum()) / 2
    found = gradient_penalty(Linear(), torch.rand(3, 1, 4, 4, generator=seeded(1)))
    assert float(found) == pytest.approx(due, rel=1e-5)


def test_the_discriminator_has_activations():
    """The released LeakyReLU(True) has slope 1 on both sides, and the network stays linear."""
    activations = [m for m in ShapeDiscriminator().modules() if isinstance(m, nn.LeakyReLU)]
    assert len(activations) == 5
    assert all(0 < m.negative_slope == SLOPE < 1 for m in activations)
    assert nn.LeakyReLU(True).negative_slope == 1  # the fault


def test_the_discriminator_does_not_live_by_binary_values():
    """What it sees of binary shapes is neither 0 nor 1, or that alone would give them away."""
    shapes = (torch.rand(4, 1, 16, 16, generator=seeded()) > 0.5).float()
    seen = softened(shapes, 0.7, 0.1, seeded(1))
    assert not ((seen == 0) | (seen == 1)).any()
    assert torch.equal(softened(shapes, 0.0, 0.0, seeded()), shapes)


def test_blurring_keeps_the_amount_of_shape():
    shapes = torch.zeros(1, 1, 16, 16)
    shapes[..., 6:9, 6:9] = 1
    assert float(softened(shapes, 0.7, 0.0, seeded()).sum()) == pytest.approx(9, rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 16, 16), (2, 1, 8, 16), (1, 16, 16)])
def test_the_discriminator_refuses_other_maps(shape):
    with pytest.raises(ValueError, match="sides of 16 or more"):
        ShapeDiscriminator()(torch.zeros(shape))


def test_the_discriminator_learns_to_tell_lines_from_spots():
    torch.manual_seed(0)
    lines, spots = torch.zeros(4, 1, 16, 16), torch.zeros(4, 1, 16, 16)
    for n in range(4):
        lines[n, 0, :, 3 * n + 2] = 1
        spots[n, 0].view(-1)[torch.randperm(256, generator=seeded(n))[:16]] = 1
    judge = ShapeDiscriminator()
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    before = discriminator_loss(judge(lines), judge(spots))
    for _ in range(20):
        loss = discriminator_loss(judge(lines), judge(spots))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.9 * float(before.detach())


def make_step(what, seed=0, rendered=True):
    torch.manual_seed(seed)
    network = LocalDiscriminationNetwork(NetworkConfig(1, 4, 8, 3, 2))
    judge = ShapeDiscriminator()
    images = [torch.randint(0, 256, (1, 48, 48), generator=seeded(n)).byte() for n in range(2)]
    views = make_views(images, Sampling(size=32), step_generator(0, 0))
    drawn = torch.rand(2, 1, 32, 32, generator=seeded(5))
    pair = (drawn, (drawn > 0.7).float()) if rendered else None
    return network, judge, views, shape_guided_step(network, judge, views, pair, what, seeded(3))


def test_without_shapes_a_step_is_local_discrimination():
    what = ShapeObjective(Objective(grid=4), adversarial_weight=0.0, local_weight=1.0)
    _, _, views, found = make_step(what, rendered=False)
    torch.manual_seed(0)
    network = LocalDiscriminationNetwork(NetworkConfig(1, 4, 8, 3, 2))
    due, _, _ = region_loss(network, views, Objective(grid=4))
    assert float(found.loss.detach()) == pytest.approx(float(due.detach()), rel=1e-5)


def test_the_loss_of_a_step_is_the_weighted_sum_of_its_parts():
    what = ShapeObjective(Objective(grid=4), 0.3, 0.2, 2.0)
    found = make_step(what)[3]
    parts = {name: float(value) for name, value in found.parts.items()}
    local = parts["patch"] + parts["mix"] + 10 * parts["region"] + 0.1 * parts["entropy"]
    due = 0.3 * local + 0.2 * parts["shape"] + 2.0 * parts["render"]
    assert float(found.loss.detach()) == pytest.approx(due, rel=1e-5)
    assert parts["loss"] == pytest.approx(due, rel=1e-5)


def test_the_network_is_steered_and_the_discriminator_is_left_alone():
    network, judge, _, found = make_step(ShapeObjective(Objective(grid=4), local_weight=0.0))
    found.loss.backward()
    head = network.clustering_head[-1].weight
    assert float(head.grad.abs().max()) > 0
    assert all(weight.grad is None and weight.requires_grad for weight in judge.parameters())


def test_cosine_readout_is_the_cosine_to_the_region():
    embeddings = nn.functional.normalize(torch.randn(1, 4, 3, 3, generator=seeded()), dim=1)
    shares = torch.rand(1, 2, 3, 3, generator=seeded(1))
    inside = torch.rand(1, 3, 3, generator=seeded(2)) > 0.4
    region = torch.zeros(4)
    for y in range(3):
        for x in range(3):
            region += inside[0, y, x] * shares[0, 0, y, x] * embeddings[0, :, y, x]
    found = cosine_readout(embeddings, shares, inside)
    for y in range(3):
        for x in range(3):
            due = float(embeddings[0, :, y, x] @ region / region.norm())
            assert float(found[0, y, x]) == pytest.approx(due, abs=1e-5)


def bar_planes(width=6, side=64):
    """A vertical bar: mask, width, depth."""
    planes = torch.zeros(3, side, side, dtype=torch.float16)
    left = (side - width) // 2
    planes[0, :, left : left + width], planes[1, :, left : left + width] = 1, width
    planes[2, :, left : left + width] = 1
    return planes


@pytest.mark.parametrize("is_dark", [True, False])
def test_shapes_are_drawn_where_they_are(is_dark):
    """Dark or light, the half of the contrast lies at the border of the shape."""
    shapes = bar_planes().float()[None]
    how = Rendering((0.2, 0.2), (1.0, 1.0), noise=0, halo=0, reflex=0, is_dark=is_dark)
    grey = torch.full((1, 1, 64, 64), 0.5)
    image = render(grey, shapes, how, seeded())[0, 0]
    # What is left is the mottle of the background, the same in both.
    change = (image - render(grey, shapes * 0, how, seeded())[0, 0]) * (-1 if is_dark else 1)
    middle = change[20:44].mean(dim=0)
    assert float(middle[31]) > 0.1
    assert float(middle[:22].abs().max()) < 0.02
    edge = (middle[28] + middle[29]) / 2  # the bar begins between these pixels
    assert float(edge / middle[31]) == pytest.approx(0.5, abs=0.1)


def test_the_same_generator_draws_the_same_image():
    shapes = bar_planes().float()[None]
    grey = torch.full((1, 1, 64, 64), 0.5)
    one, same = (render(grey, shapes, Rendering(), seeded(4)) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, render(grey, shapes, Rendering(), seeded(5)))
    assert one.min() >= 0
    assert one.max() <= 1


def test_smooth_noise_is_centred_and_spread():
    field = smooth_noise(50, 64, 6, seeded())
    assert field.shape == (50, 1, 64, 64)
    assert abs(float(field.mean())) < 0.1
    assert 0.6 < float(field.std()) < 1.4


def test_pieces_keep_the_scale_and_the_widths():
    """At twice the scale a bar covers twice the width, and its plane of widths says so."""
    found = draw_shapes([bar_planes(6, 200)], 12, 64, (2.0, 2.0), seeded(), least=0.12)
    covered = found[:, 0].sum(dim=(1, 2)) / 64
    assert float(covered.max()) > 11.0  # at a slant a line is longer
    assert float(found[:, 1].max()) == pytest.approx(12.0, rel=1e-3)


def test_a_piece_of_an_even_image_is_even():
    """Also where it hangs over: images go on as in a mirror, shapes end."""
    even = torch.full((1, 20, 30), 7, dtype=torch.uint8)
    assert torch.allclose(draw_piece(even, 64, 1.0, seeded(), reflect=True), torch.tensor(7.0))
    assert float(draw_piece(even, 64, 1.0, seeded()).min()) == 0


def test_backgrounds_are_from_0_to_1():
    images = [torch.randint(0, 256, (1, 90, 80), generator=seeded(n)).byte() for n in range(3)]
    found = draw_backgrounds(images, 5, 32, seeded())
    assert found.shape == (5, 1, 32, 32)
    assert 0 <= float(found.min()) < float(found.max()) <= 1
