"""Clusters: made by k-means, then named, merged, split and assigned by a person."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import error_text
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.embedding_map.legend import Legend
from napari_medssl.widgets.embedding_map.medoid_strip import MedoidStrip
from napari_medssl.widgets.embedding_map.session import CLUSTER, MapSession

_MOST_CLUSTERS = 200


class GroupPanel(QWidget):
    """The legend, and below it what edits clusters.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    learn_asked
        The groups marked are to be learned from.
    accept_asked
        What is suggested for the selected points is right.
    """

    told = Signal(str, bool)
    learn_asked = Signal()
    accept_asked = Signal()

    def __init__(
        self, session: MapSession, thumbnails: Thumbnails, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._is_busy = False
        self.background = Background("medssl-map-groups", self)
        self.legend = Legend(session, self)
        self.strip = MedoidStrip(session, thumbnails, self.background)
        self.number = QSpinBox()
        self.number.setRange(0, _MOST_CLUSTERS)
        self.number.setSpecialValueText("auto")
        self.number.setPrefix("K ")
        self.number.setToolTip("How many clusters; auto takes the elbow of k-means")
        self.cluster_button = PushButton(
            "Cluster", "Make clusters anew, by k-means; Ctrl+Z takes it back", self.cluster
        )
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.name.setToolTip("Cluster that the selected points are put into: one that is, or new")
        self.assign_button = PushButton(
            "Assign", "Put the selected points into this cluster (A)", self.assign
        )
        self.learn_button = PushButton(
            "Learn from marked",
            "Suggest a group for all other points from the examples in the groups marked above",
            self.learn_asked.emit,
        )
        self.accept_button = PushButton(
            "Accept suggested",
            "Put the selected points into the groups that were suggested for them",
            self.accept_asked.emit,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.legend, 1)
        layout.addWidget(self.strip)
        row = row_of(
            [self.number, self.cluster_button, QLabel("Put into"), self.name, self.assign_button]
        )
        row.setStretch(3, 1)
        layout.addLayout(row)
        layout.addLayout(row_of([self.learn_button, self.accept_button]))
        self.legend.told.connect(self.told)
        self.legend.split_asked.connect(self.split)
        self.legend.table.itemSelectionChanged.connect(self._on_marked)
        line = self.name.lineEdit()
        if line is not None:
            line.returnPressed.connect(self.assign)
        session.colors_changed.connect(self._fill)
        session.colors_changed.connect(self._show_typical)
        session.selection_changed.connect(self._fill)
        session.opened.connect(self._fill)
        self._fill()

    def cluster(self) -> None:
        """Make clusters anew."""
        source = self._session.source
        if source is None or self._is_refused():
            return
        self._begin("Looking for clusters ...")
        count = self.number.value() or None
        work = partial(
            compute_process().call,
            "napari_medssl.backend.make_map:cluster_rows",
            source.embeddings,
            count,
        )
        self.background.submit(
            "cluster", work, partial(self._on_clustered, source), self._on_failed
        )

    def _on_clustered(self, source: object, labels: NDArray[np.int64]) -> None:
        self._set_busy(False)
        if source is not self._session.source:
            return
        groups = self._session.clusters
        if groups is None:
            self._session.take_clusters(PointGroups.of_labels(labels))
        else:
            groups.relabel(labels)
            self._session.color_by(CLUSTER)
        self.told.emit(f"{len(np.unique(labels))} clusters; Ctrl+Z takes them back.", False)

    def _on_failed(self, error: BaseException) -> None:
        self._set_busy(False)
        self.told.emit(error_text(error), True)

    def split(self, key: int) -> None:
        """Divide a cluster in two."""
        session = self._session
        source, groups = session.source, session.clusters
        if source is None or groups is None or key not in groups or self._is_refused():
            return
        rows = groups.rows_of(key)
        if len(rows) < 2:
            self.told.emit(f"Cluster {groups[key].name!r} has one point: it cannot be split.", True)
            return
        self._begin(f"Splitting {groups[key].name!r} ...")
        work = partial(
            compute_process().call,
            "napari_medssl.backend.make_map:cluster_rows",
            source.embeddings[rows],
            2,
        )
        self.background.submit(
            "cluster", work, partial(self._on_split, groups, key, rows), self._on_failed
        )

    def _on_split(
        self, groups: PointGroups, key: int, rows: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> None:
        self._set_busy(False)
        if groups is not self._session.clusters:
            return
        if key not in groups or not np.array_equal(groups.rows_of(key), rows):
            self.told.emit("The cluster changed meanwhile; split it again.", True)
            return
        name, parts = groups[key].name, groups.split(key, labels)
        if len(parts) < 2:
            self.told.emit(f"The points of {name!r} are all alike: it cannot be split.", True)
            return
        self.told.emit(f"{name!r} is split; Ctrl+Z takes that back.", False)

    def assign(self) -> None:
        """Put the selected points into the cluster that is named."""
        session = self._session
        if session.source is None:
            self.told.emit("There is no map yet. Open pictures or embeddings first.", True)
            return
        rows = session.selection.rows
        if not len(rows):
            self.told.emit("No point is selected. Draw around some on the map first.", True)
            return
        groups = session.made_clusters()
        try:
            key = groups.assign(rows, self.name.currentText())
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"{len(rows):,} points are in {groups[key].name!r} now.", False)

    def _on_marked(self) -> None:
        keys = self.legend.chosen()
        groups = self.legend.groups
        self._show_typical()
        if groups is not None and groups is self._session.clusters and keys and keys[0] != NONE:
            self.name.setCurrentText(groups[keys[0]].name)

    def _show_typical(self) -> None:
        """Show the typical points of the group that is marked, as it is now."""
        keys, groups = self.legend.chosen(), self.legend.groups
        if groups is not None and keys:
            self.strip.show_group(groups, keys[0])
        else:
            self.strip.clear()

    def _fill(self, _source: object = None) -> None:
        has_source = self._session.source is not None
        groups = self._session.clusters
        names = [] if groups is None else [g.name for k, g in groups.groups.items() if k != NONE]
        if [self.name.itemText(n) for n in range(self.name.count())] != names:
            former = self.name.currentText()
            self.name.clear()
            self.name.addItems(names)
            self.name.setCurrentText(former)
        self.number.setEnabled(has_source)
        has_selection = has_source and len(self._session.selection) > 0
        self.assign_button.setEnabled(has_selection)
        self.learn_button.setEnabled(groups is not None)
        self.accept_button.setEnabled(has_selection and self._session.suggested is not None)
        self.cluster_button.setEnabled(has_source and not self._is_busy)

    def _is_refused(self) -> bool:
        """Say that one thing is done after the other, if something is being done."""
        if self._is_busy:
            self.told.emit("Clusters are being looked for. Wait a moment.", True)
        return self._is_busy

    def _begin(self, words: str) -> None:
        """Say what is done from now on."""
        self._set_busy(True)
        self.told.emit(words, False)

    def _set_busy(self, is_busy: bool) -> None:
        self._is_busy = is_busy
        self._fill()

    def close_down(self) -> None:
        """Stop the thread."""
        self.background.close()
