"""Cut a panel letter off where it stands in a strip of its own, so that nothing else is lost."""

from __future__ import annotations

import numpy as np

_STEP = 24  # grey levels off the paper from which a pixel is ink
_STRIP = 0.2  # tallest strip, share of the panel's side
_LETTER = 0.15  # widest letter, share of the panel's other side
_PAPER = 200  # darkest grey level of paper: on dark ground a mark may be part of the picture
_SMALLEST = 5  # pixels; lower ink is a frame or a speck


def trim_letter(image: np.ndarray) -> tuple[int, int, int, int]:
    """Return the part of a panel `(x0, y0, x1, y1)` without a letter that stands apart.

    `image` is (Y, X, 3) uint8, trimmed to its ink. A side is cut only where its outer strip holds
    one narrow mark on plain paper, at one end of the strip, and plain paper parts it from the
    rest: titles, axis labels and letters inside the picture stay. Without such a strip the part
    is the whole panel. One side is cut at most.
    """
    height, width = image.shape[:2]
    sides = (
        (image, height, lambda cut: (0, cut, width, height)),
        (image.transpose(1, 0, 2), width, lambda cut: (cut, 0, width, height)),
        (image[::-1], height, lambda cut: (0, 0, width, height - cut)),
        (image[:, ::-1].transpose(1, 0, 2), width, lambda cut: (0, 0, width - cut, height)),
    )
    for view, length, box in sides:
        cut = _letter_strip(view, round(_STRIP * length))
        if cut:
            return box(cut)
    return 0, 0, width, height


def _letter_strip(image: np.ndarray, most: int) -> int:
    """Return how many top rows hold a letter and the paper under it, 0 if they hold none."""
    across = image.shape[1]
    if most <= _SMALLEST:
        return 0
    paper = np.median(image[:_SMALLEST].reshape(-1, 3), axis=0).astype(np.int16)
    if paper.min() < _PAPER:
        return 0
    ink = (np.abs(image[:most].astype(np.int16) - paper) > _STEP).any(axis=2)  # (most, X)
    has_ink = ink.any(axis=1)
    starts = np.flatnonzero(has_ink)
    if not len(starts):
        return 0
    blank = np.flatnonzero(~has_ink[starts[0] :])
    if not len(blank):
        return 0
    end = int(starts[0] + blank[0])
    if end - starts[0] < _SMALLEST or not _is_letter(ink[starts[0] : end], across):
        return 0
    rest = (np.abs(image[end:].astype(np.int16) - paper) > _STEP).any(axis=(1, 2))
    return end + int(np.argmax(rest))


def _is_letter(ink: np.ndarray, across: int) -> bool:
    """Say whether the ink of a strip is one narrow mark at an end of the strip."""
    columns = np.flatnonzero(ink.any(axis=0))
    first, last = int(columns[0]), int(columns[-1]) + 1
    is_narrow = last - first <= min(_LETTER * across, 4 * len(ink))
    at_end = first < 0.1 * across or last > 0.9 * across
    return is_narrow and at_end
