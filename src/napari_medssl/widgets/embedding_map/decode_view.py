"""What an autoencoder draws at the place under the mouse, in a corner of the map."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.decode_places import DecodedPlace, near_rows
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.embedding_map.session import MapSession

_SIDE, _SMALL, _SAMPLES = 96, 44, 3
_MARGIN = 8


class DecodeView(QFrame):
    """Follows the mouse while a model is chosen; only the newest place counts.

    Signals
    -------
    failed
        Why nothing is decoded: nothing more is, until another model is chosen.
    """

    failed = Signal(str)

    def __init__(self, session: MapSession, over: QWidget) -> None:
        super().__init__(over)
        self._session = session
        self._over = over
        self.model = ""
        self.shown: DecodedPlace | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.picture = QLabel()
        self.picture.setFixedSize(_SIDE, _SIDE)
        self.samples = [QLabel() for _ in range(_SAMPLES)]
        small = QHBoxLayout()
        for label in self.samples:
            label.setFixedSize(_SMALL, _SMALL)
            small.addWidget(label)
        small.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(QLabel("Decoded here"))
        column.addWidget(self.picture)
        column.addLayout(small)
        self._requests = LiveRequests(self)
        self._requests.ready.connect(self._show)
        self._requests.failed.connect(self._refuse)
        over.installEventFilter(self)
        self.hide()

    def use(self, model: str) -> None:
        """Decode with a model, "" for none."""
        self.model = model
        if not model:
            self._requests.drop()
            self.hide()

    def look_at(self, x: float, y: float) -> None:
        """Decode a place of the map."""
        session = self._session
        if self.model and session.source is not None and session.places is not None:
            self._requests.submit(
                partial(_decode, self.model, session.source.embeddings, session.places, x, y)
            )

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Stay in the corner of the map."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def close_down(self) -> None:
        """Stop the thread."""
        self._requests.close()

    def _place(self) -> None:
        self.adjustSize()
        self.move(_MARGIN, self._over.height() - self.height() - _MARGIN)

    def _show(self, decoded: DecodedPlace) -> None:
        if not self.model:
            return
        self.shown = decoded
        _set(self.picture, decoded.mean, _SIDE)
        for label, sample in zip(self.samples, decoded.samples, strict=True):
            _set(label, sample, _SMALL)
        self._place()
        self.raise_()
        self.show()

    def _refuse(self, text: str) -> None:
        self.use("")
        self.failed.emit(text)


def _decode(
    model: str,
    embeddings: NDArray[np.float32],
    places: NDArray[np.float32],
    x: float,
    y: float,
    *,
    should_stop: Any,
) -> DecodedPlace:
    rows, weights = near_rows(places, x, y)
    decoded: DecodedPlace = compute_process().call(
        "napari_medssl.backend.decode_places:decode_place",
        model,
        embeddings[rows],
        weights,
        _SAMPLES,
        should_stop=should_stop,
    )
    return decoded


def _set(label: QLabel, pixels: NDArray[np.uint8], side: int) -> None:
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    label.setPixmap(QPixmap.fromImage(image).scaled(side, side, keep, smooth))
