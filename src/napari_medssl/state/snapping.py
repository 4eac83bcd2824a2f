"""Edges and blank strips that the pixels around a box suggest: what an edge snaps to.

`ink` is a mask of the pixels that are off the canvas colour, shape (Y, X). Lines lie between
pixels: a line at 10 has pixel 9 on one side and pixel 10 on the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.boxes import Box
from napari_medssl.state.layout_edit import Axis

SPECK = 0.004


def _profile(ink: NDArray[np.bool_], box: Box, axis: Axis) -> NDArray[np.bool_]:
    """Return which lines across `axis`, over the whole image, carry ink within the box's span."""
    if axis == "x":
        strip = ink[int(box.y0) : max(int(box.y0) + 1, int(np.ceil(box.y1))), :]
        counts, length = strip.sum(axis=0), strip.shape[0]
    else:
        strip = ink[:, int(box.x0) : max(int(box.x0) + 1, int(np.ceil(box.x1)))]
        counts, length = strip.sum(axis=1), strip.shape[1]
    return np.asarray(counts > SPECK * length)


def ink_lines(ink: NDArray[np.bool_], box: Box, axis: Axis) -> list[float]:
    """Return the lines across `axis` where ink begins or ends, seen over the span of a box.

    Parameters
    ----------
    ink
        Mask, shape (Y, X).
    box
        Box whose rows (for "x") or columns (for "y") are looked at.
    axis
        "x" for vertical lines, "y" for horizontal ones.
    """
    has_ink = _profile(ink, box, axis)
    padded = np.concatenate([[False], has_ink, [False]]).astype(np.int8)
    return [float(value) for value in np.flatnonzero(np.diff(padded))]


def blank_strips(ink: NDArray[np.bool_], box: Box, axis: Axis) -> list[tuple[float, float]]:
    """Return the strips `(low, high)` without ink inside a box, those at its rim left out."""
    low, high = (box.x0, box.x1) if axis == "x" else (box.y0, box.y1)
    start, stop = int(np.ceil(low)), int(high)
    blank = ~_profile(ink, box, axis)[start:stop]
    padded = np.concatenate([[False], blank, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    strips = [(float(a + start), float(b + start)) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in strips if a > start and b < stop]
