"""Label and macro images of a slide: shown on request only, after a warning, and never kept."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.jobs import error_text
from napari_medssl.io.slides.protocol import Pixels
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.slides.reading import label_and_macro
from napari_medssl.widgets.slides.session import SlidesSession

WARNING = (
    "Label and macro images often show the name, the date of birth or the number of a patient. "
    "Make sure that nobody sees the screen who must not. They are shown once and not kept."
)


class PrivateImages(QObject):
    """Asks, reads in a thread, and shows.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: SlidesSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self.background = Background("medssl-label", self)
        self.dialog: QDialog | None = None

    def ask(self, key: int) -> None:
        """Show the images of a slide if the person still wants to after the warning."""
        answer = QMessageBox.warning(
            self._parent,
            "Label and macro",
            WARNING,
            QMessageBox.StandardButton.Ok | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        if answer == QMessageBox.StandardButton.Ok:
            source = self._session.entry(key).source
            work = partial(label_and_macro, source)
            self.background.submit("label", work, self._show, self._on_error)

    def _show(self, images: dict[str, Pixels]) -> None:
        if not images:
            self.told.emit("The slide has neither a label nor a macro image.", False)
            return
        dialog = QDialog(self._parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle("Label and macro: may name a patient")
        inside = QWidget()
        column = QVBoxLayout(inside)
        for name, pixels in images.items():
            column.addWidget(QLabel(f"<b>{name}</b>"))
            picture = QLabel()
            picture.setPixmap(_pixmap(pixels))
            column.addWidget(picture)
        area = QScrollArea()
        area.setWidget(inside)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(dialog.reject)
        layout = QVBoxLayout(dialog)
        layout.addWidget(area)
        layout.addWidget(buttons)
        dialog.resize(760, 640)
        self.dialog = dialog
        dialog.show()

    def _on_error(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _pixmap(pixels: Pixels) -> QPixmap:
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)
