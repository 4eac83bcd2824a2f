"""The rows of a gallery as a Qt list: picture, name, and what is known of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt

from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.embedding_map.session import MapSession

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
COLOR_ROLE = ROW_ROLE + 1


class GalleryModel(QAbstractListModel):
    """Some rows of the map, in an order; pictures are made when they come into sight."""

    def __init__(self, session: MapSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thumbnails = thumbnails
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._asked: dict[str, int] = {}
        thumbnails.ready.connect(self._on_picture)
        session.colors_changed.connect(self._touch_all)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the map that are listed, shape (M,)."""
        return self._rows

    def show(self, rows: NDArray[np.int64]) -> None:
        """List other rows."""
        if not np.array_equal(rows, self._rows):
            self.beginResetModel()
            self._rows = rows
            self._asked.clear()
            self.endResetModel()

    def row(self, number: int) -> int:
        """Return the row of the map at a place of the list, -1 if there is none."""
        return int(self._rows[number]) if 0 <= number < len(self._rows) else -1

    def _on_picture(self, key: str) -> None:
        number = self._asked.get(key)
        if number is not None and number < len(self._rows):
            index = self.index(number)
            self.dataChanged.emit(index, index)

    def _touch_all(self) -> None:
        if len(self._rows):
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many rows are listed."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return what a view shows of a row."""
        row = self.row(index.row()) if index.isValid() else -1
        if row < 0:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._session.title(row)
        if role == Qt.ItemDataRole.DecorationRole:
            key = str(row)
            self._asked[key] = index.row()
            return self._thumbnails.get(key)
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(self._session.facts(row))
        if role == ROW_ROLE:
            return row
        if role == COLOR_ROLE:
            return self._session.color_of(row)
        return None
