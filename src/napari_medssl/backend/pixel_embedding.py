"""Embed every pixel of an image with a model of `medssl train local-discrimination`.

Large images are embedded tile by tile, with as much around each as the network sees, so the result
is that of the whole.

More than 300 lines: how a model is checked and loaded stands beside what it then does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.histogram import even_out
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.models import file_sha256, find_weights, load_card, read_weights
from napari_medssl.backend.sizing import resize_short_side, to_channels
from napari_medssl.io.pixels import array_to_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork

TASK = "local-discrimination"
ARCHITECTURE = "local discrimination vgg-16-bn"

_WHOLE = 2048 * 2048  # pixels that are embedded at once
_TILE = 1024  # a multiple of the network's 16

Maps = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PixelEmbeddingInfo:
    """What a model of pixel embeddings is and what images it wants.

    Attributes
    ----------
    name
        Of its card.
    dim
        Dimensions of an embedding, D.
    clusters
        Regions, K.
    channels
        1 for grey, 3 for RGB; images are converted.
    stride
        Pixels of an image to one of the maps, along a side, s.
    pixels
        Shorter side of the images that it was trained on; others are best brought to it.
    grid
        Cells along that side in training: `pixels / grid` is the natural window of matching.
    sigma
        Width of the bell in a cell, as a part of its side; None for flat averages.
    equalised
        Whether the histogram of each image is evened out first.
    sha256
        Of the weights. Embeddings of different sums do not compare.
    """

    name: str
    dim: int
    clusters: int
    channels: int
    stride: int
    pixels: int
    grid: int
    sigma: float | None
    equalised: bool
    sha256: str


class PixelEmbedder:
    """Turns images into maps of embeddings and of regions.

    Parameters
    ----------
    info
        What the model is.
    network
        As trained.
    device
        Torch name of where it runs.
    """

    def __init__(
        self, info: PixelEmbeddingInfo, network: LocalDiscriminationNetwork, device: str
    ) -> None:
        import torch

        from napari_medssl.methods.local_discrimination.network import folded

        self.info = info
        self._device = device
        self._network = folded(network).to(device)
        if device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def resize(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return an image as `embed_image` takes it at the size of training, shape (Y, X, C).

        Its shorter side becomes `info.pixels`, the aspect stays: a place (x, y) of the image is at
        (x, y) times the ratio of the sides.
        """
        return to_channels(
            resize_short_side(checked_picture(pixels), self.info.pixels), self.info.channels
        )

    def embed_image(
        self, pixels: NDArray[np.generic], *, half: bool = True, should_stop: ShouldStop = never
    ) -> Maps:
        """Return the embeddings of an image, of unit length, shape (H/s, W/s, D), rounded up.

        Parameters
        ----------
        pixels
            Shape (H, W), (H, W, 1) or (H, W, 3), of any size; see `resize`. Values of more than 8
            bits are scaled by percentiles, and evened out if `info.equalised`, as in training.
        half
            Whether to return float16, whose cosines are off by less than 0.001; else float32.

        Raises
        ------
        UserError
            If the array is no such image.
        Cancelled
            If `should_stop` said so.
        """
        return self._mapped(pixels, self._network.embedding_map, half, should_stop)

    def assign_image(
        self, pixels: NDArray[np.generic], *, half: bool = True, should_stop: ShouldStop = never
    ) -> Maps:
        """Return the shares of the regions, which add up to 1, shape (H/s, W/s, K).

        Parameters and errors are those of `embed_image`.
        """
        return self._mapped(pixels, lambda i: self._network(i).assignments, half, should_stop)

    def _mapped(
        self,
        pixels: NDArray[np.generic],
        work: Callable[[Tensor], Tensor],
        half: bool,
        should_stop: ShouldStop,
    ) -> Maps:
        """Return what `work` makes of an image, whole or tile by tile, shape (H/s, W/s, ...)."""
        import torch

        from napari_medssl.methods.local_discrimination.network import (
            REACH,
            map_size,
            reflect_to_multiple,
        )

        picture = to_channels(checked_picture(pixels), self.info.channels)
        planes = np.moveaxis(even_out(picture) if self.info.equalised else picture, 2, 0)
        whole = reflect_to_multiple(torch.from_numpy(np.array(planes, order="C"))[None])
        stride = self.info.stride
        height, width = map_size(planes.shape[1:], stride)
        maps: Maps | None = None
        for inner in _tiles(whole.shape[2], whole.shape[3]):
            if should_stop():
                raise Cancelled("Stopped while an image was embedded; nothing is written.")
            outer = inner.widened(REACH, whole.shape[2], whole.shape[3])
            part = whole[:, :, outer.top : outer.bottom, outer.left : outer.right]
            with torch.inference_mode():
                found = work(part.to(self._device).float() / 255)[0].permute(1, 2, 0)
                found = found[inner.within(outer, stride)]
                came = found.to(torch.float16 if half else torch.float32).cpu().numpy()
            if maps is None:
                maps = np.empty((height, width, came.shape[2]), came.dtype)
            top, left = inner.top // stride, inner.left // stride
            place = maps[top : top + came.shape[0], left : left + came.shape[1]]
            place[:] = came[: place.shape[0], : place.shape[1]]
        assert maps is not None  # an image has at least one pixel
        return maps


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part of an image, in pixels, half open."""

    top: int
    left: int
    bottom: int
    right: int

    def widened(self, by: int, height: int, width: int) -> _Tile:
        """Return the tile with what lies around it in the image."""
        return _Tile(
            max(0, self.top - by),
            max(0, self.left - by),
            min(height, self.bottom + by),
            min(width, self.right + by),
        )

    def within(self, outer: _Tile, stride: int) -> tuple[slice, slice]:
        """Return where the tile's maps lie in those of a wider one."""
        return (
            slice((self.top - outer.top) // stride, (self.bottom - outer.top) // stride),
            slice((self.left - outer.left) // stride, (self.right - outer.left) // stride),
        )


def _tiles(height: int, width: int) -> Iterator[_Tile]:
    """Give the parts of an image that are embedded at once; most images are one."""
    side = max(height, width) if height * width <= _WHOLE else _TILE
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield _Tile(top, left, min(top + side, height), min(left + side, width))


def checked_picture(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a picture as uint8, shape (Y, X) or (Y, X, 1 or 3).

    Raises
    ------
    UserError
        If it is a volume, empty, not of numbers, or has pixels that are no number.
    """
    shape = pixels.shape
    is_picture = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    if not is_picture or pixels.size == 0 or pixels.dtype.kind not in "buif":
        raise UserError(
            f"An image of {pixels.dtype} {shape} came; due is one picture of numbers, (Y, X) or "
            "(Y, X, 3). Of a volume, give one slice."
        )
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    if not np.isfinite(pixels).all():
        raise UserError(
            "The image has pixels that are not a number (NaN) or infinite. Replace them by the "
            "value of the background."
        )
    return array_to_rgb(pixels, robust=True)


def load_pixel_embedder(
    name_or_file: str | Path, device: str = "auto", *, task: str = TASK
) -> PixelEmbedder:
    """Return a model of pixel embeddings by its registered name or from its file.

    Parameters
    ----------
    name_or_file
        As for `find_weights`.
    device
        Where it runs.
    task
        That its card is to name, such as "local-discrimination" or "shape-guided".

    Raises
    ------
    UserError
        If there is none, it is for another task, or its file cannot or must not be read.
    """
    from napari_medssl.backend.device import choose_device

    info, network = load_pixel_network(name_or_file, task=task)
    return PixelEmbedder(info, network, choose_device(device))


def load_pixel_network(
    name_or_file: str | Path, *, task: str = TASK
) -> tuple[PixelEmbeddingInfo, LocalDiscriminationNetwork]:
    """Return what a model of pixel embeddings is, and its network, on the CPU.

    `task` is that of its card. Raises as `load_pixel_embedder`.
    """
    from napari_medssl.methods.local_discrimination.network import (
        LocalDiscriminationNetwork,
        NetworkConfig,
    )

    weights = find_weights(name_or_file)  # refuses what is pickled
    card = load_card(name_or_file)
    if card.task != task or card.architecture != ARCHITECTURE:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r}; due is one for {task!r}, of "
            f"`medssl train {task}`."
        )
    state, _ = read_weights(weights)
    try:
        shape = NetworkConfig(**{f.name: int(card.config[f.name]) for f in fields(NetworkConfig)})
        network = LocalDiscriminationNetwork(shape)
        network.load_state_dict(state)
        info = PixelEmbeddingInfo(
            name=card.name,
            dim=shape.dim,
            clusters=shape.clusters,
            channels=shape.channels,
            stride=shape.stride,
            pixels=int(card.config["pixels"]),
            grid=int(card.config["grid"]),
            sigma=float(card.config["sigma"]) or None,
            equalised=bool(card.config.get("equalised", False)),
            sha256=card.sha256 or file_sha256(weights),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"Model {card.name!r} does not fit the network that its card describes: "
            f"{str(error).strip().splitlines()[0]}. Train it again, or copy both files again."
        ) from None
    return info, network
