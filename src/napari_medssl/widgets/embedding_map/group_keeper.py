"""Keep the clusters of a source on disk as a person edits them, and find them again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.map_source import MapSource
from napari_medssl.state.group_folder import GroupFolder
from napari_medssl.state.group_place import groups_place
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.embedding_map.session import MapSession

_LOOK_MS = 500


class GroupKeeper(QObject):
    """Opens the folder of groups of a source, and hands its groups to the session.

    Groups that were found there stay; else those that k-means finds are the first ones. Where
    nothing can be kept, groups live in memory, and that is said.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, session: MapSession, parent: QWidget, data_folder: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self._data_folder = data_folder
        self.background = Background("medssl-map-groups-folder", self)
        self.folder: GroupFolder | None = None
        self._labels: NDArray[np.int64] | None = None  # that came before the folder was open
        self._is_opening = False
        self._refused = ""
        self._why_not = ""  # nothing can be kept
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._tell_unsaved)
        self._look.start()

    @property
    def is_opening(self) -> bool:
        """True until it is known what was kept."""
        return self._is_opening

    @property
    def unsaved(self) -> str:
        """Why what a person made would be lost with another source, "" if it would not."""
        clusters = self._session.clusters
        if self._is_opening or clusters is None or not clusters.history.edits:
            return ""
        return self._why_not if self.folder is None else self.folder.save_error or ""

    def open(self, place: Path, source: MapSource, *, repair: bool = False) -> None:
        """Look for the groups of a source, and keep them from now on."""
        self._is_opening, self._labels, self._why_not = True, None, ""
        self._let_go()
        if not self._is_open(source):
            return  # another was opened while the last changes of the former were written
        work = partial(_open, place, source, self._data_folder, repair)
        self.background.submit(
            "open", work, partial(self._take, source), partial(self._refuse, place, source)
        )

    def take_labels(self, labels: NDArray[np.int64]) -> None:
        """Take clusters that k-means found: they count where a person has made none."""
        if self._is_opening:
            self._labels = labels
        elif self._session.clusters is None:
            self._session.take_clusters(PointGroups.of_labels(labels))
        elif _is_empty(self._session.clusters):
            self._session.clusters.begin(labels)

    def close(self) -> None:
        """Write what is left, and let go of the folder."""
        self._is_opening = False
        self._let_go()

    def _is_open(self, source: MapSource) -> bool:
        """Say whether it is the one that is open, with whatever columns."""
        now = self._session.source
        return now is not None and now.names is source.names

    def _let_go(self) -> None:
        self.background.drop("open")
        folder, self.folder = self.folder, None
        if folder is not None:
            try:
                wait_for(folder.close)
            except UserError as error:
                self.told.emit(str(error), True)

    def _take(self, source: MapSource, folder: GroupFolder) -> None:
        if not self._is_open(source):
            folder.close()
            return
        self.folder, self._is_opening = folder, False
        labels, self._labels = self._labels, None
        groups, added = folder.groups, folder.carried.added
        if _is_empty(groups) and labels is not None:
            groups.begin(labels)
        _add(self._session.clusters, groups)
        self._session.take_clusters(groups)
        if added and not _is_empty(groups) and folder.carried.known:
            self.told.emit(f"{added:,} points are new since: they are in no cluster.", False)

    def _refuse(self, place: Path, source: MapSource, error: BaseException) -> None:
        if not self._is_open(source):
            return
        if isinstance(error, ProjectDamagedError) and questions.may(
            self._parent, "Damaged groups", f"{error}\n\nGo on with what can be read?"
        ):
            labels = self._labels
            self.open(place, source, repair=True)
            self._labels = labels
            return
        self._is_opening = False
        self._why_not = error_text(error)
        self.told.emit(f"Clusters are not saved: {self._why_not}", True)
        labels, self._labels = self._labels, None
        if labels is not None:
            self.take_labels(labels)

    def _tell_unsaved(self) -> None:
        folder = self.folder
        reason = None if folder is None else folder.save_error
        if reason is not None and reason != self._refused:
            self.told.emit(f"Changes cannot be saved: {reason}. They are kept in memory.", True)
        self._refused = reason or ""

    def close_down(self) -> None:
        """Write what is left, and stop the thread."""
        self._look.stop()
        self.close()
        self.background.close()


def _is_empty(groups: PointGroups) -> bool:
    """Say whether nobody ever made a group."""
    return len(groups.groups) == 1 and not groups.history.edits


def _add(made: PointGroups | None, groups: PointGroups) -> None:
    """Take over what a person made before it was known what was kept."""
    if made is not None and made.history.edits:
        rows = np.flatnonzero(made.ids != NONE)
        groups.assign_names(rows, made.names()[rows].tolist())


def _open(place: Path, source: MapSource, data_folder: Path | None, repair: bool) -> GroupFolder:
    folder = groups_place(place, data_folder)
    return GroupFolder.open(folder, source.names, source.content, repair=repair)
