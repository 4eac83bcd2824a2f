"""The figures of a session as a Qt list: names, states, thumbnails, filter and order."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSortFilterProxyModel, Qt, QTimer

from napari_medssl.state.figure_names import folders_to_show
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.separation.session import Session

KEY_ROLE = int(Qt.ItemDataRole.UserRole)
STATE_ROLE = KEY_ROLE + 1
DETAIL_ROLE = KEY_ROLE + 2


class FigureModel(QAbstractListModel):
    """One row per figure, those first where a look mends most, or as they were added.

    Rows stay where they are while a person edits the figure in front: the order is made anew when
    another one comes, and once for all that a job or an import changes.
    """

    def __init__(self, session: Session, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thumbnails = thumbnails
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._folders: dict[str, str] = {}
        self._is_by_benefit = True
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(150)
        self._later.timeout.connect(self.reorder)
        session.figure_changed.connect(self._on_figure)
        session.current_changed.connect(self._later.start, check_nargs=False)
        session.project_changed.connect(self._on_project)
        session.figures_changed.connect(self.reload)
        session.figure_changed.connect(self.touch)
        session.threshold_changed.connect(self._on_threshold)
        thumbnails.ready.connect(self.touch)
        thumbnails.switched.connect(self.reload)
        self.reload()

    def _on_project(self) -> None:
        self._thumbnails.clear()
        self.reload()

    def reload(self) -> None:
        """Read all figures anew."""
        self.beginResetModel()
        infos = (self._session.project.info(key) for key in self._session.project)
        self._folders = folders_to_show({info.key: (info.name, info.path) for info in infos})
        self._set_order()
        self.endResetModel()

    def _set_order(self) -> None:
        session = self._session
        self._keys = session.queue.order() if self._is_by_benefit else list(session.project.keys())
        self._rows = {key: row for row, key in enumerate(self._keys)}

    def set_by_benefit(self, is_by_benefit: bool) -> None:
        """Order by what a look is worth, else as the figures were added."""
        self._is_by_benefit = is_by_benefit
        self.reorder()

    def reorder(self) -> None:
        """Put the rows in order again; views keep what they have selected."""
        self.layoutAboutToBeChanged.emit()
        former = self.persistentIndexList()
        keys = [self._keys[index.row()] for index in former]
        self._set_order()
        fresh = [self.index(self._rows[k]) if k in self._rows else QModelIndex() for k in keys]
        self.changePersistentIndexList(former, fresh)
        self.layoutChanged.emit()

    def _on_figure(self, key: str) -> None:
        if self._is_by_benefit and key != self._session.current:
            self._later.start()

    def key_at(self, row: int) -> str:
        """Return the key of the figure in a row."""
        return self._keys[row]

    def name(self, key: str) -> str:
        """Return a figure's name, with a folder if another figure has the same name."""
        name, folder = self._session.project.info(key).name, self._folders.get(key)
        return f"{name} · {folder}" if folder else name

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
            return self.name(key)
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
            return "no panels" if self._session.project.info(key).width else "not opened yet"
        count = "1 panel" if len(boxes) == 1 else f"{len(boxes)} panels"
        doubtful = sum(box.score is not None and box.score < 0.8 for box in boxes)
        return f"{count}, {doubtful} doubtful" if doubtful else count


class FigureFilter(QSortFilterProxyModel):
    """The rows whose figure matches a text and a state, in the order of the model."""

    def __init__(self, model: FigureModel, session: Session, parent: Any = None) -> None:
        super().__init__(parent)
        self._model = model
        self._session = session
        self._words: list[str] = []
        self._state: ReviewState | None = None
        self.setSourceModel(model)
        # A figure that changes its state stays until the next one comes in front.
        self.setDynamicSortFilter(False)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(100)
        self._later.timeout.connect(self.invalidate)
        session.figure_changed.connect(self._on_figure)

    def set_text(self, text: str) -> None:
        """Show only names that hold all words of the text."""
        self._words = text.casefold().split()
        self.invalidate()

    def set_state(self, state: ReviewState | None) -> None:
        """Show only one state; all if None."""
        self._state = state
        self.invalidate()

    def _on_figure(self, _key: str) -> None:
        if self._state is not None:
            self._later.start()

    def filterAcceptsRow(self, row: int, _parent: QModelIndex) -> bool:
        """Tell whether a row is shown."""
        key = self._model.key_at(row)
        project = self._session.project
        if key not in project or (self._state is not None and project.state(key) != self._state):
            return False
        name = self._model.name(key).casefold() if self._words else ""
        return all(word in name for word in self._words)
