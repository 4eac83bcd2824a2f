"""The trunks that tile encoders start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medssl.backend.models import find_weights, read_weights

if TYPE_CHECKING:
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
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

    state, _ = read_weights(find_weights(IMAGENET_TRUNK))
    trunk = EfficientNetLite0()
    trunk.load_state_dict(
        {name: value.to(trunk.state_dict()[name].dtype) for name, value in state.items()}
    )
    return trunk.eval()
