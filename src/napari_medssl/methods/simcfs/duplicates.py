"""Find panels that were printed twice: a perceptual hash and a store that is asked by distance.

The hash is the sign of the 255 lowest frequencies of the grey picture (a discrete cosine
transform of 64 x 64 pixels), as pHash does with 64. We differ: 256 bits, because 64 cannot tell
two plots on white paper apart.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import fft

_SIDE, _KEPT = 64, 16
HASH_WORDS = _KEPT * _KEPT // 64
NEAR_BITS = 40
"""Panels that differ in no more bits count as one.

Of 508 panels of real figures 90 % lie within 40 bits of a damaged copy of themselves (cropped by up
to 2 % a side, rescaled by half to one and a half, brighter or darker, JPEG quality 50 to 95); of
121,332 pairs from different figures none does (`benchmarks/bench_panels.py`). Within one figure the
same picture with an overlay or in another stain does count as a duplicate.
"""
_SHAPE_TOLERANCE = 0.15


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """Return 256 bits that change little under rescaling, JPEG and brightness.

    `image` is (Y, X, 3) uint8; the result has shape (4,), uint64.
    """
    grey = Image.fromarray(image).convert("L")
    small = grey.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    waves = fft.dctn(np.asarray(small, dtype=np.float32), norm="ortho")[:_KEPT, :_KEPT].ravel()
    bits = waves > np.median(waves[1:])
    bits[0] = False  # the mean brightness says nothing
    return np.packbits(bits).view(np.uint64).copy()


class PanelIndex:
    """Hashes of the panels seen so far, each with the shape of its panel and a name."""

    def __init__(self, near_bits: int = NEAR_BITS) -> None:
        self.near_bits = near_bits
        self._hashes = np.zeros((256, HASH_WORDS), np.uint64)
        self._shapes = np.zeros(256)
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def find(self, code: np.ndarray, aspect: float) -> str | None:
        """Return the name of the nearest panel within `near_bits` and of like shape, else None.

        `aspect` is width / height of the panel.
        """
        count = len(self._names)
        if not count:
            return None
        distance = np.bitwise_count(self._hashes[:count] ^ code).sum(axis=1, dtype=np.int64)
        unlike = np.abs(self._shapes[:count] - np.log(aspect)) > _SHAPE_TOLERANCE
        distance[unlike] = 64 * HASH_WORDS + 1
        best = int(np.argmin(distance))
        return self._names[best] if distance[best] <= self.near_bits else None

    def add(self, code: np.ndarray, aspect: float, name: str) -> None:
        """Remember a panel."""
        count = len(self._names)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._hashes[count] = code
        self._shapes[count] = np.log(aspect)
        self._names.append(name)
