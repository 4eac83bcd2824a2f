"""Local discrimination with one region that shapes of another modality steer.

Source: Chen et al., arXiv 2108.09440, shape-guided cross-modality segmentation: the losses of local
discrimination with K = 8, and the first region's shares are to look like binary shapes that belong
to none of the images,

    (8)  L_shape = BCE(D(a_0), 1),   L_D = BCE(D(shape), 1) + BCE(D(a_0), 0)

We differ: besides, shapes are drawn into images (see `rendering`) and the region is to find them
there,

    (9)  L_render = BCE(a_0, s)

(8) alone is satisfied by vessels drawn anywhere; (9) ties them to what an image shows. With its
weight at 0 the method is the published one, with a discriminator that works (see `discriminator`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.discriminator import (
    ShapeDiscriminator,
    adversarial_loss,
    softened,
)
from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork
from napari_medssl.methods.local_discrimination.objective import (
    Objective,
    all_images,
    local_parts,
    weighted,
)
from napari_medssl.methods.local_discrimination.views import Views

STEERED = 0
"""The region that the shapes steer."""

_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class ShapeObjective:
    """What is asked of the network besides local discrimination.

    Attributes
    ----------
    local
        Local discrimination's own; its weights are relative to `local_weight`.
    local_weight, adversarial_weight, render_weight
        How much local discrimination, (8) and (9) count.
    noise, blur
        Of what the discriminator sees, see `softened`.
    """

    local: Objective = field(default_factory=Objective)
    local_weight: float = 1.0
    adversarial_weight: float = 1.0
    render_weight: float = 1.0
    noise: float = 0.1
    blur: float = 0.7


@dataclass(frozen=True, slots=True)
class ShapeStep:
    """What one step gives.

    Attributes
    ----------
    loss
        With gradient, a scalar.
    parts
        Each loss by name, without gradient.
    shares
        Of the steered region in real views, without gradient, shape (N, 1, H, W).
    assignments
        Of both views of all images, without gradient, shape (4 B, K, H, W).
    """

    loss: Tensor
    parts: dict[str, Tensor]
    shares: Tensor
    assignments: Tensor


def shape_guided_step(
    network: LocalDiscriminationNetwork,
    discriminator: ShapeDiscriminator,
    views: Views,
    rendered: tuple[Tensor, Tensor] | None,
    what: ShapeObjective,
    generator: torch.Generator,
) -> ShapeStep:
    """Return the loss of the network in one step; it leaves no gradient in the discriminator.

    Parameters
    ----------
    views
        Of real images.
    rendered
        Images and the shapes that are drawn in them, (N, C, S, S) and (N, 1, S, S); None for none.
    generator
        Of the noise, on the CPU.
    """
    images = all_images(views)
    real = len(images)
    if rendered is not None:
        images = torch.cat([images, rendered[0]])
    # One pass for both: normalisation sees real and drawn images together.
    embeddings, assignments = network(images)
    both = 2 * len(views.first)
    with torch.autocast(embeddings.device.type, enabled=False):
        parts = local_parts(embeddings[:real], assignments[:both], views, what.local)
        total, values = weighted(parts, what.local.weights)
        total = what.local_weight * total
        shares = assignments[:both, STEERED : STEERED + 1]
        if what.adversarial_weight:
            seen = softened(shares, 0.0, what.noise, generator)
            shape = adversarial_loss(_judged(discriminator, seen))
            total = total + what.adversarial_weight * shape
            values["shape"] = shape.detach()
        if rendered is not None:
            drawn = render_loss(assignments[real:, STEERED : STEERED + 1], rendered[1])
            total = total + what.render_weight * drawn
            values["render"] = drawn.detach()
        values["loss"] = total.detach()
    return ShapeStep(total, values, shares.detach(), assignments[:both].detach())


def render_loss(shares: Tensor, shapes: Tensor) -> Tensor:
    """Return equation 9, a scalar.

    Parameters
    ----------
    shares
        Of the steered region, shape (N, 1, H, W).
    shapes
        From 0 to 1, shape (N, 1, s H, s W): brought to the shares by the mean of s x s pixels.
    """
    stride = shapes.shape[-1] // shares.shape[-1]
    due = F.avg_pool2d(shapes, stride).clamp(0, 1)
    came = shares.clamp(_LEAST, 1 - _LEAST)
    # No Dice term: it draws borders outwards where they are uncertain.
    return F.binary_cross_entropy(came, due)


def cosine_readout(embeddings: Tensor, assignments: Tensor, inside: Tensor | None = None) -> Tensor:
    """Return how alike each pixel is to the steered region, its cosine, shape (B, H, W).

    Parameters
    ----------
    embeddings, assignments
        As the network gives them, shapes (B, D, H, W) and (B, K, H, W).
    inside
        Pixels that make up the region's embedding, shape (B, H, W), bool; None for all.
    """
    shares = assignments[:, STEERED]
    if inside is not None:
        shares = shares * inside
    region = F.normalize(torch.einsum("bhw,bdhw->bd", shares, embeddings), dim=1)
    return torch.einsum("bd,bdhw->bhw", region, embeddings)


def _judged(discriminator: ShapeDiscriminator, maps: Tensor) -> Tensor:
    """Return logits whose gradient reaches the maps, not the discriminator."""
    for weight in discriminator.parameters():
        weight.requires_grad_(False)
    try:
        logits: Tensor = discriminator(maps)
    finally:
        for weight in discriminator.parameters():
            weight.requires_grad_(True)
    return logits
