"""The boxes of one image with stable ids, undo and events: the truth that every view mirrors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from napari_medssl.io.boxes import Box
from napari_medssl.state.history import History
from napari_medssl.state.items import ItemStore

MIN_SIZE = 1.0


def _fit_span(low: float, high: float, size: float) -> tuple[float, float]:
    low, high = min(low, high), max(low, high)
    low, high = min(max(low, 0.0), size), min(max(high, 0.0), size)
    if high - low < MIN_SIZE:
        low = min(low, size - MIN_SIZE)
        high = low + MIN_SIZE
    return low, high


def fit_in_image(box: Box, width: int, height: int) -> Box:
    """Return the box with its corners in order, inside the image and at least 1 px wide and high.

    Raises
    ------
    ValueError
        If a coordinate is not finite.
    """
    if not all(math.isfinite(value) for value in (box.x0, box.y0, box.x1, box.y1)):
        raise ValueError(f"box {box!r} has a coordinate that is not finite")
    x0, x1 = _fit_span(float(box.x0), float(box.x1), width)
    y0, y1 = _fit_span(float(box.y0), float(box.y1), height)
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1)


class BoxStore(ItemStore[Box]):
    """Boxes of one image, always inside it.

    Parameters
    ----------
    width, height
        Size of the image in pixels.
    boxes, history, next_id
        As of `ItemStore`, whose editing, undo and events these boxes have.
    """

    item_name = "box"

    def __init__(
        self,
        width: int,
        height: int,
        boxes: Iterable[Box] | Mapping[int, Box] = (),
        history: History[Box] | None = None,
        next_id: int = 1,
    ) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"image size is {width} x {height}, must be 1 x 1 or more")
        self.width, self.height = int(width), int(height)
        super().__init__(boxes, history, next_id)

    def fit(self, item: Box) -> Box:
        """Return the box as the store would hold it."""
        return fit_in_image(item, self.width, self.height)

    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes in order of their ids."""
        return tuple(self.as_dict().values())

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ids, shape (N,), and x0, y0, x1, y1 in pixels, shape (N, 4), in order of ids."""
        keys = sorted(self._items)
        rows = [(b.x0, b.y0, b.x1, b.y1) for b in (self._items[key] for key in keys)]
        return np.array(keys, dtype=np.int64), np.array(rows, dtype=np.float64).reshape(-1, 4)

    def move(self, keys: Iterable[int], dx: float, dy: float, name: str = "move") -> None:
        """Shift boxes together; the shift is shortened so that each keeps its size in the image."""
        chosen = {key: self._items[key] for key in keys}
        if not chosen:
            return
        dx = max(-min(b.x0 for b in chosen.values()), dx)
        dx = min(self.width - max(b.x1 for b in chosen.values()), dx)
        dy = max(-min(b.y0 for b in chosen.values()), dy)
        dy = min(self.height - max(b.y1 for b in chosen.values()), dy)
        moved = {
            key: replace(b, x0=b.x0 + dx, y0=b.y0 + dy, x1=b.x1 + dx, y1=b.y1 + dy)
            for key, b in chosen.items()
        }
        self.update(moved, name)

    def resize(self, key: int, *, name: str = "resize", **edges: float) -> None:
        """Set some of the edges `x0`, `y0`, `x1`, `y1` of a box; an edge stops 1 px from its twin.

        Raises
        ------
        TypeError
            If a keyword is not an edge.
        """
        box = self._items[key]
        unknown = set(edges) - {"x0", "y0", "x1", "y1"}
        if unknown:
            raise TypeError(f"edges are x0, y0, x1, y1, got {sorted(unknown)!r}")
        for low, high in (("x0", "x1"), ("y0", "y1")):
            if low in edges:
                edges[low] = min(edges[low], edges.get(high, getattr(box, high)) - MIN_SIZE)
            elif high in edges:
                edges[high] = max(edges[high], getattr(box, low) + MIN_SIZE)
        values = {edge: edges.get(edge, getattr(box, edge)) for edge in ("x0", "y0", "x1", "y1")}
        self.update({key: replace(box, **values)}, name)

    def set_labels(self, labels: Mapping[int, str], name: str = "label") -> None:
        """Set panel letters by id."""
        self.update({k: replace(self._items[k], label=text) for k, text in labels.items()}, name)

    def set_score(self, key: int, score: float | None, name: str = "score") -> None:
        """Set the confidence of a box in [0, 1], None for one that a person vouches for."""
        if score is not None and not 0.0 <= score <= 1.0:
            raise ValueError(f"score is {score!r}, must be in [0, 1] or None")
        self.update({key: replace(self._items[key], score=score)}, name)

    def replace_all(self, boxes: Iterable[Box], name: str = "replace all") -> tuple[int, ...]:
        """Take all boxes away and put these in their place; return the new ids."""
        fitted = [self.fit(box) for box in boxes]
        with self.edit(name):
            self.remove(list(self._items), name)
            return self.add(*fitted, name=name)
