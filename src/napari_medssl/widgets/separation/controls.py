"""The rows of buttons below the lists: score filter, edits of boxes, decisions."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.widgets._buttons import PushButton, ToolButton, row_of
from napari_medssl.widgets.separation.actions import BoxActions
from napari_medssl.widgets.separation.session import Session


class ScoreFilter(QWidget):
    """A slider that hides boxes of low score, and how many are shown."""

    def __init__(self, session: Session, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        tip = (
            "Hide boxes that the detector gave a lower score; boxes that you drew or changed "
            "always show. Hidden boxes are dropped when you accept the figure."
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setValue(round(100 * session.threshold))
        self.slider.setToolTip(tip)
        self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.label = QLabel()
        self.label.setToolTip(tip)
        self.label.setMinimumWidth(96)
        self.label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        name = QLabel("Score ≥")
        name.setToolTip(tip)
        layout = row_of([name, self.slider, self.label])
        layout.setContentsMargins(0, 0, 0, 0)
        self.setLayout(layout)
        self.slider.valueChanged.connect(self._on_slider)
        session.threshold_changed.connect(self._on_threshold)
        session.figure_changed.connect(self._show)
        session.current_changed.connect(self._show)
        self._show()

    def _on_slider(self, value: int) -> None:
        self._session.set_threshold(value / 100)

    def _on_threshold(self, threshold: float) -> None:
        self.slider.setValue(round(100 * threshold))
        self._show()

    def _show(self, *_: Any) -> None:
        store = self._session.store
        text = f"{self._session.threshold:.2f}"
        if store is not None:
            text += f" · {len(self._session.shown_keys())} of {len(store)}"
        self.label.setText(text)


class EditControls(QWidget):
    """Buttons for the boxes: undo, grid, merge, cut, letters, snapping."""

    def __init__(self, session: Session, actions: BoxActions, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._actions = actions
        self._store: Any = None
        do = actions.do
        self.undo = ToolButton("↶", "Undo (Ctrl+Z)", partial(do, actions.undo))
        self.redo = ToolButton("↷", "Redo (Ctrl+Shift+Z)", partial(do, actions.redo))
        self.draw = PushButton("Draw", "Draw a box with the mouse (R)", partial(do, actions.draw))
        self.merge = PushButton(
            "Merge", "Put one box around the selected ones (M)", partial(do, actions.merge)
        )
        self.split = PushButton(
            "Split",
            "Cut the selected box along its widest gutter (S); C cuts at the mouse",
            partial(do, actions.split_selected),
        )
        self.delete = PushButton(
            "Delete", "Delete the selected boxes (Del)", partial(do, actions.delete)
        )
        self.letters = PushButton(
            "a b c",
            "Letter the boxes a, b, c in reading order (L)",
            partial(do, actions.add_letters),
        )
        self.grid = QLineEdit()
        self.grid.setPlaceholderText("4x3")
        self.grid.setToolTip(
            "Columns x rows: type for example 4x3 and press Enter to fill the selected box, or the "
            "whole figure, with a grid (G)"
        )
        self.grid.setMaximumWidth(60)
        self.grid.returnPressed.connect(self.lay_grid)
        self.gap = QSpinBox()
        self.gap.setRange(0, 500)
        self.gap.setSuffix(" px")
        self.gap.setToolTip("Gap between the boxes of a grid")
        self.lay = PushButton("Lay grid", "Fill with a grid of boxes (G)", self.lay_grid)
        self.snap = QCheckBox("Snap")
        self.snap.setChecked(session.is_snapping)
        self.snap.setToolTip(
            "Edges that you draw or drag jump to the gutter or ink beside them; cuts follow gutters"
        )
        self.snap.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.snap.toggled.connect(self._on_snap)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(
            row_of([self.undo, self.redo, self.draw, self.merge, self.split, self.delete])
        )
        layout.addLayout(row_of([self.grid, self.gap, self.lay, self.letters, self.snap]))
        session.current_changed.connect(self._on_current)
        session.selection.changed.connect(self._on_selection)
        self._on_current()

    def lay_grid(self) -> None:
        """Lay the grid that is typed in the field."""
        text, gap = self.grid.text(), self.gap.value()
        self._actions.do(partial(self._actions.lay_grid, text, gap))

    def _on_snap(self, is_on: bool) -> None:
        self._session.is_snapping = is_on

    def focus_grid(self) -> None:
        """Put the keyboard into the grid field."""
        self.grid.setFocus()
        self.grid.selectAll()

    def _on_current(self) -> None:
        if self._store is not None:
            self._store.edited.disconnect(self._show_history)
        self._store = self._session.store
        if self._store is not None:
            self._store.edited.connect(self._show_history)
        for button in (self.draw, self.letters, self.lay, self.grid, self.gap):
            button.setEnabled(self._store is not None)
        self._show_history()
        self._on_selection()

    def _on_selection(self, *_: Any) -> None:
        count = len(self._session.selected_keys())
        self.merge.setEnabled(count > 1)
        self.split.setEnabled(count == 1)
        self.delete.setEnabled(count > 0)

    def _show_history(self, *_: Any) -> None:
        history = None if self._store is None else self._store.history
        for button, word, key, name in (
            (self.undo, "Undo", "Ctrl+Z", history.undo_name if history else None),
            (self.redo, "Redo", "Ctrl+Shift+Z", history.redo_name if history else None),
        ):
            button.setEnabled(name is not None)
            button.setToolTip(f"{word}: {name} ({key})" if name else f"{word} ({key})")


class ReviewControls(QWidget):
    """Buttons that decide about the figure in front."""

    def __init__(self, commands: Any, session: Session, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self.reject = PushButton(
            "Reject", "Not a figure to use; go to the next (X)", commands.reject
        )
        self.unsure = PushButton(
            "Unsure", "Come back to it later; go to the next (U)", commands.unsure
        )
        self.next = PushButton(
            "Skip", "Go to the next unchecked figure, the most useful look first (N)", commands.next
        )
        self.accept = PushButton(
            "Accept and next", "The boxes shown are right; go to the next (Enter)", commands.accept
        )
        self.accept.setStyleSheet(
            "QPushButton:enabled { background-color: #2f9e5b; color: white; font-weight: bold; }"
        )
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for column, (button, stretch) in enumerate(
            ((self.reject, 1), (self.unsure, 1), (self.next, 1), (self.accept, 2))
        ):
            layout.addWidget(button, 0, column)
            layout.setColumnStretch(column, stretch)
        session.current_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        for button in (self.reject, self.unsure, self.accept):
            button.setEnabled(self._session.current is not None)
