"""Learn from groups that a person marked: suggestions for the others, and a map that shows it."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.learn_groups import UNKNOWN, Learned, LearnRequest
from napari_medssl.backend.map_layout import LayoutConfig
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.widgets.embedding_map.making import Making
from napari_medssl.widgets.embedding_map.session import MapSession


class Learning(QObject):
    """Asks for suggestions, takes them in, and puts points into the groups that were suggested.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: MapSession, making: Making, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._making = making
        self._asked: PointGroups | None = None  # as they were when it was asked
        self._taught: dict[int, int] = {}  # their ids by those of what is suggested

    def learn(self, keys: list[int], config: LayoutConfig) -> None:
        """Learn from the clusters with these ids; the points of all others are suggested one."""
        session = self._session
        source, graph, clusters = session.source, session.graph, session.clusters
        chosen = [key for key in keys if key != NONE]
        if source is None or graph is None or clusters is None or self._making.jobs.is_busy:
            self.told.emit("The map is being made. Learn once it is there.", True)
            return
        if len(chosen) < 2:
            self.told.emit(
                "Mark two groups or more in the legend (Ctrl+click): those of your examples.",
                True,
            )
            return
        labels = np.where(np.isin(clusters.ids, chosen), clusters.ids, UNKNOWN).astype(np.int64)
        self._asked = clusters
        self.told.emit("", False)
        self._making.learn(LearnRequest(source.embeddings, graph, labels, config, None))

    def take(self, learned: Learned) -> None:
        """Take in what was learned."""
        session, clusters = self._session, self._asked
        if clusters is None or clusters is not session.clusters:
            return  # another source was opened
        ids = learned.group.astype(np.int32)
        keys = [key for key in np.unique(ids).tolist() if key in clusters]
        made = PointGroups.of_labels(
            np.where(np.isin(ids, keys), ids, -1), {key: clusters[key].name for key in keys}
        )
        self._taught = {}
        for key in keys:
            own = made.id_of(clusters[key].name)
            if own is not None:
                made.recolor(own, clusters[key].color)
                self._taught[own] = key
        session.take_suggested(made, learned.sureness)
        sure = int((learned.sureness[~np.isin(clusters.ids, keys)] >= 0.9).sum())
        self.told.emit(
            f"{sure:,} suggestions have a sureness of .9 or more. Select those that are right, "
            "then Accept.",
            False,
        )

    def accept(self) -> None:
        """Put the selected points into the groups that were suggested for them."""
        session = self._session
        suggested, rows = session.suggested, session.selection.rows
        if suggested is None:
            self.told.emit("Nothing was suggested yet. Learn from groups first.", True)
            return
        if not len(rows):
            self.told.emit("Select the points whose suggestions you accept.", True)
            return
        rows = rows[suggested.ids[rows] != NONE]  # a group may have gone while it was learned from
        clusters = session.made_clusters()
        names = {key: self._name_of(key, suggested, clusters) for key in suggested.groups}
        clusters.assign_names(rows, [names[key] for key in suggested.ids[rows].tolist()])
        self.told.emit(f"{len(rows):,} suggestions are accepted; Ctrl+Z takes that back.", False)

    def _name_of(self, key: int, suggested: PointGroups, clusters: PointGroups) -> str:
        """Return the name that a suggested group has now: it may have been renamed since."""
        own = self._taught.get(key, NONE)
        return clusters[own].name if own != NONE and own in clusters else suggested[key].name
