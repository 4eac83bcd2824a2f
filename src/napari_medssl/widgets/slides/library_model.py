"""The slides of a library as a Qt list: names, facts, states, thumbnails, and a filter of them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt

from napari_medssl.state.figure_names import folders_to_show
from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.widgets._item_model import (
    DETAIL_ROLE,
    FIRST_OWN_ROLE,
    STATE_ROLE,
    ItemFilter,
    ItemModel,
)
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.slides.session import SlidesSession

PROBLEM_ROLE = FIRST_OWN_ROLE
READABLE_ROLE = FIRST_OWN_ROLE + 1
SIZE_ROLE = FIRST_OWN_ROLE + 2

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


class LibraryModel(ItemModel):
    """One row per slide, in the order in which they were added."""

    def __init__(self, session: SlidesSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(thumbnails, parent)
        self._session = session
        self._folders: dict[str, str] = {}
        session.library_changed.connect(self.start_anew)
        session.slides_changed.connect(self.refresh)
        session.slide_changed.connect(self._on_slide)
        session.masked_changed.connect(self.touch_all)
        thumbnails.ready.connect(self._on_thumbnail)
        self.reload()

    def read_keys(self) -> list[int]:
        """See `ItemModel.read_keys`."""
        entries = self._session.entries()
        places = {str(key): (e.name, e.source.replace("\\", "/")) for key, e in entries.items()}
        self._folders = folders_to_show(places)
        return list(entries)

    def refresh(self) -> None:
        """See `ItemModel.refresh`; names may need a folder now, or no more."""
        former = self._folders
        super().refresh()
        if self._folders != former:
            self.touch_all()

    def _on_slide(self, key: int) -> None:
        self._thumbnails.forget(str(key))
        self.touch(key)

    def _on_thumbnail(self, key: str) -> None:
        self.touch(int(key))

    def name(self, key: int) -> str:
        """Return a slide's name, with a folder if another slide has the same name."""
        if not self._session.has(key):
            return ""
        folder = "" if self._session.is_masked else self._folders.get(str(key), "")
        title = self._session.title(key)
        return f"{title} · {folder}" if folder else title

    def value(self, key: int, role: int) -> Any:
        """See `ItemModel.value`."""
        if not self._session.has(key):
            return None
        entry = self._session.entry(key)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(str(key)) if entry.fingerprint else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(key, entry)
        if role == PROBLEM_ROLE:
            return reason(self._session.problem(key), self._session.title(key))
        values = {
            STATE_ROLE: entry.state.value,
            DETAIL_ROLE: details(entry),
            READABLE_ROLE: entry.is_readable,
            SIZE_ROLE: _size(entry),
        }
        return values.get(role)

    def _tip(self, key: int, entry: SlideEntry) -> str:
        place = entry.alias if self._session.is_masked else entry.source
        lines = [place, details(entry), _size(entry), self._session.problem(key)]
        if entry.converted and not self._session.is_masked:
            lines.append(f"OME-Zarr: {entry.converted}")
        return "\n".join(line for line in lines if line)


class LibraryFilter(ItemFilter):
    """The rows whose slide matches a text and a state, or has a problem."""

    def __init__(self, model: LibraryModel, session: SlidesSession, parent: Any = None) -> None:
        super().__init__(model, parent)
        self._session = session
        session.slide_changed.connect(self.look_later)
        session.masked_changed.connect(self._on_masked)

    def _on_masked(self) -> None:
        self.invalidate()

    def is_in_state(self, key: int) -> bool:
        """See `ItemFilter.is_in_state`; the state may be `PROBLEMS` too."""
        if not self._session.has(key):
            return False
        entry = self._session.entry(key)
        return bool(entry.problem) if self.state == PROBLEMS else entry.state.value == self.state


def _size(entry: SlideEntry) -> str:
    return size_text(entry.size_bytes) if entry.size_bytes else ""
