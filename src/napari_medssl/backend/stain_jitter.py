"""Tiles in another stain, always the same one for the same tile: queries that try an encoder.

In CIELAB the spread of each of L, a and b is scaled by up to a fifth and its mean is moved, by up
to 8 in L and 10 in a and b. That is not what training does (it moves stains, see
`methods.siamese.augment`): an encoder is not tried on the very change it was trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.stain import lab_to_rgb, rgb_to_lab

_SCALE = 0.2
_SHIFT = (8.0, 10.0, 10.0)


def jitter_in_lab(tile: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return the tile in another stain, uint8 RGB, shape (S, S, 3); the same for the same seed."""
    rng = np.random.default_rng(seed)
    scale = 1 + _SCALE * rng.uniform(-1, 1, 3)
    shift = np.array(_SHIFT) * rng.uniform(-1, 1, 3)
    lab = rgb_to_lab(tile)
    mean = lab.reshape(-1, 3).mean(axis=0)
    moved = (lab - mean) * scale + mean + shift
    return lab_to_rgb(moved.astype(np.float32))
