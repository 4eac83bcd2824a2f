"""The figures of a session as a Qt list: names, states, thumbnails, filter and order."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSortFilterProxyModel, Qt

from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets.separation.session import Session
from napari_medssl.widgets.separation.thumbnails import Thumbnails

KEY_ROLE = int(Qt.ItemDataRole.UserRole)
STATE_ROLE = KEY_ROLE + 1
DETAIL_ROLE = KEY_ROLE + 2


class FigureModel(QAbstractListModel):
    """One row per figure, in the order in which they were added."""

    def __init__(self, session: Session, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thumbnails = thumbnails
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        session.project_changed.connect(self._on_project)
        session.figures_changed.connect(self.reload)
        session.figure_changed.connect(self.touch)
        session.threshold_changed.connect(self._on_threshold)
        thumbnails.ready.connect(self.touch)
        self.reload()

    def _on_project(self) -> None:
        self._thumbnails.clear()
        self.reload()

    def reload(self) -> None:
        """Read all figures anew."""
        self.beginResetModel()
        self._keys = list(self._session.project.keys())
        self._rows = {key: row for row, key in enumerate(self._keys)}
        self.endResetModel()

    def touch(self, key: str) -> None:
        """Tell the views that a figure looks different."""
        if key in self._rows:
            index = self.index(self._rows[key])
            self.dataChanged.emit(index, index)

    def _on_threshold(self, _threshold: float) -> None:
        if self._keys:
            self.dataChanged.emit(self.index(0), self.index(len(self._keys) - 1))

    def row_of(self, key: str) -> int:
        """Return the row of a figure, -1 if it is not there."""
        return self._rows.get(key, -1)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of figures."""
        return 0 if parent is not None and parent.isValid() else len(self._keys)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return what a view shows of a figure."""
        if not index.isValid() or index.row() >= len(self._keys):
            return None
        key = self._keys[index.row()]
        project = self._session.project
        if role == Qt.ItemDataRole.DisplayRole:
            return project.info(key).name
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(key)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{project.info(key).path}\n{self._detail(key)}, {project.state(key).value}"
        if role == KEY_ROLE:
            return key
        if role == STATE_ROLE:
            return project.state(key).value
        return self._detail(key) if role == DETAIL_ROLE else None

    def _detail(self, key: str) -> str:
        boxes = [box for box in self._session.project.boxes(key) if self._session.is_shown(box)]
        if not boxes:
            return "no panels yet"
        count = "1 panel" if len(boxes) == 1 else f"{len(boxes)} panels"
        doubtful = sum(box.score is not None and box.score < 0.8 for box in boxes)
        return f"{count}, {doubtful} doubtful" if doubtful else count


class FigureFilter(QSortFilterProxyModel):
    """The rows that match a text and a state, in the order of the files or of the queue."""

    def __init__(self, session: Session, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._text = ""
        self._state: str | None = None
        self._rank: dict[str, int] | None = None
        self.setDynamicSortFilter(True)
        session.figure_changed.connect(self._on_figure)
        session.figures_changed.connect(self.refresh)
        session.project_changed.connect(self.refresh)

    def set_text(self, text: str) -> None:
        """Show only names that hold all words of the text."""
        self._text = text.casefold()
        self.refresh()

    def set_state(self, state: ReviewState | None) -> None:
        """Show only one state; all if None."""
        self._state = None if state is None else state.value
        self.refresh()

    def set_by_benefit(self, is_by_benefit: bool) -> None:
        """Order by what a look is worth, else as the files were added."""
        self._rank = {} if is_by_benefit else None
        self.refresh()

    def refresh(self) -> None:
        """Filter and sort again."""
        if self._rank is not None:
            self._rank = {key: rank for rank, key in enumerate(self._session.queue.order())}
        self.invalidate()
        self.sort(0 if self._rank is not None else -1)

    def _on_figure(self, _key: str) -> None:
        if self._state is not None or self._rank is not None:
            self.refresh()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Tell whether a row is shown."""
        index = self.sourceModel().index(row, 0, parent)
        if self._state is not None and index.data(STATE_ROLE) != self._state:
            return False
        name = str(index.data(Qt.ItemDataRole.DisplayRole)).casefold()
        return all(word in name for word in self._text.split())

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Order by the queue."""
        rank = self._rank or {}
        last = len(rank)
        return rank.get(left.data(KEY_ROLE), last) < rank.get(right.data(KEY_ROLE), last)
