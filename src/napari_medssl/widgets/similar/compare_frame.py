"""The frame that shows query and hit side by side: pictures, a frame around each tile, words."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from napari_medssl.widgets.similar.outlines import HIT, WANTED
from napari_medssl.widgets.similar.tile_pictures import Picture

SIDE = 256
"""Pixels of a picture."""


class CompareFrame(QFrame):
    """Two pictures with words below; it takes no clicks."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.ToolTip)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setFrameShape(QFrame.Shape.Box)
        grid = QGridLayout(self)
        grid.setContentsMargins(6, 6, 6, 6)
        self.pictures, self.words = (QLabel(), QLabel()), (QLabel(), QLabel())
        for column in (0, 1):
            self.pictures[column].setFixedSize(SIDE, SIDE)
            self.pictures[column].setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(self.pictures[column], 0, column)
            grid.addWidget(self.words[column], 1, column)
        self.width_words = QLabel()
        self.width_words.setWordWrap(True)
        self.width_words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        grid.addWidget(self.width_words, 2, 0, 1, 2)

    def fill(
        self,
        query: tuple[Picture, str],
        hit: tuple[Picture, str],
        width: str,
        frames: Sequence[tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0)),
    ) -> None:
        """Show two pictures with their words, how wide they are, and a frame around each tile."""
        for column, (pixels, words) in enumerate((query, hit)):
            shown = pixmap(pixels)
            draw_frame(shown, frames[column], (WANTED, HIT)[column])
            self.pictures[column].setPixmap(shown)
            self.words[column].setText(words)
        self.width_words.setText(width)

    def mark(self, query: Picture, hit: Picture, words: str) -> None:
        """Show pictures with marks, and words for them."""
        for label, pixels in zip(self.pictures, (query, hit), strict=True):
            label.setPixmap(pixmap(pixels))
        self.tell(words)

    def tell(self, words: str) -> None:
        """Show other words below."""
        self.width_words.setText(words)


def draw_frame(picture: QPixmap, framed: tuple[float, float], color: str) -> None:
    """Draw a frame around the middle; `framed` are its width and height as parts of the picture."""
    if not framed[0]:
        return
    width, height = framed[0] * picture.width(), framed[1] * picture.height()
    painter = QPainter(picture)
    painter.setPen(QPen(QColor(color), 2))
    left, top = (picture.width() - width) / 2, (picture.height() - height) / 2
    painter.drawRect(QRectF(left, top, width, height))
    painter.end()


def pixmap(pixels: Picture) -> QPixmap:
    """Return pixels, uint8 RGB (Y, X, 3), as Qt shows them."""
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)
