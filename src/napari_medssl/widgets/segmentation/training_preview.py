"""What a training finds so far in a few images, read off the GUI thread as it is written anew."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_medssl.widgets._background import Background


class TrainingPreview(QLabel):
    """Shows a picture as wide as there is room; hidden while there is none.

    Parameters
    ----------
    parent
        Qt parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: QPixmap | None = None
        self.background = Background("medssl-preview", self)
        self.setToolTip("The middles of some images, and what the model finds there so far")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def has_picture(self) -> bool:
        """True while a picture is shown."""
        return self._picture is not None

    def look(self, path: Path) -> None:
        """Read the picture in a file and show it; one that cannot be read is passed over."""
        self.background.submit("read", partial(_read, path), self._on_read, self._on_bad)

    def forget(self) -> None:
        """Show none."""
        self.background.drop("read")
        self._picture = None
        self.hide()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit the picture in."""
        super().resizeEvent(event)
        self._fit()

    def _on_read(self, picture: QImage) -> None:
        if picture.isNull():
            return
        self._picture = QPixmap.fromImage(picture)
        self.show()
        self._fit()

    def _on_bad(self, _error: BaseException) -> None:
        """Keep what is shown: the next one comes soon."""

    def _fit(self) -> None:
        if self._picture is None or self.width() < 1:
            return
        smooth = Qt.TransformationMode.SmoothTransformation
        shown = self._picture.scaledToWidth(min(self.width(), self._picture.width()), smooth)
        self.setPixmap(shown)
        self.setFixedHeight(shown.height())


def _read(path: Path) -> QImage:
    return QImage(str(path))
