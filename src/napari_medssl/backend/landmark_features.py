"""What landmarks are matched by: maps of embeddings of an image, kept by what the image holds.

A model of landmarks (`backend.landmark_models`) turns an image into `ImageFeatures`; a
`FeatureStore` keeps them in memory and on disk, so no image is looked at twice by one model.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.jobs import ShouldStop, never

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SIDE = 32
"""Shortest side of an image, in pixels: below it a window of matching is less than 3 pixels."""

MOST_ASPECT = 4.0
"""Longest side of an image, in its shortest: strips have no whole to be laid over."""

Maps = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How the maps of a model are searched; see `methods.local_discrimination`.

    Attributes
    ----------
    pull
        What a distance of a width from the place that the registration gives costs in cosine; it
        grows with the square.
    most_pull
        What a distance costs at most: where the registration went wrong, as that of a left eye over
        a right one, what looks clearly more alike wins.
    window
        Side of the window of matching, in cells of the fine maps, odd.
    sigma
        Width of its bell, as a part of its side.
    smoothness
        Width of the Gaussian that smooths the field of registration, in cells of the coarse map.
    least_score, most_cycle
        A landmark is not in the image if its score is less, or if the way back misses the
        template's point by more widths of the template.
    least_likeness
        Nor is any, if the image as a whole is less like the template: of another kind.
    """

    pull: float = 2.0
    most_pull: float = 0.15
    window: int = 5
    sigma: float = 0.3
    smoothness: float = 2.5
    least_score: float = -1.0
    most_cycle: float = 0.4
    least_likeness: float = -1.0


@dataclass(frozen=True, slots=True)
class LandmarkModelInfo:
    """What a model of landmarks is.

    Attributes
    ----------
    name
        As it is asked for; of a file, the name on its card.
    identity
        Changes with the weights and with the way images are brought to the network: features of
        different identities do not compare.
    settings
        How its maps are best searched.
    about
        One line for people.
    """

    name: str
    identity: str
    settings: MatchSettings = field(default_factory=MatchSettings)
    about: str = ""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Maps of an image, of unit length at every cell.

    Attributes
    ----------
    key
        Names the image and the model: the same for the same pixels.
    width, height
        Of the image, in pixels.
    coarse
        To lay one image over another by, shape (D, H, W).
    fine
        To match windows by, each (D', H', W') with one H' and W'; their cosines are averaged.
    """

    key: str
    width: int
    height: int
    coarse: Maps
    fine: tuple[Maps, ...]

    def to_bytes(self) -> bytes:
        """Return everything as bytes, for a cache."""
        from safetensors.numpy import save

        size = np.array([self.width, self.height], np.int64)
        fine = {f"fine{number}": maps for number, maps in enumerate(self.fine)}
        body: bytes = save({"size": size, "coarse": self.coarse, **fine})
        return body

    @classmethod
    def from_bytes(cls, key: str, body: bytes) -> ImageFeatures:
        """Return what `to_bytes` wrote."""
        from safetensors.numpy import load

        values = load(body)
        width, height = (int(side) for side in values["size"])
        fine = tuple(values[f"fine{number}"] for number in range(len(values) - 2))
        return cls(key, width, height, values["coarse"], fine)


def as_tensor(maps: Maps) -> Tensor:
    """Return maps as a tensor in single precision, on the CPU."""
    import torch

    return torch.from_numpy(maps).float()


class LandmarkModel(Protocol):
    """Turns images into maps."""

    @property
    def info(self) -> LandmarkModelInfo:
        """What it is."""
        ...

    def maps(
        self, pixels: NDArray[np.uint8], should_stop: ShouldStop = never
    ) -> tuple[Maps, tuple[Maps, ...]]:
        """Return the coarse and the fine maps of a checked picture, (Y, X) or (Y, X, 3)."""
        ...


def check_landmark_image(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a picture as uint8, shape (Y, X) or (Y, X, 3), if landmarks can be found in it.

    Raises
    ------
    UserError
        If it is a volume, has pixels that are no numbers, is a strip, or is smaller than the
        window of matching.
    """
    from napari_medssl.backend.pixel_embedding import checked_picture

    picture = checked_picture(pixels)
    height, width = picture.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise UserError(
            f"The image has {width} x {height} pixels, fewer than the window of matching needs; "
            f"due are at least {LEAST_SIDE} along each side. Give the image at its full size."
        )
    if max(height, width) > MOST_ASPECT * min(height, width):
        raise UserError(
            f"The image has {width} x {height} pixels; due is one at most {MOST_ASPECT:g} times as "
            "long as wide. Cut out the part with the landmarks."
        )
    return picture


class FeatureStore:
    """Keeps the features of images by one model, in memory and, with a cache, on disk.

    Safe to use from several threads.

    Parameters
    ----------
    model
        Where features come from.
    cache
        Keeps them beyond the process; None for memory alone.
    capacity
        Images in memory; the one unused for longest goes first. One takes 2 to 6 MB.
    """

    def __init__(
        self, model: LandmarkModel, cache: DiskCache | None = None, capacity: int = 128
    ) -> None:
        self.model = model
        self._cache = cache
        self._capacity = capacity
        self._kept: OrderedDict[str, ImageFeatures] = OrderedDict()
        self._lock = threading.Lock()

    def key_of(self, pixels: NDArray[np.generic]) -> str:
        """Return the key of an image: of its pixels and of the model."""
        about = f"{self.model.info.identity}|{pixels.dtype.str}|{pixels.shape}|"
        sum_ = hashlib.sha256(about.encode())
        sum_.update(np.ascontiguousarray(pixels).data)
        return sum_.hexdigest()

    def find(self, key: str) -> ImageFeatures | None:
        """Return the features of a key, None if they are not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        body = self._cache.get(key) if self._cache else None
        return None if body is None else self._keep(ImageFeatures.from_bytes(key, body))

    def features(
        self, pixels: NDArray[np.generic], *, should_stop: ShouldStop = never
    ) -> ImageFeatures:
        """Return the features of an image, computed if they are not kept.

        Parameters
        ----------
        pixels
            Shape (Y, X), (Y, X, 1) or (Y, X, 3), of numbers.

        Raises
        ------
        UserError
            See `check_landmark_image`.
        Cancelled
            If `should_stop` said so.
        """
        picture = check_landmark_image(pixels)
        key = self.key_of(pixels)
        found = self.find(key)
        if found is not None:
            return found
        height, width = picture.shape[:2]
        coarse, fine = self.model.maps(picture, should_stop)
        made = ImageFeatures(key, width, height, coarse, fine)
        if self._cache:
            self._cache.put(key, made.to_bytes())
        return self._keep(made)

    def _keep(self, features: ImageFeatures) -> ImageFeatures:
        with self._lock:
            self._kept[features.key] = features
            self._kept.move_to_end(features.key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return features
