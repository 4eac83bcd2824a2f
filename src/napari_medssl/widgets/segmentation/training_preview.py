"""What a training finds so far in a few images, read off the GUI thread as it is written anew."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QWidget

from napari_medssl.widgets._background import Background

_HEIGHT = 90


class TrainingPreview(QWidget):
    """Shows a picture as large as there is room; hidden while there is none.

    Its height never changes: one that followed the width would chase the bars of a page.

    Parameters
    ----------
    parent
        Qt parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: QImage | None = None
        self.background = Background("medssl-preview", self)
        self.setToolTip("The middles of some images, and what the model finds there so far")
        self.setFixedHeight(_HEIGHT)
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

    def paintEvent(self, _event: Any) -> None:
        """Draw the picture in the middle, whole."""
        if self._picture is None:
            return
        size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(QPoint(0, 0), size)
        place.moveCenter(self.rect().center())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self._picture)
        painter.end()

    def _on_read(self, picture: QImage) -> None:
        if not picture.isNull():
            self._picture = picture
            self.show()
            self.update()

    def _on_bad(self, _error: BaseException) -> None:
        """Keep what is shown: the next one comes soon."""


def _read(path: Path) -> QImage:
    return QImage(str(path))
