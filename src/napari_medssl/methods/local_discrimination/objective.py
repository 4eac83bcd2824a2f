"""The loss of one training step: views in, one number and its parts out.

Source: Chen et al., arXiv 2108.09440. First patch discrimination and hypersphere mix-up alone, then
with region discrimination and the entropy of assignments; see `losses`. We differ: a region whose
pixels are few is seen by `collapse`, not by the loss. `region_head_loss` is ours: it learns regions
of embeddings that stay as they are, since region discrimination at its published weight draws all
embeddings of a region together, and with them the landmarks in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_medssl.methods.local_discrimination.averaging import cell_embeddings
from napari_medssl.methods.local_discrimination.losses import (
    LossWeights,
    area_penalty,
    assignment_entropy,
    hypersphere_mixup,
    patch_discrimination,
    region_discrimination,
    region_embeddings,
)
from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork
from napari_medssl.methods.local_discrimination.views import Views, bring_back


@dataclass(frozen=True, slots=True)
class Objective:
    """What is asked of the network; the published values, with centre-sensitive cells.

    Attributes
    ----------
    weights
        How much each loss counts.
    temperature, region_temperature
        Of patches and mix-up, and of regions.
    grid
        Cells along a side of a view.
    sigma
        Width of the bell in a cell, as a part of its side; None for flat averages.
    """

    weights: LossWeights = LossWeights()
    temperature: float = 0.1
    region_temperature: float = 0.2
    grid: int = 8
    sigma: float | None = 0.25


def patch_loss(
    network: LocalDiscriminationNetwork, views: Views, what: Objective
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of the first stage, and its parts without gradient."""
    embeddings = network.embedding_map(all_images(views))
    with torch.autocast(embeddings.device.type, enabled=False):
        return weighted(patch_parts(embeddings, views, what), what.weights)


def region_loss(
    network: LocalDiscriminationNetwork, views: Views, what: Objective
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return the loss of the second stage, its parts, and the assignments, these without gradient.

    The assignments are those of both views of all images, shape (4 B, K, H, W).
    """
    embeddings, assignments = network(all_images(views))
    both = 2 * len(views.first)  # the mixed image has no regions of its own
    assignments = assignments[:both]
    with torch.autocast(embeddings.device.type, enabled=False):
        parts = local_parts(embeddings, assignments, views, what)
        loss, values = weighted(parts, what.weights)
    return loss, values, assignments.detach()


def region_head_loss(
    network: LocalDiscriminationNetwork, views: Views, what: Objective
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return as `region_loss`, of the clustering branch alone: only its head has a gradient.

    The rest of the network should be in evaluation mode, or its normalisation drifts.
    """
    images = torch.cat([views.first, views.second])  # the mixed image has no regions of its own
    with torch.no_grad():
        features = network.features(images)
    embeddings, assignments = network.heads(features, images.shape[2:])
    embeddings = embeddings.detach()
    with torch.autocast(embeddings.device.type, enabled=False):
        loss, values = weighted(region_parts(embeddings, assignments, what), what.weights)
    return loss, values, assignments.detach()


def all_images(views: Views) -> Tensor:
    """Return all that the network looks at: first views, second ones, then mixed images."""
    return torch.cat([views.first, views.second, views.mixed])


def local_parts(
    embeddings: Tensor, assignments: Tensor, views: Views, what: Objective
) -> dict[str, Tensor]:
    """Return the losses of the second stage by name.

    Parameters
    ----------
    embeddings
        Of `all_images`.
    assignments
        Of both views of all images, shape (4 B, K, H, W).
    """
    both = embeddings[: len(assignments)]
    return patch_parts(embeddings, views, what) | region_parts(both, assignments, what)


def region_parts(embeddings: Tensor, assignments: Tensor, what: Objective) -> dict[str, Tensor]:
    """Return the losses of regions by name, of maps (M, D, H, W) and (M, K, H, W)."""
    regions = region_embeddings(embeddings, assignments)
    return {
        "region": region_discrimination(regions, what.region_temperature),
        "entropy": assignment_entropy(assignments),
        "area": area_penalty(assignments),
    }


def patch_parts(embeddings: Tensor, views: Views, what: Objective) -> dict[str, Tensor]:
    """Return the losses of the first stage by name, of embeddings of `all_images`."""
    count, half = len(views.first), len(views.mixed)
    first, second, mixed = torch.split(embeddings, [count, count, half])

    def cells(maps: Tensor) -> Tensor:
        return cell_embeddings(maps, what.grid, what.sigma)

    ones, others = cells(first), cells(bring_back(second, views.back))
    return {
        "patch": patch_discrimination(ones.flatten(0, 1), others.flatten(0, 1), what.temperature),
        "mix": hypersphere_mixup(
            cells(mixed), ones[:half], ones[half:], views.share, what.temperature
        ),
    }


def weighted(parts: dict[str, Tensor], weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of losses, and each of them and the sum without gradient."""
    total = sum(
        (getattr(weights, name) * part for name, part in parts.items()),
        torch.zeros((), device=next(iter(parts.values())).device),
    )
    return total, {"loss": total.detach(), **{name: p.detach() for name, p in parts.items()}}
