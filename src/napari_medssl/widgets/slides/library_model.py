"""The slides of a library as a Qt list: names, facts, states, thumbnails, and a filter of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSortFilterProxyModel, Qt, QTimer

from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.slides.session import SlidesSession

KEY_ROLE = int(Qt.ItemDataRole.UserRole)
STATE_ROLE = KEY_ROLE + 1
DETAIL_ROLE = KEY_ROLE + 2
PROBLEM_ROLE = KEY_ROLE + 3
READABLE_ROLE = KEY_ROLE + 4
SIZE_ROLE = KEY_ROLE + 5

PROBLEMS = "problems"
"""The filter that lets through slides with a problem, beside the states."""


def details(entry: SlideEntry) -> str:
    """Return resolution and size in pixels in words."""
    if not entry.width:
        return "" if entry.is_known else "not looked at yet"
    parts = [f"{entry.width}×{entry.height}"]
    if entry.mpp is not None:
        parts.insert(0, f"{entry.mpp[0]:.3g} µm/px")
    return " · ".join(parts)


def reason(problem: str, name: str) -> str:
    """Return a problem without the words that say which slide it is of: a row has its name."""
    for lead in (f"Cannot open {name!r} as a slide: ", f"Cannot open {name!r}: "):
        if problem.startswith(lead):
            rest = problem.removeprefix(lead)
            return rest[:1].upper() + rest[1:]
    return problem


def size_text(size_bytes: float) -> str:
    """Return a size of a file as people say it: "1.2 GB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size_bytes < 1000 or unit == "TB":
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    raise AssertionError("the loop returns at TB")


class LibraryModel(QAbstractListModel):
    """One row per slide, in the order in which they were added."""

    def __init__(self, session: SlidesSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thumbnails = thumbnails
        self._keys: list[int] = []
        self._rows: dict[int, int] = {}
        session.library_changed.connect(self._on_library)
        session.slides_changed.connect(self.reload)
        session.slide_changed.connect(self._on_slide)
        session.masked_changed.connect(self._touch_all)
        thumbnails.ready.connect(self._on_thumbnail)
        thumbnails.switched.connect(self.reload)
        self.reload()

    def _on_library(self) -> None:
        self._thumbnails.clear()
        self.reload()

    def reload(self) -> None:
        """Read all slides anew."""
        self.beginResetModel()
        self._keys = list(self._session.library.store)
        self._rows = {key: row for row, key in enumerate(self._keys)}
        self.endResetModel()

    def key_at(self, row: int) -> int:
        """Return the id of the slide in a row."""
        return self._keys[row]

    def row_of(self, key: int) -> int:
        """Return the row of a slide, -1 if it is not there."""
        return self._rows.get(key, -1)

    def _on_slide(self, key: int) -> None:
        self._thumbnails.forget(str(key))
        self.touch(key)

    def _on_thumbnail(self, key: str) -> None:
        self.touch(int(key))

    def touch(self, key: int) -> None:
        """Tell the views that a slide looks different."""
        if key in self._rows:
            index = self.index(self._rows[key])
            self.dataChanged.emit(index, index)

    def _touch_all(self) -> None:
        if self._keys:
            self.dataChanged.emit(self.index(0), self.index(len(self._keys) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of slides."""
        return 0 if parent is not None and parent.isValid() else len(self._keys)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return what a view shows of a slide."""
        if not index.isValid() or index.row() >= len(self._keys):
            return None
        key = self._keys[index.row()]
        if not self._session.has(key):
            return None
        entry = self._session.entry(key)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._session.title(key)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(str(key)) if entry.fingerprint else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(key, entry)
        values = {
            KEY_ROLE: key,
            STATE_ROLE: entry.state.value,
            DETAIL_ROLE: details(entry),
            PROBLEM_ROLE: self._in_short(key, entry),
            SIZE_ROLE: size_text(entry.size_bytes) if entry.size_bytes else "",
            READABLE_ROLE: entry.is_readable,
        }
        return values.get(role)

    def _in_short(self, key: int, entry: SlideEntry) -> str:
        return reason(self._session.problem(key), self._session.title(key))

    def _tip(self, key: int, entry: SlideEntry) -> str:
        place = entry.alias if self._session.is_masked else entry.source
        size = size_text(entry.size_bytes) if entry.size_bytes else ""
        lines = [place, details(entry), size, self._session.problem(key)]
        if entry.converted and not self._session.is_masked:
            lines.append(f"OME-Zarr: {entry.converted}")
        return "\n".join(line for line in lines if line)


class LibraryFilter(QSortFilterProxyModel):
    """The rows whose slide matches a text and a state, in the order of the model."""

    def __init__(self, model: LibraryModel, session: SlidesSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._model = model
        self._session = session
        self._words: list[str] = []
        self._state: str | None = None
        self.setSourceModel(model)
        self.setDynamicSortFilter(False)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(100)
        self._later.timeout.connect(self.invalidate)
        session.slide_changed.connect(self._on_slide)
        session.masked_changed.connect(self._on_masked)

    def set_text(self, text: str) -> None:
        """Show only names that hold all words of the text."""
        self._words = text.casefold().split()
        self.invalidate()

    def set_state(self, state: str | None) -> None:
        """Show only one state, or slides with a problem for `PROBLEMS`; all if None."""
        self._state = state
        self.invalidate()

    def _on_masked(self) -> None:
        self.invalidate()

    def _on_slide(self, _key: int) -> None:
        if self._state is not None:
            self._later.start()

    def filterAcceptsRow(self, row: int, _parent: QModelIndex) -> bool:
        """Tell whether a row is shown."""
        key = self._model.key_at(row)
        if not self._session.has(key):
            return False
        entry = self._session.entry(key)
        if self._state == PROBLEMS:
            if not entry.problem:
                return False
        elif self._state is not None and entry.state.value != self._state:
            return False
        name = self._session.title(key).casefold() if self._words else ""
        return all(word in name for word in self._words)
