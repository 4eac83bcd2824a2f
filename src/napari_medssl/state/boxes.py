"""The boxes of one image with stable ids, undo and events: the truth that every view mirrors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from psygnal import Signal

from napari_medssl.io.boxes import Box
from napari_medssl.state.history import Edit, History

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


class BoxStore:
    """Boxes of one image, always inside it, each edit one entry of the history.

    Parameters
    ----------
    width, height
        Size of the image in pixels.
    boxes
        Boxes to begin with: an iterable, or a mapping of id to box. They are not an edit.
    history
        Edits made before, so that undo goes on where it was.
    next_id
        The first id to give, so that ids are never used twice. Taken from the boxes if too low.

    Attributes
    ----------
    changed
        Emitted with an `Edit` on every change, also while an edit session is open (a drag).
    edited
        Emitted with `(kind, edit)` when a history entry is finished; kind is "do", "undo", "redo".
    """

    changed = Signal(Edit)
    edited = Signal(str, Edit)

    def __init__(
        self,
        width: int,
        height: int,
        boxes: Iterable[Box] | Mapping[int, Box] = (),
        history: History | None = None,
        next_id: int = 1,
    ) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"image size is {width} x {height}, must be 1 x 1 or more")
        self.width, self.height = int(width), int(height)
        self.history = history if history is not None else History()
        items = boxes.items() if isinstance(boxes, Mapping) else enumerate(boxes, start=next_id)
        self._boxes = {int(key): self.fit(box) for key, box in items}
        self._next_id = max(next_id, 1, *(key + 1 for key in self._boxes))
        self._session: dict[int, Box | None] | None = None

    def fit(self, box: Box) -> Box:
        """Return the box as the store would hold it."""
        return fit_in_image(box, self.width, self.height)

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, key: int) -> bool:
        return key in self._boxes

    def __getitem__(self, key: int) -> Box:
        return self._boxes[key]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._boxes))

    @property
    def next_id(self) -> int:
        """The id that the next box will get."""
        return self._next_id

    def as_dict(self) -> dict[int, Box]:
        """Return a copy: id to box, in order of the ids."""
        return {key: self._boxes[key] for key in sorted(self._boxes)}

    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes in order of their ids."""
        return tuple(self.as_dict().values())

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ids, shape (N,), and x0, y0, x1, y1 in pixels, shape (N, 4), in order of ids."""
        keys = sorted(self._boxes)
        rows = [(b.x0, b.y0, b.x1, b.y1) for b in (self._boxes[key] for key in keys)]
        return np.array(keys, dtype=np.int64), np.array(rows, dtype=np.float64).reshape(-1, 4)

    # -- editing ---------------------------------------------------------------------------------

    @contextmanager
    def edit(self, name: str) -> Iterator[None]:
        """Make everything done inside one entry of the history.

        An edit inside an edit joins the outer one. If the block raises, the boxes are put back.
        """
        if self._session is not None:
            yield
            return
        self._session = {}
        try:
            yield
        except BaseException:
            originals, self._session = self._session, None
            self._put(originals, name)
            raise
        originals, self._session = self._session, None
        before = {key: box for key, box in originals.items() if box is not None}
        after = {key: self._boxes[key] for key in originals if key in self._boxes}
        edit = Edit(name, before, after)
        if not edit.is_empty:
            self.history.push(edit)
            self.edited.emit("do", edit)

    @property
    def is_editing(self) -> bool:
        """True while an edit session is open."""
        return self._session is not None

    def _put(self, values: Mapping[int, Box | None], name: str) -> None:
        """Set boxes (None removes) and tell the views what really changed."""
        values = {key: box for key, box in values.items() if self._boxes.get(key) != box}
        if not values:
            return
        before = {key: self._boxes[key] for key in values if key in self._boxes}
        for key, box in values.items():
            if self._session is not None:
                self._session.setdefault(key, before.get(key))
            if box is None:
                del self._boxes[key]
            else:
                self._boxes[key] = box
        after = {key: box for key, box in values.items() if box is not None}
        self.changed.emit(Edit(name, before, after))

    def update(self, values: Mapping[int, Box | None], name: str = "edit boxes") -> None:
        """Set many boxes of known ids at once, None removes; one entry of the history.

        Raises
        ------
        KeyError
            If an id is not in the store.
        """
        for key in values:
            self._boxes[key]
        fitted = {key: None if box is None else self.fit(box) for key, box in values.items()}
        with self.edit(name):
            self._put(fitted, name)

    def add(self, *boxes: Box, name: str = "add box") -> tuple[int, ...]:
        """Add boxes and return their ids."""
        fitted = [self.fit(box) for box in boxes]
        keys = tuple(range(self._next_id, self._next_id + len(fitted)))
        self._next_id += len(fitted)
        with self.edit(name):
            self._put(dict(zip(keys, fitted, strict=True)), name)
        return keys

    def remove(self, keys: Iterable[int], name: str = "delete") -> None:
        """Remove boxes; KeyError if one is not there."""
        self.update(dict.fromkeys(keys), name)

    def move(self, keys: Iterable[int], dx: float, dy: float, name: str = "move") -> None:
        """Shift boxes together; the shift is shortened so that each keeps its size in the image."""
        chosen = {key: self._boxes[key] for key in keys}
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
        box = self._boxes[key]
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
        self.update({k: replace(self._boxes[k], label=text) for k, text in labels.items()}, name)

    def set_score(self, key: int, score: float | None, name: str = "score") -> None:
        """Set the confidence of a box in [0, 1], None for one that a person vouches for."""
        if score is not None and not 0.0 <= score <= 1.0:
            raise ValueError(f"score is {score!r}, must be in [0, 1] or None")
        self.update({key: replace(self._boxes[key], score=score)}, name)

    def replace_all(self, boxes: Iterable[Box], name: str = "replace all") -> tuple[int, ...]:
        """Take all boxes away and put these in their place; return the new ids."""
        fitted = [self.fit(box) for box in boxes]
        with self.edit(name):
            self.remove(list(self._boxes), name)
            return self.add(*fitted, name=name)

    # -- undo ------------------------------------------------------------------------------------

    def undo(self) -> Edit | None:
        """Take the last edit back; return what was applied, None if there was nothing to undo."""
        return self._walk("undo")

    def redo(self) -> Edit | None:
        """Bring the last undone edit back; None if there was nothing to redo."""
        return self._walk("redo")

    def _walk(self, kind: str) -> Edit | None:
        if self._session is not None:
            raise RuntimeError(f"cannot {kind} while an edit is open")
        edit = self.history.undo() if kind == "undo" else self.history.redo()
        if edit is not None:
            self._put(_values(edit), edit.name)
            self.edited.emit(kind, edit)
        return edit

    def replay(self, kind: str, edit: Edit) -> None:
        """Repeat what `edited` reported, with no event: for a journal that is read again."""
        top = self.history.redo_name if kind == "redo" else self.history.undo_name
        if kind == "do":
            self.history.push(edit)
        elif top is not None:
            _ = self.history.undo() if kind == "undo" else self.history.redo()
        for key in edit.before:
            self._boxes.pop(key, None)
        self._boxes.update({key: self.fit(box) for key, box in edit.after.items()})
        self._next_id = max(self._next_id, 1, *(key + 1 for key in edit.after))


def _values(edit: Edit) -> dict[int, Box | None]:
    return {**dict.fromkeys(edit.before), **edit.after}
