"""Line evidence: where in a figure a panel may end, counted once for any number of boxes.

Two kinds of line end a panel: blank canvas outside with ink inside, and a step of grey levels
along the edge (frames, photographs, panels that touch). Both are counted, not modelled: a
column is blank when no pixel differs from the one above it, whatever its colour, so that white,
grey and black grounds and strips between dark panels need no threshold of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LineEvidence:
    """Running sums over one figure, from which any line is judged in constant time.

    `steps[axis]` and `changes[axis]` have lines of that axis first: `steps[0][x, y]` counts the
    rows above `y` in which the pixels left and right of the vertical line `x` differ, shape
    (X + 1, Y + 1); `changes[0][x, y]` counts the pixels of column `x` above row `y` that differ
    from the pixel over them, shape (X, Y + 1). Axis 1 is the same for horizontal lines.
    """

    width: int
    height: int
    steps: tuple[np.ndarray, np.ndarray]
    changes: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, image: np.ndarray, step: int = 16) -> LineEvidence:
        """Return the evidence of an image (Y, X, 3) or (Y, X), uint8.

        `step` is the difference in grey levels, in any channel, beyond which pixels differ.
        """
        if image.ndim not in (2, 3) or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"image has shape {image.shape!r} and type {image.dtype!s}; "
                "due is uint8 of shape (Y, X, 3) or (Y, X)."
            )
        planes = image[..., None] if image.ndim == 2 else image
        height, width = planes.shape[:2]
        across = np.zeros((height, width + 1), bool)  # between a pixel and its left neighbour
        along = np.zeros((height + 1, width), bool)  # between a pixel and the one over it
        for channel in range(planes.shape[2]):
            plane = np.ascontiguousarray(planes[..., channel])
            across[:, 1:-1] |= _differs(plane[:, 1:], plane[:, :-1], step)
            along[1:-1] |= _differs(plane[1:], plane[:-1], step)
        return cls(
            width=width,
            height=height,
            steps=(_summed(across, 0).T, _summed(along, 1)),
            changes=(_summed(along[:-1], 0).T, _summed(across[:, :-1], 1)),
        )

    def length(self, axis: int) -> int:
        """Return the number of columns (axis 0) or rows (axis 1)."""
        return self.height if axis else self.width

    def step_share(
        self, axis: int, lines: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        """Return for each line the share of its stretch `low` to `high` with a step across it.

        `lines` are line coordinates in 0 .. length, any shape; `low` and `high` broadcast to it.
        """
        sums = self.steps[axis]
        shares: np.ndarray = (sums[lines, high] - sums[lines, low]) / np.maximum(high - low, 1)
        return shares

    def change_share(
        self, axis: int, columns: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        """Return for each column (or row) the share of its stretch that differs from before."""
        sums = self.changes[axis]
        first = np.minimum(low + 1, high)  # the change into the first pixel lies outside
        shares: np.ndarray = (sums[columns, high] - sums[columns, first]) / np.maximum(
            high - low, 1
        )
        return shares


def _differs(first: np.ndarray, second: np.ndarray, step: int) -> np.ndarray:
    result: np.ndarray = (np.maximum(first, second) - np.minimum(first, second)) > step
    return result


def _summed(mask: np.ndarray, axis: int) -> np.ndarray:
    """Return running sums along `axis`, one longer than `mask`, starting at 0."""
    shape = list(mask.shape)
    shape[axis] += 1
    sums = np.zeros(shape, np.int32)
    if axis == 1:
        np.cumsum(mask, axis=1, out=sums[:, 1:])
        return sums
    for index, row in enumerate(mask):  # three times faster than cumsum down the columns
        np.add(sums[index], row, out=sums[index + 1])
    return sums
