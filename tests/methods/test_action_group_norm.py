"""Group normalisation against torch's own, forward and derivative."""

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.action.group_norm import FastGroupNorm
from napari_medssl.methods.action.network import SegmentationUNet


def layer(groups, channels):
    torch.manual_seed(3)
    made = FastGroupNorm(groups, channels)
    torch.nn.init.normal_(made.weight)
    torch.nn.init.normal_(made.bias)
    return made


def last(*shape):
    generator = torch.Generator().manual_seed(1)
    # Neither the mean nor the spread is that of a normalised map.
    maps = 3 * torch.randn(shape, generator=generator) + 2
    return maps.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_maps_and_derivatives_are_those_of_torch(groups, precision):
    ours = layer(groups, 6)
    maps, due = last(2, 6, 5, 7), last(2, 6, 5, 7).flip(0)
    mine = maps.to(precision).detach().clone().requires_grad_()
    made = ours(mine)
    made.backward(due.to(precision))
    exact = maps.to(precision).double().detach().requires_grad_()
    weight, bias = (one.detach().double().requires_grad_() for one in (ours.weight, ours.bias))
    oracle = F.group_norm(exact, groups, weight, bias, ours.eps)
    oracle.backward(due.to(precision).double())
    near = (
        {"rtol": 1e-4, "atol": 1e-4} if precision == torch.float32 else {"rtol": 0.02, "atol": 0.03}
    )
    assert made.dtype == precision
    torch.testing.assert_close(made.double(), oracle, **near)
    torch.testing.assert_close(mine.grad.double(), exact.grad, **near)
    torch.testing.assert_close(ours.weight.grad.double(), weight.grad, **near)
    torch.testing.assert_close(ours.bias.grad.double(), bias.grad, **near)


def test_maps_that_lie_plane_by_plane_are_torchs():
    ours, maps = layer(2, 6), last(2, 6, 4, 4).contiguous()
    due = F.group_norm(maps, 2, ours.weight, ours.bias, ours.eps)
    torch.testing.assert_close(ours(maps), due)


def test_a_constant_map_has_a_derivative():
    ours, maps = layer(2, 4), torch.ones(1, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    ours(maps).sum().backward()
    assert maps.grad.isfinite().all()


def test_the_network_has_it_everywhere():
    network = SegmentationUNet(2)
    kinds = [type(one) for one in network.modules() if isinstance(one, torch.nn.GroupNorm)]
    assert kinds
    assert set(kinds) == {FastGroupNorm}
