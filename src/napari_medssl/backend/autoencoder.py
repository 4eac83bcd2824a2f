"""A trained contrastive autoencoder: embed, assign, decode and draw; read from its file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_medssl._errors import UserError
from napari_medssl.backend.autoencoder_config import ARCHITECTURE, TASK
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.models import ModelCard, find_weights, load_card, read_weights
from napari_medssl.backend.sizing import to_channels
from napari_medssl.backend.tile_pictures import fit_tile
from napari_medssl.methods.contrastive_autoencoder.latents import LatentGaussians
from napari_medssl.methods.contrastive_autoencoder.network import (
    ContrastiveAutoencoder,
    NetworkConfig,
)

AT_ONCE = 128
"""Images that the network is shown together."""

_HALVINGS = 64  # of a way: none is left after that
_LATENTS = "latents."


class Autoencoder:
    """A trained network with the Gaussians of its training set.

    Parameters
    ----------
    network
        In the mode of use, on `device`.
    latents
        Of its training set.
    name
        Of the model.
    device
        Torch name of where it runs.
    """

    def __init__(
        self, network: ContrastiveAutoencoder, latents: LatentGaussians, name: str, device: str
    ) -> None:
        self.network, self.latents, self.name, self.device = network, latents, name, device

    @property
    def clusters(self) -> int:
        """Clusters, K; 0 if it was trained without."""
        return self.network.clusters

    @property
    def size(self) -> int:
        """Side of its images in pixels."""
        return self.network.config.size

    def square(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the middle square of an RGB picture (Y, X, 3) as an image of its: (S, S, C)."""
        return to_channels(fit_tile(picture, self.size), self.network.config.channels)

    def embed(self, squares: NDArray[np.uint8]) -> Tensor:
        """Return embeddings of unit length, (B, d), of images (B, S, S, C)."""
        planes = torch.from_numpy(np.array(squares.transpose(0, 3, 1, 2), order="C"))
        return embed_all(self.network, planes, self.device)

    def assign(self, embeddings: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the cluster of each embedding (B, d), from 0, and how much it belongs to it.

        Without clusters all belong to cluster 0.
        """
        if not self.clusters:
            return np.zeros(len(embeddings), np.int64), np.ones(len(embeddings), np.float32)
        with torch.inference_mode():
            shares = self.network.assign(embeddings.to(self.device)).cpu()
        best = shares.max(dim=1)
        return best.indices.numpy(), best.values.numpy()

    def decode(self, embeddings: Tensor) -> NDArray[np.uint8]:
        """Return images (B, S, S, C) of embeddings of unit length (B, d)."""
        images = []
        with torch.inference_mode():
            for start in range(0, len(embeddings), AT_ONCE):
                part = embeddings[start : start + AT_ONCE].to(self.device)
                decoded = self.network.decode(part)
                images.append((decoded * 255).round().to(torch.uint8).cpu())
        return torch.cat(images).permute(0, 2, 3, 1).contiguous().numpy()

    def draw(self, count: int, generator: torch.Generator, cluster: int | None = None) -> Tensor:
        """Return embeddings of unit length, (count, d), of the whole set or of a cluster.

        Those of the whole set are of its clusters, each as often as its size says; a model without
        clusters has one Gaussian. Of a cluster they surely are: a draw that is nearer to another
        prototype is moved half of the way to its own until it is not.

        Parameters
        ----------
        generator
            On the CPU.
        cluster
            From 0; None draws from the whole set.

        Raises
        ------
        UserError
            If there is no such cluster.
        """
        if cluster is None:
            return self._draw_of_all(count, generator)
        centre = self.prototype(cluster)
        drawn = self.latents.draw(count, generator, cluster)
        for _ in range(_HALVINGS):
            strays = self.assign(drawn)[0] != cluster
            if not strays.any():
                break
            drawn[strays] = F.normalize(drawn[strays] + centre, dim=1)
        return drawn

    def _draw_of_all(self, count: int, generator: torch.Generator) -> Tensor:
        if not self.clusters:
            return self.latents.draw(count, generator)
        sizes = self.latents.counts[1:].cpu().double()
        of = torch.multinomial(sizes, count, replacement=True, generator=generator)
        drawn = torch.empty(count, self.latents.mean.shape[1])
        for cluster, number in enumerate(torch.bincount(of, minlength=self.clusters).tolist()):
            if number:
                drawn[of == cluster] = self.draw(number, generator, cluster)
        return drawn

    def prototype(self, cluster: int) -> Tensor:
        """Return the centre of a cluster, from 0, of unit length, (d,), on the CPU.

        Raises
        ------
        UserError
            If there is no such cluster.
        """
        if self.network.prototypes is None or not 0 <= cluster < self.clusters:
            have = f"0 to {self.clusters - 1}" if self.clusters else "none"
            raise UserError(
                f"Model {self.name!r} has no cluster {cluster}. Its clusters are {have}."
            )
        return self.network.prototypes.centres[cluster].cpu()


def embed_all(network: ContrastiveAutoencoder, images: Tensor, device: str) -> Tensor:
    """Return embeddings of unit length, (N, d), on the CPU, of uint8 images (N, C, S, S).

    The network is used as it is after training, and left in the mode that it was in.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            network.embed(images[start : start + AT_ONCE].to(device).float() / 255).cpu()
            for start in range(0, len(images), AT_ONCE)
        ]
    network.train(was_training)
    return torch.cat(parts).clone()


def state_of(network: ContrastiveAutoencoder, latents: LatentGaussians) -> dict[str, Tensor]:
    """Return the tensors of a model's file."""
    inner = {_LATENTS + name: value for name, value in latents.state_dict().items()}
    return {**network.state_dict(), **inner}


def config_of(network: ContrastiveAutoencoder) -> dict[str, object]:
    """Return what a card must say to build the network again."""
    values = asdict(replace(network.config, clusters=network.clusters))
    return values | {"widths": list(network.config.widths)}


def load_autoencoder(name_or_file: str | Path, device: str = "auto") -> Autoencoder:
    """Return a trained autoencoder.

    Parameters
    ----------
    name_or_file
        A name that `medssl models` lists, or a file NAME.safetensors.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    UserError
        If there is none, it is no autoencoder, or its file cannot or must not be read.
    """
    weights = find_weights(name_or_file)
    return build_autoencoder(weights, load_card(name_or_file), choose_device(device))


def build_autoencoder(weights: Path, card: ModelCard, device: str) -> Autoencoder:
    """Return the autoencoder of a weights file that is checked already; see `load_autoencoder`."""
    if card.task != TASK or card.architecture != ARCHITECTURE:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r}, not an autoencoder. Train one "
            "with `medssl train autoencoder`."
        )
    state, _ = read_weights(weights)
    inner = {
        name[len(_LATENTS) :]: state.pop(name) for name in list(state) if name.startswith(_LATENTS)
    }
    try:
        shape = NetworkConfig(**{**card.config, "widths": tuple(card.config["widths"])})
        network = ContrastiveAutoencoder(shape)
        network.load_state_dict(state)
        latents = LatentGaussians(shape.clusters, shape.dim)
        latents.load_state_dict(inner)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise UserError(
            f"Model {card.name!r} does not fit the network that its card describes: "
            f"{str(error).strip().splitlines()[0]}. Train it again, or copy both files again."
        ) from None
    return Autoencoder(network.eval().to(device), latents, card.name, device)
