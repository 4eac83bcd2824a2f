"""The network of local discrimination: shapes, sizes, borders, and that nothing in it is dead."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.losses import LossWeights
from napari_medssl.methods.local_discrimination.network import (
    REACH,
    LocalDiscriminationNetwork,
    NetworkConfig,
    folded,
    map_size,
    reflect_to_multiple,
)
from napari_medssl.methods.local_discrimination.objective import Objective, patch_loss, region_loss
from napari_medssl.methods.local_discrimination.views import Sampling, make_views, step_generator

SMALL = {"width": 4, "dim": 8, "clusters": 5}


def network_of(**changes):
    torch.manual_seed(0)
    return LocalDiscriminationNetwork(NetworkConfig(**(SMALL | changes))).eval()


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("size", [(32, 48), (37, 50), (3, 1)])
def test_any_size_gives_maps_of_unit_length_and_shares(stride, size):
    network = network_of(stride=stride)
    with torch.inference_mode():
        embeddings, assignments = network(noise(2, 1, *size))
        alone = network.embedding_map(noise(2, 1, *size))
    assert embeddings.shape == (2, 8, *map_size(size, stride))
    assert assignments.shape == (2, 5, *map_size(size, stride))
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(()), atol=1e-5)
    assert torch.allclose(assignments.sum(dim=1), torch.ones(()), atol=1e-5)
    assert (assignments >= 0).all()
    assert torch.equal(alone, embeddings)


def test_the_default_is_the_published_encoder():
    encoder = LocalDiscriminationNetwork().encoder
    widths = [[m.out_channels for m in block if isinstance(m, nn.Conv2d)] for block in encoder]
    assert widths == [[16, 16], [32, 32], [64] * 3, [128] * 3, [128] * 3]
    assert LocalDiscriminationNetwork().config == NetworkConfig(1, 16, 32, 16, 1)


def test_color_needs_three_channels():
    assert network_of(channels=3)(noise(1, 3, 16, 16)).embeddings.shape == (1, 8, 16, 16)
    with pytest.raises(ValueError, match="due are 1 or 3 channels"):
        NetworkConfig(channels=2)
    with pytest.raises(ValueError, match="and stride 1, 2 or 4"):
        NetworkConfig(stride=3)
    with pytest.raises(ValueError, match="less than 1"):
        NetworkConfig(dim=0)


@pytest.mark.parametrize("size", [(5, 21), (1, 2), (16, 17)])
def test_borders_are_reflected_as_often_as_it_takes(size):
    image = noise(1, 1, *size)
    came = reflect_to_multiple(image)
    assert [side % 16 for side in came.shape[2:]] == [0, 0]

    def place(k, side):
        while side > 1 and not 0 <= k < side:
            k = -k if k < 0 else 2 * (side - 1) - k
        return k if side > 1 else 0

    for y in range(came.shape[2]):
        for x in range(came.shape[3]):
            due = image[0, 0, place(y, size[0]), place(x, size[1])]
            assert came[0, 0, y, x] == due


def test_an_output_sees_no_further_than_its_reach():
    network = network_of(stride=2).double()
    image = noise(1, 1, 16, 400).double().requires_grad_()
    network.embedding_map(image)[0, :, 4, 100].sum().backward()
    seen = image.grad[0, 0].abs().sum(dim=0).nonzero().flatten()
    assert 60 < 200 - seen.min() <= REACH
    assert 60 < seen.max() - 200 <= REACH


def test_no_activation_is_an_identity_and_none_is_dead():
    """The published code's LeakyReLU(True) has slope 1 on both sides: an identity."""
    network = network_of()
    outputs = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, o, name=name: outputs.update({name: o}))
    network.train()
    network(noise(4, 1, 64, 64))
    assert len(outputs) == 13 + 6 + 2
    for name, out in outputs.items():
        assert 0.2 < (out > 0).float().mean() < 0.8, name
    kinds = {type(m) for m in network.modules() if not list(m.children())}
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}


def images(count=4):
    generator = torch.Generator().manual_seed(4)
    small = torch.rand(count, 1, 8, 8, generator=generator)
    return list((F.interpolate(small, (64, 64), mode="bilinear") * 255).to(torch.uint8))


def test_the_objective_is_the_weighted_sum_of_its_parts():
    network = network_of().train()
    views = make_views(images(), Sampling(size=64), step_generator(1, 0))
    what = Objective(weights=LossWeights(1, 2, 3, 4, 5))
    loss, parts, assignments = region_loss(network, views, what)
    names = ("patch", "mix", "region", "entropy", "area")
    due = sum(weight * parts[name] for weight, name in enumerate(names, start=1))
    assert loss.item() == pytest.approx(due.item(), rel=1e-5)
    assert assignments.shape == (8, 5, 64, 64)
    first, parts = patch_loss(network, views, what)
    assert set(parts) == {"loss", "patch", "mix"}
    assert first.item() == pytest.approx((parts["patch"] + 2 * parts["mix"]).item(), rel=1e-5)


def test_the_first_stage_leaves_the_regions_alone():
    network = network_of().train()
    views = make_views(images(), Sampling(size=64), step_generator(1, 0))
    patch_loss(network, views, Objective())[0].backward()
    assert all(p.grad is None for p in network.clustering_head.parameters())
    assert all(p.grad is not None for p in network.embedding_head.parameters())
    region_loss(network, views, Objective())[0].backward()
    assert all(p.grad is not None for p in network.parameters())


def test_steps_on_one_batch_bring_twins_together():
    network = network_of(stride=4).train()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    views = make_views(images(), Sampling(size=64), step_generator(1, 0))
    losses = []
    for _ in range(6):
        loss, _ = patch_loss(network, views, Objective(grid=4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_folded_network_is_the_same_in_evaluation():
    network = network_of().train()
    network(noise(4, 1, 32, 32))  # so that the statistics are not those at the start
    due = network.eval()(noise(1, 1, 40, 32))
    came = folded(network)(noise(1, 1, 40, 32))
    assert torch.allclose(came.embeddings, due.embeddings, atol=1e-5)
    assert torch.allclose(came.assignments, due.assignments, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded(network).modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
