"""Keep how images lie over one another: what a click on a template need not compute again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_medssl.backend.landmark_features import ImageFeatures, as_tensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Overlay:
    """How a template lies over an image.

    Attributes
    ----------
    field
        Where each coarse cell of the template lies in the image, see `register`.
    likeness
        Mean cosine of the cells with what they lie on: whether both are of one kind at all.
    """

    field: Tensor
    likeness: float


class FieldCache:
    """Keeps overlays by the keys of both images.

    Safe to use from several threads.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str, float], Overlay] = OrderedDict()
        self._lock = threading.Lock()

    def overlay(self, template: ImageFeatures, image: ImageFeatures, smoothness: float) -> Overlay:
        """Return how a template lies over an image, see `register`."""
        key = (template.key, image.key, smoothness)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = _laid(template, image, smoothness)
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return found


def _laid(template: ImageFeatures, image: ImageFeatures, smoothness: float) -> Overlay:
    from torch.nn import functional as F

    from napari_medssl.methods.local_discrimination.registration import (
        Registration,
        register,
        sample,
    )

    maps, other = (as_tensor(features.coarse) for features in (template, image))
    field = register(maps, other, Registration(smoothness=smoothness))
    under = F.normalize(sample(other, field.reshape(-1, 2)), dim=1)
    return Overlay(field, float((maps.flatten(1).T * under).sum(dim=1).mean()))
