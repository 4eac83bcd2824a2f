"""The menu "Export": points and labels as tables, groups and columns from tables, the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.map_export import export_groups, export_labels, with_columns
from napari_medssl.backend.map_rows import MapSource
from napari_medssl.io.group_files import GroupTable, MatchedRows, match_rows, read_groups
from napari_medssl.state.history import History
from napari_medssl.state.point_group import NONE, Ids, PointGroup
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets.embedding_map.session import TRUST, MapSession

_TABLES = "Tables (*.csv *.parquet)"


@dataclass(frozen=True)
class _Points:
    """What is written, as it was when it was asked for."""

    source: MapSource
    ids: Ids
    groups: Mapping[int, PointGroup]
    places: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None

    def made_groups(self) -> PointGroups:
        """Return the groups by themselves: those of the window may change meanwhile."""
        made = PointGroups(len(self.ids))
        made.restore(self.ids, self.groups, History(1), 1 + max(self.groups, default=NONE))
        return made


class ExportMenu(QObject):
    """Writes and reads tables in a thread.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: MapSession, canvas: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._parent = parent
        self.background = Background("medssl-map-export", self)
        self.menu = QMenu(parent)
        entries: tuple[tuple[str, str, Callable[[], object]], ...] = (
            (
                "Points as table ...",
                "CSV or Parquet: name, group, place on the map, all columns",
                self.ask_export,
            ),
            (
                "Selected points as table ...",
                "The same of those that are selected",
                partial(self.ask_export, only_selected=True),
            ),
            (
                "Groups as labels for training ...",
                "A tiles.csv of those that are in a cluster",
                self.ask_labels,
            ),
            ("Groups from table ...", "By the names of the points", self.ask_import),
            ("Columns from table ...", "Such as a diagnosis; by the names", self.ask_columns),
            ("Map as picture ...", "PNG, as it is seen now", self.ask_picture),
        )
        for title, tip, action in entries:
            add_entry(self.menu, title, tip, action)

    # -- writing ---------------------------------------------------------------------------------

    def ask_export(self, *, only_selected: bool = False) -> None:
        """Ask for a file, and write the points."""
        if only_selected and not len(self._session.selection):
            self.told.emit("No point is selected.", True)
            return
        path = self._new_file("Export points", "points.csv", _TABLES)
        if path is not None:
            self.export(path, only_selected=only_selected)

    def export(self, path: Path, *, only_selected: bool = False) -> None:
        """Write the points, all or those that are selected."""
        points = self._points(only_selected)
        if points is not None:
            self._write(partial(_write_points, points, path), f"points are in {path.name!r}.")

    def ask_labels(self) -> None:
        """Ask for a file, and write the groups as labels for training."""
        path = self._new_file("Labels for training", "tiles.csv", "Tables (*.csv)")
        if path is not None:
            self.export_labels(path)

    def export_labels(self, path: Path) -> None:
        """Write the points that are in a cluster as labels for training."""
        points = self._points(False)
        if points is not None:
            self._write(partial(_write_labels, points, path), f"labels are in {path.name!r}.")

    def _points(self, only_selected: bool) -> _Points | None:
        session = self._session
        if session.source is None:
            return None
        columns = dict(session.source.columns)
        if session.trust is not None:
            columns |= {name: getattr(session.trust, name) for name in TRUST}
        clusters = session.clusters or PointGroups(session.count)
        return _Points(
            replace(session.source, columns=columns),
            clusters.ids,
            clusters.groups,
            session.places,
            session.selection.mask if only_selected else None,
        )

    def _write(self, work: Callable[[], int], words: str) -> None:
        self.background.submit("write", work, partial(self._on_written, words), self._refuse)

    def _on_written(self, words: str, count: int) -> None:
        hidden = " The table holds the names that are hidden here."
        tail = hidden if self._session.names.is_masked else ""
        self.told.emit(f"{count:,} {words}{tail}", False)

    # -- reading ---------------------------------------------------------------------------------

    def ask_import(self) -> None:
        """Ask for a table, and take its groups."""
        path = self._file("Groups from table")
        if path is not None:
            self.take_groups(path)

    def take_groups(self, path: Path) -> None:
        """Put points into the groups that a table names; the others stay where they are."""
        source = self._session.source
        if source is not None:
            done = partial(self._take_groups, source, path)
            self.background.submit("read", partial(_read, path, source.names), done, self._refuse)

    def _take_groups(
        self, source: MapSource, path: Path, found: tuple[GroupTable, MatchedRows]
    ) -> None:
        if source is not self._session.source:
            return
        table, matched = found
        groups = self._session.made_clusters()
        try:
            names = [table.groups[place] for place in matched.places.tolist()]
            groups.assign_names(matched.rows, names)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self._tell_taken(path, len(matched.rows), matched.unknown)

    def ask_columns(self) -> None:
        """Ask for a table, and take its columns."""
        path = self._file("Columns from table")
        if path is not None:
            self.take_columns(path)

    def take_columns(self, path: Path) -> None:
        """Take the columns of a table, to colour and to filter by."""
        source = self._session.source
        if source is not None:
            work = partial(with_columns, source, path)
            self.background.submit("read", work, partial(self._take_columns, path), self._refuse)

    def _take_columns(self, path: Path, found: Any) -> None:
        made, taken = found
        self._session.take_columns(made)
        self._tell_taken(path, taken.rows, taken.unknown)

    def _tell_taken(self, path: Path, rows: int, unknown: tuple[str, ...]) -> None:
        words = f"{path.name!r} speaks of {rows:,} of the points."
        if unknown:
            words += f" {len(unknown):,} of its names are none of them, such as {unknown[0]!r}."
        self.told.emit(words, False)

    # -- the picture -----------------------------------------------------------------------------

    def ask_picture(self) -> None:
        """Ask for a file, and save the map as it is seen."""
        path = self._new_file("Save the map", "map.png", "Pictures (*.png)")
        if path is not None:
            self.save_picture(path)

    def save_picture(self, path: Path) -> None:
        """Save the map as it is seen."""
        if self._canvas.grab().save(str(path), "PNG"):
            self.told.emit(f"The map is in {path.name!r}.", False)
        else:
            self.told.emit(f"{str(path)!r} cannot be written. Choose another place.", True)

    # -- asking ----------------------------------------------------------------------------------

    def _new_file(self, title: str, name: str, kinds: str) -> Path | None:
        if not self._has_map():
            return None
        chosen, _ = QFileDialog.getSaveFileName(self._parent, title, name, kinds)
        return Path(chosen) if chosen else None

    def _file(self, title: str) -> Path | None:
        if not self._has_map():
            return None
        chosen, _ = QFileDialog.getOpenFileName(self._parent, title, "", _TABLES)
        return Path(chosen) if chosen else None

    def _has_map(self) -> bool:
        if self._session.source is None:
            self.told.emit("There is no map yet. Open pictures or embeddings first.", True)
        return self._session.source is not None

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _write_points(points: _Points, path: Path) -> int:
    groups = points.made_groups()
    return export_groups(points.source, groups, path, places=points.places, mask=points.mask)


def _write_labels(points: _Points, path: Path) -> int:
    return export_labels(points.source, points.made_groups(), path)


def _read(path: Path, names: tuple[str, ...]) -> tuple[GroupTable, MatchedRows]:
    table = read_groups(path)
    return table, match_rows(names, table.names, path.name)
