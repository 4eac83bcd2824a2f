"""The trunks that tile encoders start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.contrastive_config import ARCHITECTURE
from napari_medssl.backend.models import find_weights, load_card, read_weights

if TYPE_CHECKING:
    from napari_medssl.backend.models import ModelCard
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

IMAGENET_TRUNK = "efficientnet-lite0-imagenet"
"""Name of the shipped model of ImageNet weights."""


def load_imagenet_trunk() -> EfficientNetLite0:
    """Return EfficientNet-Lite0 with its ImageNet weights, in single precision, on the CPU.

    Raises
    ------
    UserError
        If the weights file is missing or not the one of its card.
    """
    return _load(find_weights(IMAGENET_TRUNK))


def random_trunk(seed: int) -> EfficientNetLite0:
    """Return the trunk with the random weights of a seed; torch's own state stays as it is."""
    import torch

    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EfficientNetLite0()


def load_contrastive_trunk(name_or_file: str | Path) -> tuple[EfficientNetLite0, ModelCard]:
    """Return the trunk that `medssl train contrastive` wrote, on the CPU, and its card.

    Raises
    ------
    UserError
        If it is another model, or its file cannot be read or does not fit.
    """
    weights = find_weights(name_or_file)
    card = load_card(name_or_file)
    if card.architecture != ARCHITECTURE:
        raise UserError(
            f"Model {card.name!r} is {card.architecture!r}; due is one of `medssl train "
            "contrastive`."
        )
    try:
        return _load(weights), card
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"Model {card.name!r} does not fit the network that its card describes: "
            f"{str(error).strip().splitlines()[0]}. Train it again, or copy both files again."
        ) from None


def _load(weights: Path) -> EfficientNetLite0:
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

    state, _ = read_weights(weights)
    trunk = EfficientNetLite0()
    due = trunk.state_dict()
    trunk.load_state_dict({name: value.to(due[name].dtype) for name, value in state.items()})
    return trunk.eval()
