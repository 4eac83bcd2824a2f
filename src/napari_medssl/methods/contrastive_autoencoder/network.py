"""The contrastive autoencoder: encoder, projector, and a decoder that is told the cluster.

Source: Ferrante et al., arXiv 2209.12005, and the class AESIMCLR of the same authors' code. With an
image x, prototypes b_k of unit length as the columns of B, and temperature T:

    (4)  h = encoder(x), of unit length;   z = projector(h)
    (5)  c = softmax(h^T B / T)
    (6)  x^ = decoder(U c + W (h - B c)),  before there are prototypes x^ = decoder(W h)

We differ:

- The released code computes the map of c and never uses it, so c has no effect on the image. Here
  the decoder is given what c says, U c, and of h only the rest, h - B c: what a cluster shares is
  known from c alone. U starts as W B, with which (6) is the decoder of the first phase.
- h is standardised and of unit length, so that (5) is a softmax of cosines: the largest share is
  that of the nearest prototype, however long the prototypes would have become.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.contrastive_autoencoder.prototypes import Prototypes


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of the network; part of every model card.

    Attributes
    ----------
    channels
        Channels of an image: 1 for grey, 3 for RGB.
    size
        Side of an image in pixels, S; a multiple of 2 to the power of the layers plus 1.
    widths
        Channels of the convolutions of the encoder; the decoder has them in reverse.
    dim
        Dimensions of an embedding, d.
    clusters
        Prototypes, K; 0 before there are any.
    temperature
        T of equation 5.
    """

    channels: int = 3
    size: int = 64
    widths: tuple[int, ...] = (32, 64, 128)
    dim: int = 50
    clusters: int = 0
    temperature: float = 0.1

    @property
    def multiple(self) -> int:
        """What the side of an image is to be a multiple of."""
        return int(2 ** (len(self.widths) + 1))


class Encoded(NamedTuple):
    """What the network makes of images.

    Attributes
    ----------
    embeddings
        h, of unit length, shape (B, d).
    projected
        z, shape (B, d).
    shares
        c, how much each image belongs to each cluster, shape (B, K); None before there are any.
    decoded
        Images from 0 to 1, shape (B, C, S, S), or of as many as were asked for.
    """

    embeddings: Tensor
    projected: Tensor
    shares: Tensor | None
    decoded: Tensor


class ContrastiveAutoencoder(nn.Module):
    """Embeds images, shares them among clusters, and decodes embeddings."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.size % config.multiple:
            raise ValueError(
                f"Size {config.size} came; due is a multiple of {config.multiple}: "
                f"{len(config.widths)} layers halve it, and a pooling does."
            )
        self.config = config
        self.encoder = _encoder(config)
        self.projector = _projector(config.dim)
        self.start = nn.Linear(config.dim, _map_size(config))  # W
        self.decoder = _decoder(config)
        self.condition: nn.Linear | None = None  # U
        self.prototypes: Prototypes | None = None
        if config.clusters:
            self.add_clusters(torch.randn(config.clusters, config.dim))

    @property
    def clusters(self) -> int:
        """Prototypes, K; 0 before there are any."""
        return 0 if self.prototypes is None else len(self.prototypes.centres)

    def add_clusters(self, centres: Tensor) -> Tensor:
        """Start the second phase: set the prototypes and let the decoder see c; return U.

        What the network makes of an image is the same before and after.

        Parameters
        ----------
        centres
            Of any length but zero, shape (K, d).
        """
        device = self.start.weight.device
        self.prototypes = Prototypes(centres.to(device), self.config.temperature)
        self.condition = nn.Linear(len(centres), len(self.start.bias), bias=False).to(device)
        with torch.no_grad():
            self.condition.weight.copy_(self.start.weight @ self.prototypes.centres.T)
        return self.condition.weight

    def embed(self, images: Tensor) -> Tensor:
        """Return h, of unit length, shape (B, d), of images from 0 to 1, shape (B, C, S, S)."""
        return F.normalize(self.encoder(images).float(), dim=1)

    def assign(self, embeddings: Tensor) -> Tensor:
        """Return c of equation 5, shape (B, K), of embeddings h (B, d)."""
        if self.prototypes is None:
            raise ValueError("The network has no clusters yet.")
        shares: Tensor = self.prototypes(embeddings)
        return shares

    def decode(self, embeddings: Tensor, shares: Tensor | None = None) -> Tensor:
        """Return images from 0 to 1, shape (B, C, S, S); equation 6.

        Parameters
        ----------
        embeddings
            h, of unit length, shape (B, d).
        shares
            c, shape (B, K); by default that of the embeddings.
        """
        if self.prototypes is None:
            return self._draw(self.start(embeddings))
        known = self.assign(embeddings) if shares is None else shares
        return self.decode_rest(embeddings - known @ self.prototypes.centres, known)

    def decode_rest(self, rest: Tensor, shares: Tensor) -> Tensor:
        """Return images (B, C, S, S) of what a cluster leaves open, and of shares of clusters.

        An image of another cluster, in the same manner: the rest of one with the shares of another.

        Parameters
        ----------
        rest
            h - B c, shape (B, d).
        shares
            c, shape (B, K).
        """
        if self.condition is None:
            raise ValueError("The network has no clusters yet.")
        return self._draw(self.condition(shares) + self.start(rest))

    def _draw(self, start: Tensor) -> Tensor:
        last, side = self.config.widths[-1], _map_side(self.config)
        images: Tensor = self.decoder(start.view(-1, last, side, side))
        return images.float().sigmoid()

    def forward(self, images: Tensor, decoded: int | None = None) -> Encoded:
        """Return all that the network makes of images from 0 to 1, shape (B, C, S, S).

        Parameters
        ----------
        decoded
            How many of them are decoded, from the first on; by default all.
        """
        embeddings = self.embed(images)
        shares = self.assign(embeddings) if self.clusters else None
        some = embeddings[:decoded], None if shares is None else shares[:decoded]
        return Encoded(embeddings, self.projector(embeddings), shares, self.decode(*some))


def _map_side(config: NetworkConfig) -> int:
    """Return the side of the coarsest map, of which the decoder starts."""
    return int(config.size // 2 ** len(config.widths))


def _map_size(config: NetworkConfig) -> int:
    return int(config.widths[-1] * _map_side(config) ** 2)


def _encoder(config: NetworkConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise((config.channels, *config.widths)):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GELU()]
        layers.append(nn.BatchNorm2d(after))
    pooled = _map_size(config) // 4
    layers += [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(pooled, config.dim)]
    # Standardised: else all images share one large direction, which leaves the cosines no room.
    layers.append(nn.BatchNorm1d(config.dim, affine=False))
    return nn.Sequential(*layers)


def _projector(dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, 2 * dim),
        nn.ReLU(),
        nn.Linear(2 * dim, 2 * dim),
        nn.ReLU(),
        nn.Linear(2 * dim, dim),
    )


def _decoder(config: NetworkConfig) -> nn.Sequential:
    widths = (*reversed(config.widths), config.widths[0])
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.GELU()]
        layers.append(nn.BatchNorm2d(after))
    layers.append(nn.Conv2d(widths[-1], config.channels, 3, padding=1))
    return nn.Sequential(*layers)
