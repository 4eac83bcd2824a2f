"""Segment pictures with a model of `medssl train shape-guided`.

Source: Chen et al., arXiv 2108.09440: channel 0 above 0.5, or the cosine to the region's embedding
above 0.5, both inside the field of view.

We differ: what lies wholly in a narrow band along the border of the field of view is left out.
There the light falls off, and specks of its shade look like pieces of the shape; what is real goes
on inwards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.flat_pictures import CHANNELS, FlatPicture, flat_picture
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.models import ModelCard, load_card
from napari_medssl.backend.pixel_embedding import PixelEmbedder, load_pixel_embedder
from napari_medssl.backend.segmenters import SegmentConfig

TASK = "shape-guided"
_BAND = 0.03  # of the longer side of the field of view


class ShapeSegmenter:
    """Finds what looks like the shapes that a model was guided by.

    Parameters
    ----------
    embedder
        The network.
    channel
        Of colour pictures, see `flat_picture`.
    classes
        Name of its one class.
    readout, threshold
        See `SegmentConfig`.
    """

    def __init__(
        self,
        embedder: PixelEmbedder,
        channel: str,
        classes: tuple[str, ...],
        readout: str = "channel",
        threshold: float = 0.5,
    ) -> None:
        self._embedder, self._channel = embedder, channel
        self.classes = classes
        self._readout, self._threshold = readout, threshold

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._embedder.info.name

    def segment(
        self,
        pixels: NDArray[np.generic],
        inside: NDArray[np.bool_] | None = None,
        *,
        should_stop: ShouldStop = never,
    ) -> NDArray[np.uint8]:
        """Return 1 where the shape is and 0 elsewhere, see `Segmenter`."""
        flat = self._flat(pixels, inside)
        found = self._response(flat, pixels.shape[:2], should_stop) > self._threshold
        return without_rim(found, flat.inside).astype(np.uint8)

    def response(
        self,
        pixels: NDArray[np.generic],
        inside: NDArray[np.bool_] | None = None,
        *,
        should_stop: ShouldStop = never,
    ) -> NDArray[np.float32]:
        """Return the share of the region or the cosine to it, 0 outside the field of view.

        Parameters and errors are those of `segment`; shape (Y, X).
        """
        return self._response(self._flat(pixels, inside), pixels.shape[:2], should_stop)

    def _flat(self, pixels: NDArray[np.generic], inside: NDArray[np.bool_] | None) -> FlatPicture:
        return flat_picture(pixels, self._embedder.info.pixels, self._channel, inside)

    def _response(
        self, flat: FlatPicture, size: tuple[int, ...], should_stop: ShouldStop
    ) -> NDArray[np.float32]:
        shares = self._embedder.assign_image(flat.plane, half=False, should_stop=should_stop)
        found = shares[..., 0]
        if self._readout == "cosine":
            embeddings = self._embedder.embed_image(flat.plane, half=False, should_stop=should_stop)
            found = _cosines(embeddings, shares, _thinned(flat, found.shape))
        height, width = size
        return _at_size(found, flat, self._embedder.info.stride, (height, width))


def without_rim(found: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask without those of its pieces that lie wholly along the border of the field.

    Parameters
    ----------
    found
        The mask, shape (Y, X); pieces are joined at corners too.
    inside
        Field of view of the same picture, of any size. Edges of the picture are no border of it.
    """
    from scipy import ndimage

    if inside.all() or not inside.any():
        return found
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    width = _BAND * max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    away = ndimage.distance_transform_edt(inside) > width
    pieces, count = ndimage.label(found, np.ones((3, 3)))
    # Each pixel of the mask asks the field, which is smaller, at its own place.
    places = np.nonzero(found)
    there = [
        (at * field) // side
        for at, field, side in zip(places, away.shape, found.shape, strict=True)
    ]
    kept = np.zeros(count + 1, bool)
    kept[pieces[places][away[tuple(there)]]] = True
    return np.asarray(kept[pieces])


def _cosines(
    embeddings: NDArray[np.floating], shares: NDArray[np.floating], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    import torch

    from napari_medssl.methods.local_discrimination.shape_guided import cosine_readout

    with torch.inference_mode():
        found = cosine_readout(
            torch.from_numpy(embeddings).permute(2, 0, 1)[None],
            torch.from_numpy(shares).permute(2, 0, 1)[None],
            torch.from_numpy(inside)[None],
        )
    return np.asarray(found[0].numpy(), np.float32)


def _thinned(flat: FlatPicture, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the field of view at the size of the maps."""
    step = -(-flat.inside.shape[0] // size[0])
    return np.ascontiguousarray(flat.inside[::step, ::step][: size[0], : size[1]])


def _at_size(
    maps: NDArray[np.floating], flat: FlatPicture, stride: int, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return maps at the size of the picture, 0 outside its field of view."""
    import torch
    from torch.nn import functional as F

    height, width = flat.plane.shape
    found = torch.from_numpy(np.ascontiguousarray(maps, np.float32))[None, None]
    found = F.interpolate(found, scale_factor=stride, mode="bilinear")[..., :height, :width]
    field = torch.from_numpy(flat.inside.astype(np.float32))[None, None]
    if size != (height, width):
        found = F.interpolate(found, size=size, mode="bilinear")
        field = F.interpolate(field, size=size, mode="bilinear")
    return np.asarray(torch.where(field > 0.5, found, 0.0)[0, 0].numpy())


def load_shape_segmenter(config: SegmentConfig) -> ShapeSegmenter:
    """Return the model that `config` names.

    Raises
    ------
    UserError
        If there is none, it is for another task, or its file cannot or must not be read.
    """
    embedder = load_pixel_embedder(config.model, config.device, task=TASK)
    channel, classes = picture_settings(load_card(config.model))
    return ShapeSegmenter(embedder, channel, classes, config.readout, config.threshold)


def picture_settings(card: ModelCard) -> tuple[str, tuple[str, ...]]:
    """Return the channel of colour pictures and the name of the class that a card tells.

    Raises
    ------
    UserError
        If it does not.
    """
    channel, classes = card.config.get("channel"), card.config.get("classes")
    if channel not in CHANNELS or not isinstance(classes, list) or len(classes) != 1:
        raise UserError(
            f"Model {card.name!r} has a card without channel and one class. Train it again, or "
            "copy both files again."
        )
    return str(channel), (str(classes[0]),)
