"""What the widget works on: a source, its places, how they are coloured, and what is selected.

No Qt here: map, legend, filters, gallery and the slide are views of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medssl.backend.map_source import MapSource
from napari_medssl.backend.map_trust import Trust
from napari_medssl.index.neighbour_graph import NeighbourGraph
from napari_medssl.io.table_columns import Column
from napari_medssl.state.column_groups import groups_of_column
from napari_medssl.state.number_colors import NumberColors
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.state.row_selection import RowSelection
from napari_medssl.widgets.embedding_map.columns import read_anew, value_text
from napari_medssl.widgets.embedding_map.shown_names import ShownNames

CLUSTER = "cluster"
"""The colouring whose groups a person edits and keeps."""

SUGGESTED, SURENESS = "suggested", "sureness"
"""The colourings by what was learned from groups, and by how sure that is."""

TRUST = ("trustworthiness", "continuity", "torn", "false")
"""What is measured of the map at each point, see `backend.map_trust.Trust`."""

Coloring = PointGroups | NumberColors

_GREY = (150, 150, 150)


class MapSession:
    """The state that the parts of the widget share.

    Attributes
    ----------
    opened
        Another source is open, or none; all below is new.
    placed
        The points have places, or others.
    colored
        Another column gives the colours, or other ones are to choose from.
    colors_changed
        Points have other colours.
    shown_changed
        Other points are shown.
    selection_changed, picked_changed
        Emitted with who changed it, or None.
    selection
        What is selected: the gallery shows it, the slide outlines it.
    picked
        What of it is picked in the gallery or on the slide: the map lights it up.
    names
        How names of slides and patients are shown; when that changes, so do the words here.
    """

    opened = Signal()
    placed = Signal()
    colored = Signal()
    colors_changed = Signal()
    shown_changed = Signal()
    selection_changed = Signal(object)
    picked_changed = Signal(object)

    def __init__(self) -> None:
        self.source: MapSource | None = None
        self.names = ShownNames()
        self._empty()

    def _empty(self) -> None:
        count = 0 if self.source is None else len(self.source.names)
        self.places: NDArray[np.float32] | None = None
        self.graph: NeighbourGraph | None = None
        self.trust: Trust | None = None
        self.clusters: PointGroups | None = None
        self.suggested: PointGroups | None = None
        self.selection = RowSelection(count)
        self.picked = RowSelection(count)
        self.selection.changed.connect(self._on_selected)
        self.picked.changed.connect(self._on_picked)
        self._attached: dict[str, Column] = {}  # columns that are not the source's own
        self._colorings: dict[str, Coloring] = {}
        self._filters: dict[str, NDArray[np.bool_]] = {}
        self._color_by = ""
        self._colors: NDArray[np.uint8] = np.full((count, 3), _GREY, np.uint8)
        self._shown: NDArray[np.bool_] = np.ones(count, bool)

    @property
    def count(self) -> int:
        """Points that there are."""
        return 0 if self.source is None else len(self.source.names)

    def _on_selected(self, _mask: object, source: object) -> None:
        self.selection_changed.emit(source)

    def _on_picked(self, _mask: object, source: object) -> None:
        self.picked_changed.emit(source)

    # -- what is shown ---------------------------------------------------------------------------

    def open(self, source: MapSource | None) -> None:
        """Work on another source."""
        self.source = source
        self._empty()
        self.opened.emit()
        names = self.choices()
        self.color_by(names[0] if names else "")

    def place(self, places: NDArray[np.float32]) -> None:
        """Take in the places of the points, float32 (N, 2)."""
        self.places = places
        self.placed.emit()

    def take_trust(self, trust: Trust) -> None:
        """Take in how far the map can be trusted at each point."""
        self.trust = trust
        for name in TRUST:
            self._colorings[name] = NumberColors(getattr(trust, name).astype(np.float64))
        self.colored.emit()
        if self._color_by in TRUST:
            self._recolor()

    def take_clusters(self, clusters: PointGroups) -> None:
        """Take in clusters: they give the colours from now on."""
        self.clusters = clusters
        self._colorings[CLUSTER] = clusters
        self.color_by(CLUSTER)

    def take_suggested(self, suggested: PointGroups, sureness: NDArray[np.float32]) -> None:
        """Take in what was learned from groups: it gives the colours from now on."""
        self.suggested = suggested
        self._colorings[SUGGESTED] = suggested
        self._colorings[SURENESS] = NumberColors(sureness.astype(np.float64))
        self.color_by(SUGGESTED)

    def made_clusters(self) -> PointGroups:
        """Return the clusters, made if there are none yet, and give the colours by them."""
        if self.clusters is None:
            self.take_clusters(PointGroups(self.count))
        self.color_by(CLUSTER)
        assert self.clusters is not None
        return self.clusters

    def take_columns(self, source: MapSource) -> None:
        """Take in the same source with other columns."""
        if self.source is None or source.names is not self.source.names:
            return
        former, self.source = self.source.columns, source
        fresh = {n: values for n, values in source.columns.items() if former.get(n) is not values}
        self._attached |= fresh
        self._recolor_by(fresh)

    def reread_columns(self, columns: Mapping[str, Column]) -> None:
        """Take in the columns of the same rows as they are now; those of a table besides stay."""
        assert self.source is not None
        kept, fresh = read_anew(self.source.columns, {**columns, **self._attached})
        if fresh:
            self.source = replace(self.source, columns=kept)
            self._recolor_by(fresh)

    def _recolor_by(self, columns: Iterable[str]) -> None:
        """Forget the colours of columns that are others now, and colour again."""
        for name in columns:
            self._colorings.pop(name, None)
        names = self.choices()
        self.color_by(self._color_by if self._color_by in names else (*names, "")[0])

    # -- colours ---------------------------------------------------------------------------------

    def choices(self) -> tuple[str, ...]:
        """Return the names of what can give the colours."""
        columns = () if self.source is None else tuple(self.source.columns)
        first = [CLUSTER] if self.clusters else []
        return tuple(dict.fromkeys((*first, *columns, *self._colorings)))

    @property
    def color_name(self) -> str:
        """What gives the colours, "" for nothing."""
        return self._color_by

    @property
    def coloring(self) -> Coloring | None:
        """The colouring that is shown."""
        return self._colorings.get(self._color_by)

    def color_by(self, name: str) -> None:
        """Take the colours from another column."""
        former = self.coloring
        if isinstance(former, PointGroups):
            former.changed.disconnect(self._recolor, missing_ok=True)
        self._color_by = name
        if name and name not in self._colorings:
            self._colorings[name] = self._coloring_of(name)
        if isinstance(self.coloring, PointGroups):
            self.coloring.changed.connect(self._recolor)
        self.colored.emit()
        self._recolor()

    def _coloring_of(self, name: str) -> Coloring:
        assert self.source is not None
        values = self.source.columns[name]
        is_number = values.dtype.kind in "fiu"
        return NumberColors(values.astype(np.float64)) if is_number else groups_of_column(values)

    def _recolor(self, *_: object) -> None:
        coloring = self.coloring
        if coloring is None:
            self._colors = np.full((self.count, 3), _GREY, np.uint8)
        else:
            self._colors = coloring.colors()
        self.colors_changed.emit()
        self._reshow()

    @property
    def colors(self) -> NDArray[np.uint8]:
        """Colour of each point, RGB, shape (N, 3)."""
        return self._colors

    def color_of(self, row: int) -> tuple[int, int, int]:
        """Return the colour of a point."""
        red, green, blue = self._colors[row].tolist()
        return red, green, blue

    def number_columns(self) -> tuple[str, ...]:
        """Return the names of what has a number for each point."""
        columns = {} if self.source is None else self.source.columns
        own = [name for name, values in columns.items() if values.dtype.kind in "fiu"]
        made = [name for name, one in self._colorings.items() if isinstance(one, NumberColors)]
        return tuple(dict.fromkeys((*own, *made)))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return the numbers of such a column, shape (N,)."""
        made = self._colorings.get(name)
        if isinstance(made, NumberColors):
            return made.values
        assert self.source is not None
        return self.source.columns[name].astype(np.float64)

    # -- filters ---------------------------------------------------------------------------------

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which points are shown: in a group that is, and within all filters, shape (N,)."""
        return self._shown

    def filter(self, name: str, mask: NDArray[np.bool_] | None) -> None:
        """Keep only some points, by the filter of a column; None lets all pass."""
        if mask is None:
            self._filters.pop(name, None)
        else:
            self._filters[name] = mask
        self._reshow()

    def _reshow(self) -> None:
        coloring = self.coloring
        shown = np.ones(self.count, bool) if coloring is None else coloring.shown().copy()
        for mask in self._filters.values():
            shown &= mask
        if not np.array_equal(shown, self._shown):
            self._shown = shown
            self.shown_changed.emit()

    # -- words -----------------------------------------------------------------------------------

    def title(self, row: int) -> str:
        """Return the name of a point, without its folders."""
        assert self.source is not None
        return self.names.name(self.source.names[row].replace("\\", "/").rsplit("/", 1)[-1])

    def facts(self, row: int) -> list[str]:
        """Return what is known of a point, a line each."""
        source = self.source
        assert source is not None
        lines = [self.title(row)]
        if self.clusters is not None:
            lines.append(f"{CLUSTER}: {self.clusters[int(self.clusters.ids[row])].name}")
        if self.suggested is not None:
            name = self.suggested[int(self.suggested.ids[row])].name
            lines.append(f"{SUGGESTED}: {name}, {SURENESS} {self.numbers(SURENESS)[row]:.2f}")
        for name, values in source.columns.items():
            value = self.names.value(name, value_text(values[row]))
            lines += [f"{name}: {value}"] if value else []
        if self.trust is not None:
            torn, false = float(self.trust.torn[row]), float(self.trust.false[row])
            lines.append(f"of its neighbours {torn:.0%} torn away, {false:.0%} of those here false")
        return lines

    def neighbours_of(self, row: int) -> Sequence[int]:
        """Return the nearest points by their embeddings, nearest first; none while not known."""
        if self.graph is None:
            return ()
        return [int(n) for n in self.graph.rows[row] if n >= 0]
