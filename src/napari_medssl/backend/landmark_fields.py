"""Keep how images lie over one another: what a click on a template need not compute again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from napari_medssl.backend.landmark_features import ImageFeatures, as_tensor

if TYPE_CHECKING:
    from torch import Tensor


class FieldCache:
    """Keeps how images lie over one another, by their keys, so that a click need not compute it.

    Safe to use from several threads.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str, float], Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def field(self, template: ImageFeatures, image: ImageFeatures, smoothness: float) -> Tensor:
        """Return where each coarse cell of a template lies in an image, see `register`."""
        from napari_medssl.methods.local_discrimination.registration import Registration, register

        key = (template.key, image.key, smoothness)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        maps, other = (as_tensor(features.coarse) for features in (template, image))
        found = register(maps, other, Registration(smoothness=smoothness))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return found
