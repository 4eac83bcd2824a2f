"""What the widget works on: a project, its review queue, the figure in front, the boxes selected.

No Qt here: the list, the table, the layer and the buttons are views of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.layout_edit import Axis, letters_in_order, snap
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewQueue, ReviewState, expected_benefit
from napari_medssl.state.selection import Selection
from napari_medssl.state.snapping import ink_lines
from napari_medssl.state.spatial import SpatialIndex

DEFAULT_THRESHOLD = 0.5


class Session:
    """The state that the parts of the widget share.

    Attributes
    ----------
    project_changed
        Another project is open.
    figures_changed
        Figures were added or removed.
    figure_changed
        Boxes or state of the figure with this key changed.
    current_changed
        Another figure is in front, or none.
    threshold_changed
        Boxes with a lower score than this are hidden.
    """

    project_changed = Signal()
    figures_changed = Signal()
    figure_changed = Signal(str)
    current_changed = Signal()
    threshold_changed = Signal(float)

    def __init__(self, project: Project) -> None:
        self.queue = ReviewQueue()
        self.selection = Selection()
        self.threshold = DEFAULT_THRESHOLD
        self.autosave_s = 0.0
        self.is_snapping = True
        self.current: str | None = None
        self.store: BoxStore | None = None
        self.index: SpatialIndex | None = None
        self.ink: NDArray[np.bool_] | None = None
        self.image: NDArray[np.uint8] | None = None
        self.project = project
        self.lineage = object()
        self.use(project)

    def use(self, project: Project, *, is_copy: bool = False) -> None:
        """Work on another project; the former one is left as it is.

        Parameters
        ----------
        project
            What to work on.
        is_copy
            It has the same figures under the same keys, so what was asked for still fits:
            `lineage` stays the same object.
        """
        self.leave_figure()
        self.project = project
        if not is_copy:
            self.lineage = object()
        project.set_autosave(self.autosave_s)
        project.figures_changed.connect(self._on_figures)
        project.state_changed.connect(self._on_state)
        project.boxes_changed.connect(self._on_boxes)
        self._fill_queue()
        self.project_changed.emit()

    def set_autosave(self, longest_s: float) -> None:
        """Say how long an edit may stay unwritten, in this project and those to come."""
        self.autosave_s = longest_s
        if not self.project.is_closed:
            self.project.set_autosave(longest_s)

    # -- figures ---------------------------------------------------------------------------------

    def show_figure(
        self,
        key: str,
        size: tuple[int, int],
        ink: NDArray[np.bool_] | None,
        image: NDArray[np.uint8] | None = None,
    ) -> None:
        """Put a figure in front.

        Parameters
        ----------
        key
            Key in the project.
        size
            Width and height of the image, as just read.
        ink
            Pixels off the canvas, shape (Y, X); None if snapping is not possible.
        image
            The image, shape (Y, X, 3), for what has to be seen on it.
        """
        store = self.project.store(key, size)
        self.leave_figure(silently=True)
        self.current, self.store, self.ink, self.image = key, store, ink, image
        self.index = SpatialIndex(store)
        self.queue.begin()
        self.current_changed.emit()

    def show_unreadable(self, key: str) -> None:
        """Have a figure in front that cannot be read: it can be rejected or passed over."""
        self.leave_figure(silently=True)
        self.current = key
        self.queue.begin()
        self.current_changed.emit()

    @property
    def is_unreadable(self) -> bool:
        """True if there is nothing to see or edit of the figure in front."""
        return self.current is not None and self.store is None

    def leave_figure(self, *, silently: bool = False) -> None:
        """Have no figure in front."""
        had_one = self.current is not None
        self.current = self.store = self.index = self.ink = self.image = None
        self.selection.clear(self)
        if had_one and not silently:
            self.current_changed.emit()

    def set_state(self, state: ReviewState) -> None:
        """Say what the figure in front is."""
        if self.current is not None:
            self.set_states([self.current], state)

    def set_states(self, keys: Iterable[str], state: ReviewState) -> None:
        """Say what some figures are; accepting drops the boxes that the filter hides.

        So what a person saw is what is accepted. Dropping is an edit that can be undone.
        """
        for key in keys:
            if state == ReviewState.DONE and self.project.info(key).width:
                store = self.project.store(key)
                hidden = [i for i in store if not self.is_shown(store[i])]
                if hidden:
                    store.remove(hidden, "drop hidden boxes")
            self.project.set_state(key, state)

    def next_unchecked(self) -> str | None:
        """Return the figure to look at after the one in front."""
        return self.queue.next_unchecked(self.current)

    # -- boxes -----------------------------------------------------------------------------------

    def is_shown(self, box: Box) -> bool:
        """Tell whether the score filter lets a box through; a person's boxes always pass."""
        return box.score is None or box.score >= self.threshold

    def shown_keys(self) -> list[int]:
        """Return the ids of the boxes of the figure in front that are shown."""
        if self.store is None:
            return []
        return [key for key in self.store if self.is_shown(self.store[key])]

    def selected_keys(self) -> list[int]:
        """Return the ids of the boxes selected, in order."""
        if self.store is None:
            return []
        return [key for key in self.store if key in self.selection]

    def set_threshold(self, threshold: float) -> None:
        """Hide boxes of lower score."""
        if threshold != self.threshold:
            self.threshold = threshold
            self.selection.intersection(self.shown_keys(), self)
            self._fill_queue()
            self.threshold_changed.emit(threshold)

    def propose(self, key: str, size: tuple[int, int], boxes: Sequence[Box]) -> None:
        """Put a detector's boxes in the place of those of a figure, letters in reading order."""
        store = self.project.store(key, size)
        shown = {i: box for i, box in enumerate(boxes) if self.is_shown(box)}
        letters = letters_in_order(shown) if len(shown) > 1 else {}
        labelled = [
            replace(box, label=box.label or letters.get(i, "")) for i, box in enumerate(boxes)
        ]
        store.replace_all(labelled, "separate")

    def adjust(self, box: Box, former: Box | None = None, tolerance: float = 0.0) -> Box:
        """Return a box that a person drew, with whole pixels and moved edges snapped.

        Parameters
        ----------
        box
            The box as drawn.
        former
            The box before, None for a new one. A box moved as a whole keeps its size.
        tolerance
            How far an edge snaps, in pixels.
        """
        if self.store is not None:
            box = self.store.fit(box)
        if former is not None and _is_moved_only(box, former):
            x0, y0 = float(round(box.x0)), float(round(box.y0))
            x1, y1 = x0 + former.width, y0 + former.height
            return replace(former, score=None, x0=x0, y0=y0, x1=x1, y1=y1)
        values: dict[str, float] = {}
        for edge in _EDGES:
            value, before = getattr(box, edge), getattr(former, edge, None)
            if before is not None and abs(value - before) < 0.5:
                values[edge] = before  # this edge was not touched: keep it to the last bit
            else:
                values[edge] = float(round(self._snapped(value, edge, box, tolerance)))
        base = former if former is not None else box
        return replace(base, score=None, **values)  # type: ignore[arg-type]

    def _snapped(self, value: float, edge: str, box: Box, tolerance: float) -> float:
        if not self.is_snapping or self.ink is None or tolerance <= 0:
            return value
        axis: Axis = "x" if edge[0] == "x" else "y"
        return snap(value, ink_lines(self.ink, box, axis), tolerance)

    # -- inside ----------------------------------------------------------------------------------

    def _benefit(self, key: str) -> float:
        return expected_benefit(self.project.boxes(key), self.threshold)

    def _fill_queue(self) -> None:
        keys = self.project.keys()
        self.queue.fill(
            {key: self.project.state(key) for key in keys},
            {key: self._benefit(key) for key in keys},
        )

    def _on_figures(self, _keys: tuple[str, ...]) -> None:
        if self.current is not None and self.current not in self.project:
            self.leave_figure()
        self._fill_queue()
        self.figures_changed.emit()

    def _on_state(self, key: str) -> None:
        self.queue.set_state(key, self.project.state(key))
        self.figure_changed.emit(key)

    def _on_boxes(self, key: str) -> None:
        self.queue.set_benefit(key, self._benefit(key))
        if key == self.current and self.store is not None:
            self.selection.intersection(list(self.store), self)
        self.figure_changed.emit(key)


_EDGES = ("x0", "y0", "x1", "y1")


def _is_moved_only(box: Box, former: Box) -> bool:
    same_size = abs(box.width - former.width) < 0.5 and abs(box.height - former.height) < 0.5
    return same_size and (abs(box.x0 - former.x0) >= 0.5 or abs(box.y0 - former.y0) >= 0.5)
