"""Choose the model: one that is shipped, one of one's own, or a file; and say what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.segment_live import OfferedModel, offered_model, offered_models
from napari_medssl.widgets.segmentation.session import MaskSession

_FILE = "File ..."


class ModelChoice(QWidget):
    """A box of models with a line on the one chosen; the choice is kept with the set.

    Signals
    -------
    changed
        Another model is chosen.
    told
        A line for the person; the second argument is True for an error.
    """

    changed = Signal()
    told = Signal(str, bool)

    def __init__(self, session: MaskSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._name = ""
        self._known: dict[str, OfferedModel] = {}
        self.box = QComboBox()
        self.box.setToolTip("Model that segments, or that has regions to show")
        self.box.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # clicked, it would keep our letters
        self.box.setMinimumContentsLength(8)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.box.activated.connect(self._on_chosen)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setToolTip("What the model was made for, from its card")
        self.about.setEnabled(False)
        row = QHBoxLayout()
        row.addWidget(QLabel("Model"))
        row.addWidget(self.box, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(self.about)
        session.set_changed.connect(self._on_set)
        self.list_models()

    @property
    def name(self) -> str:
        """Name or file of the model; "" if there is none."""
        return self._name

    def checked_name(self) -> str:
        """Return the model; UserError if there is none."""
        if not self._name:
            raise UserError("There is no model. Choose a .safetensors file under Model.")
        return self._name

    @property
    def classes(self) -> tuple[str, ...]:
        """What the model calls its classes 1, 2 and so on; none if there is no model."""
        chosen = self._known.get(self._name)
        return () if chosen is None else tuple(chosen.classes)

    @property
    def kept_count(self) -> int:
        """How many numbers are kept for the model's classes; 0 if nobody has chosen it."""
        folder = self._session.folder
        return 0 if folder is None or not folder.model else len(self.classes)

    def knows(self, name: str) -> bool:
        """Say whether a model is on the list."""
        return name in self._known

    def choose(self, name: str) -> None:
        """Use another model; UserError if it is none."""
        if name not in self._known:
            self._known[name] = offered_model(name)
        folder = self._session.folder
        if folder is not None and not folder.is_closed:
            folder.remember(model=name)
        has_changed = name != self._name
        self._name = name
        self._show()
        if has_changed:
            self.changed.emit()

    def forget(self, file: str) -> None:
        """Look anew at what there is: a model of this file was trained, maybe once more."""
        self._known.pop(file, None)
        self.list_models()

    def list_models(self) -> None:
        """Look anew which models there are."""
        try:
            found = {one.name: one for one in offered_models()}
        except UserError as error:
            self.told.emit(str(error), True)
            found = {}
        files = {name: one for name, one in self._known.items() if name.endswith(".safetensors")}
        self._known = found | files
        if self._name not in self._known:
            self._name = next(iter(self._known), "")
        self._show()

    def _on_set(self) -> None:
        folder = self._session.folder
        if folder is None or folder.is_closed or not folder.model:
            return
        try:
            self.choose(folder.model)
        except UserError as error:
            self.told.emit(str(error), True)

    def _show(self) -> None:
        with QSignalBlocker(self.box):
            self.box.clear()
            for name, one in self._known.items():
                what = ", ".join(one.classes) or "regions only"
                self.box.addItem(f"{Path(name).stem}: {what}", name)
            self.box.addItem(_FILE, None)
            self.box.setCurrentIndex(max(0, self.box.findData(self._name)))
        chosen = self._known.get(self._name)
        # The first sentence says what it is for; the others are in the tooltip.
        text = "" if chosen is None else chosen.about
        self.about.setText(text.split(";")[0].split(". ")[0])
        self.about.setToolTip(text)
        self.about.setVisible(bool(text))

    def _on_chosen(self, row: int) -> None:
        name: Any = self.box.itemData(row)
        if name is None:
            self.ask_file()
        else:
            self._try(str(name))

    def ask_file(self) -> None:
        """Ask for a weights file and use it."""
        name, _ = QFileDialog.getOpenFileName(
            self, "Model for segmentation", "", "Weights (*.safetensors)"
        )
        if name:
            self._try(name)
        self._show()

    def _try(self, name: str) -> None:
        try:
            self.choose(name)
        except UserError as error:
            self.told.emit(str(error), True)
            self._show()
