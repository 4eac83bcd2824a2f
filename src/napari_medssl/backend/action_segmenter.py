"""Segment pictures with a model of `medssl train action`, window by window.

Pictures are scaled as in training, cut into windows that overlap by a quarter, and put together
again by MONAI. A window counts less and less towards its border, where it ends without a trace;
MONAI's own bell is cut off at a thousandth of its height, which left lines near the rim of the
picture, where all windows are that low. Windows are as large as the crops of training:
the network normalises by what a window shows, and larger ones are other images to it (hearts of
which crops of 128 pixels were learnt: DSC .568 in windows of 128, .485 in one of 160).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.action_config import MULTIPLE
from napari_medssl.backend.action_data import as_planes
from napari_medssl.backend.action_start import load_network
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.pixel_embedding import checked_picture
from napari_medssl.backend.segmenters import SegmentConfig

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.methods.action.network import SegmentationUNet

_OVERLAP = 0.25
_AT_ONCE = 4  # windows
_LARGEST = 8192  # pixels along a side that a card may ask for


class ActionSegmenter:
    """Gives each pixel the class that it is likeliest of.

    Parameters
    ----------
    network
        As trained.
    name, classes
        Of the model, and of its classes 1, 2 and so on.
    short_side
        To which pictures are scaled.
    window
        Side of the crops of training.
    device
        Torch name.
    """

    def __init__(
        self,
        network: SegmentationUNet,
        name: str,
        classes: tuple[str, ...],
        short_side: int,
        window: int,
        device: str = "cpu",
    ) -> None:
        import torch

        self.name, self.classes = name, classes
        self._side, self._window, self._device = short_side, window, device
        self._network = network.to(device).eval()
        if device.startswith("cpu"):
            # `nn.Module.to` has no typed overload for a memory format alone.
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def segment(
        self,
        pixels: NDArray[np.generic],
        inside: NDArray[np.bool_] | None = None,
        *,
        should_stop: ShouldStop = never,
    ) -> NDArray[np.uint8]:
        """Return the class of each pixel, see `Segmenter`; 0 outside `inside` where it is given."""
        logits = self._at_size(self._logits(pixels, should_stop), pixels.shape[:2])
        found = _likeliest(logits)
        return found if inside is None else np.where(inside, found, 0).astype(np.uint8)

    def shares(
        self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never
    ) -> NDArray[np.float32]:
        """Return the share of each class in each pixel, the rest first, shape (K, Y, X)."""
        import torch

        logits = self._at_size(self._logits(pixels, should_stop), pixels.shape[:2])
        return np.asarray(torch.softmax(logits[0], dim=0).cpu().numpy(), np.float32)

    def uncertainty(
        self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never
    ) -> NDArray[np.float32]:
        """Return how undecided each pixel is: entropy of its shares, 0 to 1, shape (Y, X)."""
        return self._entropy(self._logits(pixels, should_stop), pixels.shape[:2])

    def look(
        self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return what `segment` and `uncertainty` do, from one pass, see `UnsureSegmenter`."""
        found = self._logits(pixels, should_stop)
        classes = _likeliest(self._at_size(found, pixels.shape[:2]))
        return classes, self._entropy(found, pixels.shape[:2])

    def _entropy(self, logits: Tensor, size: tuple[int, ...]) -> NDArray[np.float32]:
        import torch

        logs = torch.log_softmax(logits, dim=1)
        entropy = -(logs.exp() * logs).sum(dim=1, keepdim=True) / np.log(logits.shape[1])
        # Rounding may lead past either end.
        found = self._at_size(entropy, size)[0, 0].clamp(0, 1)
        return np.asarray(found.cpu(), np.float32)

    def _logits(self, pixels: NDArray[np.generic], should_stop: ShouldStop) -> Tensor:
        """Return scores before softmax at the scale of training, shape (1, K, H, W)."""
        import torch
        from monai.inferers.utils import sliding_window_inference

        planes = as_planes(checked_picture(pixels), self._side)[None]
        window = (self._window, self._window)

        def look(views: Tensor) -> Tensor:
            if should_stop():
                raise Cancelled("Stopped within a picture; nothing of it is written.")
            if self._device.startswith("cpu"):
                views = views.contiguous(memory_format=torch.channels_last)
            with mixed_precision(self._device, True):
                found: Tensor = self._network(views)
            return found

        with torch.inference_mode():
            found: Tensor = sliding_window_inference(
                planes.to(self._device).float() / 255,
                window,
                _AT_ONCE,
                look,
                overlap=_OVERLAP,
                roi_weight_map=_falling(self._window),
                padding_mode="reflect" if _can_reflect(planes.shape[2:], window) else "constant",
                device=torch.device("cpu"),
            )
        return found

    def _at_size(self, maps: Tensor, size: tuple[int, ...]) -> Tensor:
        from torch.nn import functional as F

        if tuple(maps.shape[2:]) == tuple(size):
            return maps
        return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _likeliest(logits: Tensor) -> NDArray[np.uint8]:
    """Return the class of each pixel, shape (H, W), of scores of shape (1, K, H, W)."""
    import torch

    # `argmax` finds the same, ten times slower on a CPU.
    return np.asarray(logits[0].max(dim=0).indices.to(torch.uint8).cpu())


def _falling(side: int) -> Tensor:
    """Return how much each pixel of a window counts: by its distance from two borders, not none."""
    import torch

    along = torch.arange(side) + 0.5
    along = torch.minimum(along, side - along)
    return (along[:, None] * along)[None, None]


def _can_reflect(size: tuple[int, ...], window: tuple[int, ...]) -> bool:
    """Say whether what a window lacks is less than what the picture has."""
    return all(due - side < side for side, due in zip(size, window, strict=True))


def load_action_segmenter(config: SegmentConfig) -> ActionSegmenter:
    """Return the segmenter of a model.

    Raises
    ------
    UserError
        If the model is another one, or its file cannot or must not be read.
    """
    network, card = load_network(config.model)
    window, side = (card.config.get(name) for name in ("window", "short_side"))
    if not _is_side(window) or not _is_side(side) or window % MULTIPLE:
        raise UserError(
            f"Model {card.name!r} has a card without the sizes of windows and pictures. Train it "
            "again, or copy both files again."
        )
    classes = tuple(str(name) for name in card.config["classes"])
    device = choose_device(config.device)
    return ActionSegmenter(network, card.name, classes, side, window, device)


def _is_side(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and MULTIPLE <= value <= _LARGEST
