"""What keys and buttons do to the boxes of the figure in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box
from napari_medssl.state import layout_edit
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.layout_edit import Axis
from napari_medssl.state.snapping import blank_strips
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.session import Session

# The edge that an arrow pushes out, and the one that it pulls in: Alt+Right moves the right edge
# to the right, Control+Right the left edge to the right.
_OUT = {"Left": ("x0", -1), "Right": ("x1", 1), "Up": ("y0", -1), "Down": ("y1", 1)}
_IN = {"Left": ("x1", -1), "Right": ("x0", 1), "Up": ("y1", -1), "Down": ("y0", 1)}
STEPS = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
LARGE_STEP = 10


def _vouch(store: BoxStore, keys: list[int]) -> None:
    """Take the score off boxes that a person set: no filter may hide them."""
    store.update({key: replace(store[key], score=None) for key in keys})


class BoxActions:
    """Edits of the boxes selected, under the cursor, or all of them.

    Attributes
    ----------
    refused
        Emitted with a line for the person when an action is not possible; "" when one was.
    """

    refused = Signal(str)

    def __init__(self, viewer: Any, session: Session, view: BoxLayer) -> None:
        self._viewer = viewer
        self._session = session
        self._view = view
        self._copied: list[Box] = []
        self._cycled: list[int] = []

    # -- shared ----------------------------------------------------------------------------------

    def _store(self) -> BoxStore:
        store = self._session.store
        if self._session.is_unreadable:
            raise UserError(
                "This figure cannot be read: there is nothing to edit. X rejects it, N goes on."
            )
        if store is None:
            raise UserError("No figure is open. Open one from the list first.")
        if store.is_editing:
            raise UserError("A box is being dragged. Let go of it first.")
        return store

    def _selected(self, what: str) -> list[int]:
        keys = self._session.selected_keys()
        if not keys:
            raise UserError(f"No box is selected to {what}. Click one or press Tab over it.")
        return keys

    def do(self, action: Callable[[], None]) -> None:
        """Run an action; tell what it refuses."""
        try:
            action()
        except UserError as error:
            self.refused.emit(str(error))
        else:
            self.refused.emit("")

    def cursor(self) -> tuple[float, float]:
        """Return where the mouse is in the image, in pixels."""
        layer = self._view.ensure_layer()
        y, x = layer.world_to_data(self._viewer.cursor.position)[-2:]
        return float(x) + 0.5, float(y) + 0.5

    # -- edits -----------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take the last edit back."""
        store = self._store()
        name = store.history.undo_name
        if store.undo() is None:
            raise UserError("Nothing is left to undo in this figure.")
        # Said, because it may have been the work of the detector on a figure that just came.
        self._viewer.status = f"Undone in this figure: {name}"

    def redo(self) -> None:
        """Bring back what was undone."""
        store = self._store()
        name = store.history.redo_name
        if store.redo() is None:
            raise UserError("Nothing is left to redo in this figure.")
        self._viewer.status = f"Done again: {name}"

    def nudge(self, direction: str, step: int) -> None:
        """Move the selected boxes by `step` pixels."""
        dx, dy = STEPS[direction]
        store, keys = self._store(), self._selected("move")
        with store.edit("move"):
            store.move(keys, dx * step, dy * step)
            _vouch(store, keys)

    def push_edge(self, direction: str, step: int, *, is_out: bool) -> None:
        """Move one edge of each selected box: the one on that side out, or the opposite one in."""
        edge, sign = (_OUT if is_out else _IN)[direction]
        store, keys = self._store(), self._selected("resize")
        with store.edit("resize"):
            for key in keys:
                store.resize(key, **{edge: getattr(store[key], edge) + sign * step})
            _vouch(store, keys)

    def delete(self) -> None:
        """Delete the selected boxes."""
        self._store().remove(self._selected("delete"))

    def merge(self) -> None:
        """Put one box around the selected ones, in their place."""
        store = self._store()
        keys = self._session.selected_keys()
        ordered = [k for k in layout_edit.reading_order(store.as_dict()) if k in set(keys)]
        merged = layout_edit.merge(store[key] for key in ordered)
        with store.edit("merge"):
            store.remove(ordered[1:])
            store.update({ordered[0]: merged})
        self._session.selection.replace([ordered[0]])

    def split(self, axis: Axis) -> None:
        """Cut the smallest box under the cursor there, along a gutter if one is under it."""
        store = self._store()
        x, y = self.cursor()
        keys = self._under_cursor()
        if not keys:
            raise UserError("No box is under the mouse. Put it where the box is to be cut.")
        box, at = store[keys[0]], x if axis == "x" else y
        strip = None
        if self._session.is_snapping and self._session.ink is not None:
            strip = layout_edit.gutter_at(blank_strips(self._session.ink, box, axis), at)
        first, second = layout_edit.split(box, axis, *(strip or (float(round(at)),)))
        with store.edit("split"):
            store.update({keys[0]: first})
            (other,) = store.add(second)
        self._session.selection.replace([keys[0], other])

    def split_selected(self) -> None:
        """Cut the selected box along the widest gutter in it, else across its longer side."""
        store = self._store()
        keys = self._selected("split")
        if len(keys) > 1:
            raise UserError(f"{len(keys)} boxes are selected. Select the one to split.")
        box = store[keys[0]]
        axes: tuple[Axis, Axis] = ("x", "y") if box.width >= box.height else ("y", "x")
        strips = []
        if self._session.ink is not None:
            strips = [
                (b - a, axis, a, b)
                for axis in axes
                for a, b in blank_strips(self._session.ink, box, axis)
            ]
        if strips:
            _, axis, low, high = max(strips, key=lambda strip: strip[0])
        else:
            axis = axes[0]
            middle = (box.x0 + box.x1) / 2 if axis == "x" else (box.y0 + box.y1) / 2
            low = high = float(round(middle))
        first, second = layout_edit.split(box, axis, low, high)
        with store.edit("split"):
            store.update({keys[0]: first})
            (other,) = store.add(second)
        self._session.selection.replace([keys[0], other])

    def lay_grid(self, text: str, gap: int = 0) -> None:
        """Lay a grid such as "4x3" in the one selected box, else in place of all boxes.

        The boxes fill the whole image if no box is selected.
        """
        store = self._store()
        columns, rows = layout_edit.parse_grid(text)
        keys = self._session.selected_keys()
        if len(keys) > 1:
            raise UserError(f"{len(keys)} boxes are selected. Select the one to fill, or none.")
        region = store[keys[0]] if keys else Box(0, 0, store.width, store.height)
        boxes = layout_edit.lay_grid(region, columns, rows, gap)
        with store.edit(f"grid {columns}x{rows}"):
            store.remove(keys or list(store))
            fresh = store.add(*boxes)
            store.set_labels(layout_edit.letters_in_order(self._shown()))
        self._session.selection.replace(fresh)

    def add_letters(self) -> None:
        """Letter the boxes shown a, b, c in reading order."""
        store = self._store()
        shown = self._shown()
        if not shown:
            raise UserError("There are no boxes to letter. Draw some or separate the figure.")
        store.set_labels(layout_edit.letters_in_order(shown), "letters")

    def set_letter(self, key: int, text: str) -> None:
        """Set the letter of one box."""
        self._store().set_labels({key: text.strip()}, "letter")

    def copy(self) -> None:
        """Remember the selected boxes."""
        store = self._store()
        self._copied = [store[key] for key in self._selected("copy")]

    def paste(self) -> None:
        """Add the copied boxes, a little aside."""
        store = self._store()
        if not self._copied:
            raise UserError("Nothing was copied. Select boxes and copy them first.")
        step = 0.02 * min(store.width, store.height)
        fresh = store.add(
            *(
                replace(b, x0=b.x0 + step, x1=b.x1 + step, y0=b.y0 + step, y1=b.y1 + step)
                for b in self._copied
            ),
            name="paste",
        )
        self._session.selection.replace(fresh)

    # -- selection -------------------------------------------------------------------------------

    def _shown(self) -> dict[int, Box]:
        store = self._session.store
        return {} if store is None else {key: store[key] for key in self._session.shown_keys()}

    def _under_cursor(self) -> list[int]:
        index = self._session.index
        if index is None:
            return []
        shown = set(self._session.shown_keys())
        return [key for key in index.under(*self.cursor()) if key in shown]

    def cycle(self, step: int) -> None:
        """Select the next of the boxes under the cursor; of all boxes if none is there."""
        store = self._store()
        keys = self._under_cursor() or layout_edit.reading_order(self._shown())
        if not keys:
            return
        selected = self._session.selected_keys()
        at = keys.index(selected[0]) if len(selected) == 1 and selected[0] in keys else None
        first = 0 if step > 0 else len(keys) - 1
        at = first if at is None else (at + step) % len(keys)
        self._session.selection.replace([keys[at]])
        self._view.raise_box(keys[at])
        self._viewer.status = f"Box {at + 1} of {len(keys)}: {store[keys[at]].label or 'no letter'}"

    def deselect(self) -> None:
        """Select nothing and go back to the selection tool."""
        self._session.selection.clear()
        self._view.ensure_layer().mode = "select"

    def draw(self) -> None:
        """Take the tool that draws boxes."""
        self._store()
        self._view.ensure_layer().mode = "add_rectangle"
