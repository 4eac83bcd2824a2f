"""The pictures that are most typical of a group, in a row."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_medssl.backend.medoids import medoids_of
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.embedding_map.session import MapSession

MOST = 12
_SIDE, _PAD = 48, 2


class MedoidStrip(QWidget):
    """Shows as many typical pictures as there is room for; a click on one picks its point.

    Parameters
    ----------
    session, thumbnails
        The points and their pictures.
    background
        Where the typical ones are looked for.
    """

    def __init__(self, session: MapSession, thumbnails: Thumbnails, background: Background) -> None:
        super().__init__()
        self._session = session
        self._thumbnails = thumbnails
        self._background = background
        self.rows: tuple[int, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Typical pictures of the group")
        self.setToolTip("The most typical points of the group marked above, the first one first")
        thumbnails.ready.connect(self._on_picture)
        session.opened.connect(self.clear)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._background.drop("medoids")
        self.rows = ()
        self.hide()

    def show_group(self, groups: PointGroups, key: int) -> None:
        """Show the typical points of a group, once they are found."""
        source = self._session.source
        if source is None:
            return
        rows = groups.rows_of(key)
        work = partial(_typical, source.embeddings, rows)
        self._background.submit("medoids", work, self._take, self._refuse)

    def _take(self, rows: NDArray[np.int64]) -> None:
        self.rows = tuple(int(row) for row in rows)
        self.setVisible(bool(self.rows))
        self.update()

    def _refuse(self, _error: BaseException) -> None:
        self.clear()

    def _on_picture(self, key: str) -> None:
        if int(key) in self.rows:
            self.update()

    def sizeHint(self) -> QSize:
        """Return the size that is due."""
        return QSize(200, _SIDE + 2 * _PAD)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the pictures."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for number, row in enumerate(self.rows):
            frame = self._frame(number)
            if frame.right() > self.width():
                break
            picture = self._thumbnails.get(str(row))
            if picture is None or picture.isNull():
                painter.fillRect(frame, QColor(128, 128, 128, 50))
                continue
            size = picture.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(frame.topLeft(), size)
            place.moveCenter(frame.center())
            painter.drawPixmap(place, picture)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Pick the point of the picture that is clicked."""
        if event is None:
            return
        place = event.position().toPoint()
        for number, row in enumerate(self.rows):
            if self._frame(number).contains(place):
                self._session.picked.replace([row], self)

    def _frame(self, number: int) -> QRect:
        return QRect(number * (_SIDE + 2 * _PAD) + _PAD, _PAD, _SIDE, _SIDE)


def _typical(embeddings: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    ids = np.zeros(len(rows), np.int32)
    found = medoids_of(embeddings[rows], ids, MOST)
    return rows[found[0]] if 0 in found else rows[:0]
