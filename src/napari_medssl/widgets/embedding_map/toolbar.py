"""The row above the map: what the mouse does, and what gives the colours."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QComboBox, QLabel, QVBoxLayout, QWidget

from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.embedding_map.session import MapSession

_COMBINE = "Shift adds, Ctrl takes away, Alt keeps those in both"
_TOOLS = (
    ("pan", "Move", "Drag moves the map, the wheel zooms; Space moves with any tool (P)"),
    ("lasso", "Lasso", f"Draw around points; {_COMBINE} (L)"),
    ("rectangle", "Box", f"Draw a rectangle; {_COMBINE} (R)"),
)


class Toolbar(QWidget):
    """Buttons of which one is down, a box of columns, and a button for the slide in front.

    Signals
    -------
    tool_chosen
        "pan", "lasso" or "rectangle".
    slide_switched
        Whether clicks on the slide select.
    """

    tool_chosen = Signal(str)
    slide_switched = Signal(bool)

    def __init__(self, session: MapSession) -> None:
        super().__init__()
        self._session = session
        self.tools: dict[str, PushButton] = {}
        self._group = QButtonGroup(self)
        for name, title, tip in _TOOLS:
            button = _ToolButton(title, tip, name, self.tool_chosen.emit)
            self._group.addButton(button)
            self.tools[name] = button
        self.slide_button = PushButton(
            "On slide", "Click a tile of the slide in front, or draw a box: it selects", self._tell
        )
        self.slide_button.setCheckable(True)
        self.slide_button.hide()
        self.color_box = QComboBox()
        self.color_box.setToolTip("What gives the colours")
        self.color_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.color_box.setMinimumContentsLength(8)
        adjust = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.color_box.setSizeAdjustPolicy(adjust)
        parts = [*self.tools.values(), self.slide_button, QLabel("Colour"), self.color_box]
        row = row_of(parts)
        row.setStretch(len(parts) - 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        self.color_box.textActivated.connect(self._on_color)
        session.colored.connect(self._fill)

    def show_tool(self, name: str) -> None:
        """Show which tool is in the hand."""
        self.tools[name].setChecked(True)

    def _tell(self) -> None:
        self.slide_switched.emit(self.slide_button.isChecked())

    def _fill(self) -> None:
        names = list(self._session.choices())
        if [self.color_box.itemText(n) for n in range(self.color_box.count())] != names:
            self.color_box.clear()
            self.color_box.addItems(names)
        self.color_box.setCurrentText(self._session.color_name)
        self.color_box.setEnabled(bool(names))

    def _on_color(self, name: str) -> None:
        self._session.color_by(name)


class _ToolButton(PushButton):
    """A button that stays down while its tool is in the hand."""

    def __init__(self, title: str, tip: str, name: str, choose: Callable[[str], object]) -> None:
        super().__init__(title, tip, self._choose)
        self._name, self._choose_tool = name, choose
        self.setCheckable(True)

    def _choose(self) -> None:
        self._choose_tool(self._name)
