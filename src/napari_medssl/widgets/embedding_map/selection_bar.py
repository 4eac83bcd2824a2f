"""One line below the map: how many points are selected, and what can be done with that."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_medssl.widgets._buttons import ToolButton
from napari_medssl.widgets.embedding_map.session import MapSession


class SelectionBar(QWidget):
    """Counts the selection; its buttons clear and turn it over, and go back to the last one.

    Signals
    -------
    label_asked
        The pictures that are selected are to be labelled next.
    """

    label_asked = Signal()

    def __init__(self, session: MapSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.words = QLabel()
        self.back_button = ToolButton("←", "The selection before this one (Alt+Left)", self.back)
        self.forward_button = ToolButton("→", "The next selection again (Alt+Right)", self.forward)
        self.invert_button = ToolButton(
            "Invert", "Select of the points shown those that are not selected (I)", self.invert
        )
        self.all_button = ToolButton("All", "Select all points that are shown (Ctrl+A)", self.all)
        self.clear_button = ToolButton("Clear", "Select nothing (Esc)", self.clear)
        self.label_button = ToolButton(
            "Label next",
            "Paint their masks next in Segmentation, the most unlike each other first (Shift+L)",
            self.ask_label,
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.words, 1)
        for button in (
            self.back_button,
            self.forward_button,
            self.all_button,
            self.invert_button,
            self.clear_button,
            self.label_button,
        ):
            row.addWidget(button)
        for signal in (session.opened, session.shown_changed):
            signal.connect(self._show)
        session.selection_changed.connect(self._show)
        self._show()

    def all(self) -> None:
        """Select all points that are shown."""
        self._session.selection.replace(self._session.shown, self)

    def invert(self) -> None:
        """Select of the points shown those that are not selected."""
        session = self._session
        session.selection.replace(session.shown & ~session.selection.mask, self)

    def clear(self) -> None:
        """Select nothing."""
        self._session.selection.clear(self)

    def ask_label(self) -> None:
        """Ask that what is selected be labelled next."""
        self.label_asked.emit()

    def back(self) -> None:
        """Go back to the selection before."""
        self._session.selection.back(self)

    def forward(self) -> None:
        """Go forward again."""
        self._session.selection.forward(self)

    def _show(self, _source: object = None) -> None:
        session = self._session
        selected, count = len(session.selection), session.count
        shown = int(session.shown.sum())
        parts = [f"{selected:,} of {count:,} selected"] if selected else [f"{count:,} points"]
        unseen = int((session.selection.mask & ~session.shown).sum()) if selected else 0
        if unseen:
            parts[0] += f", {unseen:,} of them hidden"
        if shown < count:
            parts.append(f"{count - shown:,} hidden")
        self.words.setText(" · ".join(parts) if count else "")
        self.clear_button.setEnabled(selected > 0)
        self.label_button.setEnabled(selected > 0)
        self.invert_button.setEnabled(count > 0)
        self.all_button.setEnabled(count > 0)
        self.back_button.setEnabled(session.selection.can_go_back)
        self.forward_button.setEnabled(session.selection.can_go_forward)
