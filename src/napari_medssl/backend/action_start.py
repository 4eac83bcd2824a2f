"""The network that a training of ACTION begins with, and that of a model it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.action_config import load_action_card
from napari_medssl.backend.models import find_weights, read_weights
from napari_medssl.backend.trunks import load_imagenet_trunk

if TYPE_CHECKING:
    from napari_medssl.backend.models import DataSource, ModelCard
    from napari_medssl.methods.action.network import SegmentationUNet


def start_network(start: str, classes: int, seed: int) -> SegmentationUNet:
    """Return a network for `classes`, the rest counted, with the weights that `start` names.

    Parameters
    ----------
    start
        "imagenet" for the trunk's, "random", or a model of `medssl train action`; of one with
        other classes all but the head.
    seed
        Of what is random; torch's own state stays as it is.

    Raises
    ------
    UserError
        If there is no such model, or it is another one.
    """
    import torch

    from napari_medssl.methods.action.network import SegmentationUNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegmentationUNet(classes)
        if start == "imagenet":
            network.start_from(load_imagenet_trunk())
        elif start != "random":
            known, _ = load_network(start)
            if known.classes != classes:
                known.new_head(classes)
            network = known
    return network


def trunk_rate_for(start: str, trained: float = 0.2) -> float:
    """Return the part of the rate that the trunk has: `trained`, and all where it is random."""
    return 1.0 if start == "random" else trained


def origin_of(start: str) -> tuple[str, str, tuple[DataSource, ...]]:
    """Return the licence of a model with this start, the start in words, and its data."""
    if start == "random":
        return "BSD-3-Clause", "random weights", ()
    if start == "imagenet":
        return "BSD-3-Clause AND Apache-2.0", "ImageNet's weights (Apache-2.0)", ()
    card = load_action_card(start)
    return card.licence, f"the model {card.name!r}", card.data


def load_network(name_or_file: str | Path) -> tuple[SegmentationUNet, ModelCard]:
    """Return the network of a model of `medssl train action`, in single precision, and its card.

    Raises
    ------
    UserError
        If it is another model, or its file cannot be read or does not fit.
    """
    from napari_medssl.methods.action.network import SegmentationUNet

    weights = find_weights(name_or_file)
    card = load_action_card(name_or_file)
    state, _ = read_weights(weights)
    try:
        network = SegmentationUNet(len(card.config["classes"]) + 1)
        due = network.state_dict()
        network.load_state_dict({name: value.to(due[name].dtype) for name, value in state.items()})
        network.keeps_statistics = True
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"Model {card.name!r} does not fit the network that its card describes: "
            f"{str(error).strip().splitlines()[0]}. Train it again, or copy both files again."
        ) from None
    return network.eval(), card
