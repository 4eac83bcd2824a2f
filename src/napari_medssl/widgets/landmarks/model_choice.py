"""Choose the model that finds the points: the one that fits, one that is there, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.landmark_models import IMAGENET, UNTRAINED, list_landmark_models
from napari_medssl.backend.match_landmarks import LandmarkUse
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.landmarks.engine import ComputeEngine
from napari_medssl.widgets.landmarks.session import LandmarkSession

_FILE = "File ..."
_FITTING = "automatic"


class ModelChoice(QObject):
    """A box of models; the choice is kept with the set.

    Signals
    -------
    changed
        Another model is chosen: all images have to be looked at anew.
    taken
        The model that fits was found, by its name.
    """

    changed = Signal()
    taken = Signal(str)

    def __init__(self, session: LandmarkSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self.box = QComboBox()
        self.box.setToolTip("Model that compares images")
        self.box.setMinimumContentsLength(8)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.box.activated.connect(self._on_chosen)
        self._fitting = ""
        # Sent from another thread, so the slot runs in the GUI thread.
        self.taken.connect(self._on_taken, Qt.ConnectionType.QueuedConnection)
        session.set_changed.connect(self._on_set)
        self._show()

    @property
    def name(self) -> str:
        """Name or file of the model that was chosen, "" for the one that fits."""
        folder = self._session.folder
        return "" if folder is None else folder.model

    def make_engine(self) -> ComputeEngine:
        """Return what compares images with the model chosen."""
        settings = read_settings()
        use = LandmarkUse(
            self.name,
            settings.device,
            settings.cache_folder,
            int(settings.cache_size_gb * 1e9),
        )
        return ComputeEngine(use, self.taken.emit)

    def choose(self, name: str) -> None:
        """Use another model."""
        if self._session.folder is not None and name != self.name:
            self._session.folder.remember(model=name)
            self._fitting = ""
            self.changed.emit()
        self._show()

    def _on_set(self) -> None:
        self._fitting = ""
        self._show()

    def _on_taken(self, name: str) -> None:
        self._fitting = name
        self._show()

    def _show(self) -> None:
        known = ["", *(name for name in _known_models() if name != UNTRAINED)]
        if self.name not in known:
            known.append(self.name)
        fitting = f"{_FITTING}: {self._fitting}" if self._fitting else _FITTING
        with QSignalBlocker(self.box):
            self.box.clear()
            for name in known:
                self.box.addItem(Path(name).name if name else fitting, name)
            self.box.addItem(_FILE, None)
            self.box.setCurrentIndex(known.index(self.name))
        self.box.setEnabled(self._session.folder is not None)

    def _on_chosen(self, row: int) -> None:
        name: Any = self.box.itemData(row)
        if name is None:
            name, _ = QFileDialog.getOpenFileName(
                self._parent, "Model for landmarks", "", "Weights (*.safetensors)"
            )
            if not name:
                self._show()
                return
        self.choose(str(name))


def _known_models() -> list[str]:
    try:
        return [str(name) for name in list_landmark_models()]
    except UserError:
        return [IMAGENET]
