"""Tell photographs from plots, diagrams and text by how their contrast is made.

Where a drawing has contrast, its pixels are paper or ink and little between; a photograph has all
levels between. One share, measured over small blocks, and one threshold: there is nothing to
train, and nothing that could learn the figures it is tested on.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Kind = Literal["photo", "plot"]

_BLOCK = 8  # pixels; about the height of small print, so that a block holds paper and ink
_CONTRAST = 24  # grey levels within a block from which it counts
_NEAR_END = 0.15  # share of the block's contrast that is still paper or ink
_DRAWN = 0.6


def drawn_share(image: np.ndarray) -> float:
    """Return the mean share of pixels at either end of the contrast of their block, in [0, 1].

    `image` is (Y, X, 3) uint8 at its printed size: rescaling blurs drawings. 0.3 is usual for
    photographs, 0.8 for plots. A picture without contrast gives 1.
    """
    grey = (image.astype(np.uint16) @ np.array([77, 150, 29], np.uint16)) >> 8
    blocks = _blocks(grey.astype(np.int16))
    low, high = blocks.min(axis=1), blocks.max(axis=1)
    busy = high - low > _CONTRAST
    if not busy.any():
        return 1.0
    blocks, low, high = blocks[busy], low[busy][:, None], high[busy][:, None]
    reach = _NEAR_END * (high - low)
    at_end = (blocks - low <= reach) | (high - blocks <= reach)
    return float(at_end.mean())


def panel_kind(image: np.ndarray) -> Kind:
    """Return "photo" for what an instrument saw, "plot" for what was drawn or written.

    `image` is (Y, X, 3) uint8. Known limits: binary masks and flat label maps count as drawn,
    scatter plots of many pale points as photographs.
    """
    return "plot" if drawn_share(image) > _DRAWN else "photo"


def _blocks(grey: np.ndarray) -> np.ndarray:
    """Return the whole blocks of an image as rows, (N, 64); a tiny image is one row."""
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    if not rows or not columns:
        return grey.reshape(1, -1)
    whole = grey[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return whole.transpose(0, 2, 1, 3).reshape(-1, _BLOCK * _BLOCK)
