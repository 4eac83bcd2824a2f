"""The embeddings of a contrastive autoencoder as an encoder of tiles: h, or z of its projector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from napari_medssl.backend.autoencoder import build_autoencoder
from napari_medssl.backend.encoders import EncoderInfo, TorchEncoder
from napari_medssl.backend.models import file_sha256
from napari_medssl.methods.local_discrimination.coloring import luminance

if TYPE_CHECKING:
    from napari_medssl.backend.models import ModelCard
    from napari_medssl.methods.contrastive_autoencoder.network import ContrastiveAutoencoder


class _Head(nn.Module):
    """From RGB tiles, 0 to 255, to h or z."""

    def __init__(self, network: ContrastiveAutoencoder, head: str) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, tiles: Tensor) -> Tensor:
        """Return values (B, d) of tiles (B, 3, S, S)."""
        pixels = tiles.float() / 255
        if self.network.config.channels == 1:
            pixels = luminance(pixels)
        embeddings = self.network.embed(pixels)
        if self.head == "h":
            return embeddings
        projected: Tensor = self.network.projector(embeddings)
        return projected


def autoencoder_encoder(weights: Path, card: ModelCard, device: str, head: str) -> TorchEncoder:
    """Return the encoder of an autoencoder's file.

    Parameters
    ----------
    head
        "h" or "z"; "" is h.

    Raises
    ------
    UserError
        If the model is no autoencoder, or the file does not fit its card.
    """
    network = build_autoencoder(weights, card, device).network
    info = EncoderInfo(
        name=f"{card.name}#z" if head == "z" else card.name,
        dim=network.config.dim,
        pixels=network.config.size,
        sha256=card.sha256 or file_sha256(weights),
        # Both have the weights of one file, and do not compare.
        preprocessing="projector" if head == "z" else "",
    )
    return TorchEncoder(info, _Head(network, head or "h"), device)
