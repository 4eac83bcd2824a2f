"""What the lists of figures and of slides share: rows by key, and a filter by words and state."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSortFilterProxyModel, Qt, QTimer

from napari_medssl.widgets._thumbnails import Thumbnails

KEY_ROLE = int(Qt.ItemDataRole.UserRole)
STATE_ROLE = KEY_ROLE + 1
DETAIL_ROLE = KEY_ROLE + 2
FIRST_OWN_ROLE = KEY_ROLE + 3

_MOST_SINGLY = 50  # rows that are taken out one by one


class ItemModel(QAbstractListModel):
    """One row per item. Subclasses say which items there are, and what is shown of each."""

    def __init__(self, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._keys: list[Any] = []
        self._rows: dict[Any, int] = {}
        thumbnails.switched.connect(self.reload)

    def read_keys(self) -> list[Any]:
        """Return the keys of the items in the order of the rows."""
        raise NotImplementedError(f"{type(self).__name__} does not say which items there are.")

    def name(self, key: Any) -> str:
        """Return the name that is shown of an item, in which words are looked for."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its items are called.")

    def value(self, key: Any, role: int) -> Any:
        """Return what else a view shows of an item."""
        raise NotImplementedError(f"{type(self).__name__} does not say what is shown of its items.")

    def reload(self) -> None:
        """Read all items anew."""
        self.beginResetModel()
        self._set_keys(self.read_keys())
        self.endResetModel()

    def start_anew(self) -> None:
        """Read the items of something else; the pictures are others too."""
        self._thumbnails.clear()
        self.reload()

    def refresh(self) -> None:
        """Take in items that came or went; a view stays where it is and keeps its selection."""
        fresh = self.read_keys()
        there = set(fresh)
        gone = [row for row, key in enumerate(self._keys) if key not in there]
        kept = [key for key in self._keys if key in there]
        if len(gone) > _MOST_SINGLY or fresh[: len(kept)] != kept:
            self.reload()
            return
        for row in reversed(gone):
            self.beginRemoveRows(QModelIndex(), row, row)
            self._set_keys(self._keys[:row] + self._keys[row + 1 :])
            self.endRemoveRows()
        if len(fresh) > len(kept):
            self.beginInsertRows(QModelIndex(), len(kept), len(fresh) - 1)
            self._set_keys(fresh)
            self.endInsertRows()

    def reorder(self) -> None:
        """Put the rows in order again; views keep what they have selected."""
        self.layoutAboutToBeChanged.emit()
        former = self.persistentIndexList()
        keys = [self._keys[index.row()] for index in former]
        self._set_keys(self.read_keys())
        fresh = [self.index(self._rows[k]) if k in self._rows else QModelIndex() for k in keys]
        self.changePersistentIndexList(former, fresh)
        self.layoutChanged.emit()

    def _set_keys(self, keys: list[Any]) -> None:
        self._keys = keys
        self._rows = {key: row for row, key in enumerate(keys)}

    def key_at(self, row: int) -> Any:
        """Return the key of the item in a row."""
        return self._keys[row]

    def row_of(self, key: Any) -> int:
        """Return the row of an item, -1 if it is not there."""
        return self._rows.get(key, -1)

    def touch(self, key: Any) -> None:
        """Tell the views that an item looks different."""
        if key in self._rows:
            index = self.index(self._rows[key])
            self.dataChanged.emit(index, index)

    def touch_all(self, *_: Any) -> None:
        """Tell the views that all items look different."""
        if self._keys:
            self.dataChanged.emit(self.index(0), self.index(len(self._keys) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of items."""
        return 0 if parent is not None and parent.isValid() else len(self._keys)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return what a view shows of an item."""
        if not index.isValid() or index.row() >= len(self._keys):
            return None
        key = self._keys[index.row()]
        if role == KEY_ROLE:
            return key
        return self.name(key) if role == Qt.ItemDataRole.DisplayRole else self.value(key, role)


class ItemFilter(QSortFilterProxyModel):
    """The rows whose name holds some words and whose item is in a state, in their order.

    An item that changes its state stays until `look_later` or another choice.
    """

    def __init__(self, model: ItemModel, parent: Any = None) -> None:
        super().__init__(parent)
        self._model = model
        self._words: list[str] = []
        self.state: Any = None
        self.setSourceModel(model)
        self.setDynamicSortFilter(False)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(100)
        self._later.timeout.connect(self.invalidate)

    def is_in_state(self, key: Any) -> bool:
        """Tell whether an item is in `state`, which is not None."""
        raise NotImplementedError(f"{type(self).__name__} does not say which items are in a state.")

    def set_text(self, text: str) -> None:
        """Show only names that hold all words of the text."""
        self._words = text.casefold().split()
        self.invalidate()

    def set_state(self, state: Any) -> None:
        """Show only one state; all if None."""
        self.state = state
        self.invalidate()

    def look_later(self, *_: Any) -> None:
        """Filter anew in a moment, once for many changes, if it is by state."""
        if self.state is not None:
            self._later.start()

    def filterAcceptsRow(self, row: int, _parent: QModelIndex) -> bool:
        """Tell whether a row is shown."""
        key = self._model.key_at(row)
        if self.state is not None and not self.is_in_state(key):
            return False
        name = self._model.name(key).casefold() if self._words else ""
        return all(word in name for word in self._words)
