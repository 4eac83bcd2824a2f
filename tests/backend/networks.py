"""Every network that we ship, with a batch to try it on: the CUDA tests walk this list.

A new method adds one `Network`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """How to build a network, run it on a fixed batch, and compute its training loss."""

    name: str
    build: Callable[[], nn.Module]
    forward: Callable[[nn.Module, str], tuple[Tensor, ...]]
    loss: Callable[[nn.Module, str], Tensor]


def _figures(device: str) -> tuple[Tensor, list[Tensor]]:
    """Return two figures of bright panels on white, and the panels' boxes."""
    generator = torch.Generator().manual_seed(3)
    images = torch.ones(2, 3, 128, 160)
    boxes = torch.tensor([[8.0, 8, 72, 60], [80, 8, 152, 60], [8, 68, 152, 120]])
    for image in images:
        for x0, y0, x1, y1 in boxes.int().tolist():
            image[:, y0:y1, x0:x1] = torch.rand(3, y1 - y0, x1 - x0, generator=generator)
    return images.to(device), [boxes.to(device)] * 2


def _panel_network() -> nn.Module:
    from napari_medssl.methods.simcfs.network import NetworkConfig, PanelNetwork

    torch.manual_seed(0)
    return PanelNetwork(NetworkConfig(width=8))


def _panel_loss(network: nn.Module, device: str) -> Tensor:
    from napari_medssl.methods.simcfs.detector import LossWeights, detection_loss

    return detection_loss(network, *_figures(device), LossWeights(side_unit="panel"))[0]


def _tiles(device: str) -> Tensor:
    """Return two pairs of tiles: near ones alike, far ones not."""
    generator = torch.Generator().manual_seed(5)
    kinds = torch.randint(0, 256, (2, 3, 64, 64), generator=generator)
    return torch.stack([kinds[0], kinds[0], kinds[0], kinds[1]]).to(device)


def _siamese_network() -> nn.Module:
    from napari_medssl.backend.trunks import load_imagenet_trunk
    from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork

    torch.manual_seed(0)
    # Means of maps at random are next to nothing: rounding would be all there is.
    return SiameseNetwork(NetworkConfig(dim=16), load_imagenet_trunk())


def _siamese_loss(network: nn.Module, device: str) -> Tensor:
    from napari_medssl.methods.siamese.losses import contrastive_loss

    network.eval()  # as in training: batch normalisation stays as it is
    pooled = network.pool(_tiles(device))
    with torch.autocast(device, enabled=False):
        embeddings = network.project(pooled.float())
    is_far = torch.tensor([False, True], device=device)
    # The largest margin: the far pair is never far enough, so the loss does not reach zero.
    return contrastive_loss(embeddings[[0, 2]], embeddings[[1, 3]], is_far, margin=2.0)


def _local_views(device: str) -> Any:
    """Return the views of two coarse pictures."""
    from napari_medssl.methods.local_discrimination.views import (
        Sampling,
        make_views,
        step_generator,
    )

    generator = step_generator(7, 0)
    small = torch.randint(0, 256, (2, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images = small.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3).to(device)
    return make_views(list(images), Sampling(size=64), generator)


def _local_network() -> nn.Module:
    from napari_medssl.methods.local_discrimination.network import (
        LocalDiscriminationNetwork,
        NetworkConfig,
    )

    torch.manual_seed(0)
    return LocalDiscriminationNetwork(NetworkConfig(width=4, dim=8, clusters=4, stride=2))


def _local_loss(network: nn.Module, device: str) -> Tensor:
    from napari_medssl.methods.local_discrimination.objective import Objective, region_loss

    return region_loss(network, _local_views(device), Objective(grid=4))[0]


def _autoencoder_views(device: str) -> Tensor:
    """Return two views each of four coarse pictures."""
    from napari_medssl.methods.contrastive_autoencoder.views import (
        Sampling,
        make_views,
        step_generator,
    )

    generator = step_generator(7, 0, 0)
    small = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    images = small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3).to(device)
    return torch.cat([make_views(images, Sampling(), generator) for _ in range(2)])


def _autoencoder_network() -> nn.Module:
    from napari_medssl.methods.contrastive_autoencoder.network import (
        ContrastiveAutoencoder,
        NetworkConfig,
    )

    torch.manual_seed(0)
    return ContrastiveAutoencoder(NetworkConfig(size=32, widths=(8, 16), dim=8, clusters=3))


def _autoencoder_loss(network: nn.Module, device: str) -> Tensor:
    from napari_medssl.methods.contrastive_autoencoder.losses import nt_xent, reconstruction_error

    views = _autoencoder_views(device)
    came = network(views, 4)
    loss = nt_xent(came.projected[:4], came.projected[4:])
    return loss + reconstruction_error(came.decoded, views[:4], 0.1)


def _simsiam_views(device: str) -> Tensor:
    """Return two views, the second a little darker, of six coarse pictures."""
    generator = torch.Generator().manual_seed(9)
    small = torch.rand(6, 3, 4, 4, generator=generator)
    first = small.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    return torch.cat([first, 0.9 * first]).to(device)


def _simsiam_network() -> nn.Module:
    from napari_medssl.backend.trunks import load_imagenet_trunk
    from napari_medssl.methods.simsiam.network import SimSiam

    torch.manual_seed(0)
    return SimSiam(load_imagenet_trunk(), dim=16)


def _simsiam_loss(network: nn.Module, device: str) -> Tensor:
    from napari_medssl.methods.simsiam.losses import simsiam_loss

    (p1, z1), (p2, z2) = (network(part) for part in _simsiam_views(device).chunk(2))
    # From 0, not from -1: losses are compared relative to their size.
    return 1 + simsiam_loss((p1, p2), (z1, z2))


def _action_student() -> nn.Module:
    from napari_medssl.backend.trunks import load_imagenet_trunk
    from napari_medssl.methods.action.network import SegmentationUNet
    from napari_medssl.methods.action.teacher import Student

    torch.manual_seed(0)
    network = SegmentationUNet(3)
    network.start_from(load_imagenet_trunk())
    return Student(network)


def _action_views(device: str) -> Tensor:
    """Return two coarse pictures."""
    generator = torch.Generator().manual_seed(11)
    small = torch.rand(2, 3, 8, 8, generator=generator)
    return small.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3).to(device)


def _action_outputs(student: nn.Module, device: str) -> tuple[Tensor, ...]:
    branch: Any = student.branch
    maps = branch.network.maps(_action_views(device))
    return maps.logits, branch.global_head(maps), branch.representation_head(maps)


def _action_loss(student: nn.Module, device: str) -> Tensor:
    """Return the losses of ACTION's second stage, the student's own branch as the teacher's."""
    from napari_medssl.methods.action.distillation import distillation_loss
    from napari_medssl.methods.action.supervision import supervised_loss

    branch: Any = student.branch
    views = _action_views(device)
    maps = branch.network.maps(views)
    truth = (views[:, 0] > 0.5).long() + (views[:, 1] > 0.5).long()
    generator = torch.Generator().manual_seed(13)
    anchors, due = (torch.randn(n, 128, generator=generator).to(device) for n in (8, 2))
    vectors = student.get_submodule("global_predictor")(branch.global_head(maps))
    # Softer than in training: a temperature of a hundredth makes much of rounding.
    relation = distillation_loss(vectors, due, anchors, 0.5, 0.5)
    return supervised_loss(maps.logits, truth) + relation


NETWORKS = (
    Network(
        name="simcfs panel detector",
        build=_panel_network,
        forward=lambda network, device: network(_figures(device)[0]),
        loss=_panel_loss,
    ),
    Network(
        name="siamese tile encoder",
        build=_siamese_network,
        forward=lambda network, device: (network(_tiles(device)),),
        loss=_siamese_loss,
    ),
    Network(
        name="local discrimination",
        build=_local_network,
        forward=lambda network, device: tuple(network(_local_views(device).first)),
        loss=_local_loss,
    ),
    Network(
        name="contrastive autoencoder",
        build=_autoencoder_network,
        forward=lambda network, device: tuple(network(_autoencoder_views(device))),
        loss=_autoencoder_loss,
    ),
    Network(
        name="simsiam",
        build=_simsiam_network,
        forward=lambda network, device: network(_simsiam_views(device)),
        loss=_simsiam_loss,
    ),
    Network(
        name="action segmentation",
        build=_action_student,
        forward=_action_outputs,
        loss=_action_loss,
    ),
)
