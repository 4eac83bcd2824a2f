"""The collapsed group "Detector and learning": which model finds the panels, what changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_medssl.widgets._buttons import ToolButton, row_of

_TITLE = "Detector and learning"
SHIPPED = "simcfs-figures"
_TIP = "The model that finds the panels, by its name in `medssl models`"


class DetectorPanel(QCollapsible):
    """Choose the model by name or file; `room` takes further groups about the detector.

    Signals
    -------
    chosen
        Name or file of the model to use from now on.
    """

    chosen = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(_TITLE, parent)
        self.toggleButton().setToolTip(
            "Which model finds the panels, and how it learns from your corrections"
        )
        self.models = QComboBox()
        self.models.setToolTip(_TIP)
        self.models.setMinimumContentsLength(14)
        self.models.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.models.addItem(SHIPPED, SHIPPED)
        self.models.activated.connect(self._on_activated)
        name = QLabel("Model")
        name.setToolTip(_TIP)
        inside = QWidget()
        self.room = QVBoxLayout(inside)
        self.room.setContentsMargins(0, 0, 0, 0)
        row = row_of(
            [name, self.models, ToolButton("File ...", "Use a .safetensors file", self.ask_file)]
        )
        row.setStretch(1, 1)
        self.room.addLayout(row)
        self.setContent(inside)
        # An arrow as an icon keeps the colour of the theme at the start; as text it does not.
        self.setExpandedIcon(QIcon())
        self.setCollapsedIcon(QIcon())
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.content().layout().setContentsMargins(4, 2, 4, 2)
        self.collapse(animate=False)
        self._show_arrow(False)
        self.toggled.connect(self._on_toggled)

    def _show_arrow(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'}  {_TITLE}")

    def _on_toggled(self, is_open: bool) -> None:
        self._show_arrow(is_open)
        if is_open:
            self.list_models()

    def _on_activated(self, _index: int) -> None:
        self.chosen.emit(self.models.currentData())

    def list_models(self) -> None:
        """Show the models that are registered now, and the file in use if one is."""
        from napari_medssl.backend.models import list_models

        current = self.models.currentData()
        names = [m.card.name for m in list_models() if m.card.task == "figures"]
        files = [self.models.itemData(i) for i in range(self.models.count())]
        files = [name for name in files if name == current or Path(name).is_file()]
        self.models.clear()
        for name in dict.fromkeys([SHIPPED, *names, *files]):
            self.models.addItem(Path(name).name, name)
            self.models.setItemData(self.models.count() - 1, name, Qt.ItemDataRole.ToolTipRole)
        self.models.setCurrentIndex(max(0, self.models.findData(current)))

    def ask_file(self) -> None:
        """Ask for a weights file and use it."""
        name, _ = QFileDialog.getOpenFileName(
            self, "Use a model", "", "Models (*.safetensors);;All files (*)"
        )
        if name:
            self.use_model(name)

    def use_model(self, name_or_file: str) -> None:
        """Show a model as the one in use and tell that it is chosen."""
        self.show_model(name_or_file)
        self.chosen.emit(name_or_file)

    def show_model(self, name_or_file: str) -> None:
        """Show a model as the one in use; empty for the shipped one."""
        name = name_or_file or SHIPPED
        if self.models.findData(name) < 0:
            self.models.addItem(Path(name).name, name)
        self.models.setCurrentIndex(self.models.findData(name))
