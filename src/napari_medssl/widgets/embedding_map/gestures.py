"""What a person does with the mouse on the map: pan, draw a lasso or a rectangle, click."""

from __future__ import annotations

import math
from typing import Protocol

from qtpy.QtCore import QPointF, Qt

from napari_medssl.backend.map_view import MapView

TOOLS = ("pan", "lasso", "rectangle")
_CLICK = 4.0  # pixels that a hand may shake during a click
_STEP = 1.5  # pixels between two corners of a lasso
Place = tuple[float, float]


class Target(Protocol):
    """The map that gestures act on."""

    view: MapView

    def drag(self, dx: float, dy: float) -> None:
        """Move what is shown by pixels."""

    def click(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Take a click."""

    def choose_in(self, corners: list[Place], mode: str) -> None:
        """Choose the rows in a polygon of the plane."""

    def choose_between(self, start: Place, end: Place, mode: str) -> None:
        """Choose the rows in a rectangle of the plane."""


def mode_of(modifiers: Qt.KeyboardModifier) -> str:
    """Return how a selection is combined with the one before.

    None replaces it, Shift adds ("union"), Ctrl takes away ("difference"), Alt keeps what is in
    both ("intersection"); so do Ctrl and Shift together, since some desktops move windows with Alt.
    On a Mac, Ctrl is the Command key.
    """
    keys = Qt.KeyboardModifier
    shift, ctrl = bool(modifiers & keys.ShiftModifier), bool(modifiers & keys.ControlModifier)
    if modifiers & keys.AltModifier or (shift and ctrl):
        return "intersection"
    if shift:
        return "union"
    return "difference" if ctrl else "replace"


class Gestures:
    """Turns presses, moves and releases into what they mean.

    Corners are kept as places of the plane, so that one may zoom while a lasso is half drawn.

    Attributes
    ----------
    tool
        What the left button does: one of `TOOLS`.
    holds_space
        Whether the space bar is held: then the left button pans.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.tool = "pan"
        self.holds_space = False
        self._action = ""  # of the pressed button
        self._button: Qt.MouseButton | None = None
        self._pressed = QPointF()
        self._last = QPointF()
        self._modifiers = Qt.KeyboardModifier.NoModifier
        self._is_click = False
        self._corners: list[Place] = []

    @property
    def is_panning(self) -> bool:
        """Whether the mouse drags the map."""
        return self._action == "pan"

    @property
    def is_busy(self) -> bool:
        """Whether a button that means something is held."""
        return bool(self._action)

    def outline(self) -> list[Place]:
        """Return the corners of the half-drawn lasso or rectangle; none without one."""
        if self._is_click or len(self._corners) < 2:
            return []
        if self._action == "rectangle":
            (x0, y0), (x1, y1) = self._corners[0], self._corners[-1]
            return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        return self._corners

    def press(self, button: Qt.MouseButton, at: QPointF, modifiers: Qt.KeyboardModifier) -> bool:
        """Begin; return whether the button means anything."""
        if self._action or button not in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            return False
        is_left = button == Qt.MouseButton.LeftButton
        self._action = self.tool if is_left and not self.holds_space else "pan"
        self._button, self._modifiers = button, modifiers
        self._pressed = self._last = at
        self._is_click = True
        self._corners = [] if self._action == "pan" else [self._place(at)]
        return True

    def move(self, at: QPointF) -> None:
        """Go on."""
        if not self._action:
            return
        if self._is_click and _away(at, self._pressed) < _CLICK:
            return
        self._is_click = False
        if self._action == "pan":
            self._target.drag(at.x() - self._last.x(), at.y() - self._last.y())
            self._last = at
        elif self._action == "rectangle":
            self._corners[1:] = [self._place(at)]
        elif _away(at, self._last) >= _STEP:
            self._corners.append(self._place(at))
            self._last = at

    def release(self, button: Qt.MouseButton, at: QPointF) -> None:
        """End."""
        if not self._action or button != self._button:
            return
        self.move(at)
        action, corners, mode = self._action, self._corners, mode_of(self._modifiers)
        is_click = self._is_click
        self.cancel()
        if is_click:
            if button == Qt.MouseButton.LeftButton and not self.holds_space:
                self._target.click(at, self._modifiers)
        elif action == "rectangle":
            self._target.choose_between(corners[0], corners[-1], mode)
        elif action == "lasso":
            self._target.choose_in(corners, mode)

    def cancel(self) -> None:
        """Forget what was begun."""
        self._action = ""
        self._button = None
        self._is_click = False
        self._corners = []

    def _place(self, at: QPointF) -> Place:
        return self._target.view.to_plane(at.x(), at.y())


def _away(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())
