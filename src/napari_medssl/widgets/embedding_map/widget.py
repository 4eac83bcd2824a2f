"""The dock widget "Embedding map": see what is alike, select, name, and go there.

More than 300 lines: the one place where all parts are put together; each part has its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.folders import cache_folder
from napari_medssl.backend.make_map import FormerMap
from napari_medssl.backend.map_source import MapSource, SourceConfig
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._header import Header
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets._shortcuts import CheatSheet, ShortcutRegistry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._window_events import CloseGuard
from napari_medssl.widgets.embedding_map.canvas import MapCanvas
from napari_medssl.widgets.embedding_map.commands import COMMANDS
from napari_medssl.widgets.embedding_map.decode_view import DecodeView
from napari_medssl.widgets.embedding_map.export_menu import ExportMenu
from napari_medssl.widgets.embedding_map.filter_panel import FilterPanel
from napari_medssl.widgets.embedding_map.gallery import Gallery
from napari_medssl.widgets.embedding_map.gallery_model import GalleryModel
from napari_medssl.widgets.embedding_map.group_keeper import GroupKeeper
from napari_medssl.widgets.embedding_map.group_panel import GroupPanel
from napari_medssl.widgets.embedding_map.hover_card import NEIGHBOURS, HoverCard
from napari_medssl.widgets.embedding_map.learning import Learning
from napari_medssl.widgets.embedding_map.making import Making
from napari_medssl.widgets.embedding_map.map_keys import MapKeys
from napari_medssl.widgets.embedding_map.map_panel import MapPanel
from napari_medssl.widgets.embedding_map.next_to_label import NextToLabel
from napari_medssl.widgets.embedding_map.open_menu import OpenMenu
from napari_medssl.widgets.embedding_map.row_opener import RowOpener
from napari_medssl.widgets.embedding_map.row_pictures import RowPictures, RowThumbnails
from napari_medssl.widgets.embedding_map.selection_bar import SelectionBar
from napari_medssl.widgets.embedding_map.session import CLUSTER, MapSession
from napari_medssl.widgets.embedding_map.slide_bridge import SlideBridge
from napari_medssl.widgets.embedding_map.toolbar import Toolbar

MOST_MARKED = 300  # points that have a ring at once
_ENDINGS = (".parquet", ".npy", ".h5", ".hdf5", ".library", ".embeddings")


class EmbeddingMapWidget(QWidget):
    """Shows embeddings on a plane; what is selected there is selected everywhere.

    Parameters
    ----------
    napari_viewer
        The viewer that shows pictures and slides.
    recent
        File that remembers what was open; by default one in the user's data folder.
    work
        Makes a map, see `making.Making`; by default the backend.
    cache
        Folder where finished maps are kept; by default in the user's cache.
    groups
        Folder where clusters are kept that cannot lie beside their source; by default the user's.
    """

    def __init__(
        self,
        napari_viewer: Any,
        recent: Path | None = None,
        work: Callable[..., Any] | None = None,
        cache: Path | None = None,
        groups: Path | None = None,
    ) -> None:
        super().__init__()
        self._viewer = napari_viewer
        keep_context(napari_viewer)
        self.is_closed = False
        settings = read_settings()
        self.session = MapSession()
        self.opening = OpenMenu(self, recent)
        self.making = Making(self, work, cache or cache_folder(settings.cache_folder) / "maps")
        self.pictures = RowPictures(self.session)
        self.thumbnails = Thumbnails(self.pictures, self)
        self.thumbnails.use(settings.has_thumbnails, settings.open_cache("map"))
        self._place: Path | None = None  # of what is shown
        self._wanted: Path | None = None  # of what was asked for last
        self._is_following = False
        self._build(groups)
        self._connect()
        self._guard = CloseGuard(self, self._may_leave, self.shut_down)
        self.setAcceptDrops(True)

    # -- building --------------------------------------------------------------------------------

    def _build(self, groups: Path | None) -> None:
        self.canvas = MapCanvas()
        self.canvas.set_thumbnails(RowThumbnails(self.thumbnails, self))
        self.card = HoverCard(self.session, self.thumbnails, self.canvas)
        self.decoding = DecodeView(self.session, self.canvas)
        self.export = ExportMenu(self.session, self.canvas, self)
        self.bar = SelectionBar(self.session)
        self.model = GalleryModel(self.session, self.thumbnails, self)
        self.gallery = Gallery(self.model)
        self.groups = GroupPanel(self.session, self.thumbnails)
        self.filters = FilterPanel(self.session)
        self.map_panel = MapPanel(self.session)
        self.keeper = GroupKeeper(self.session, self, groups)
        self.learning = Learning(self.session, self.making, self)
        self.opener = RowOpener(self._viewer, self.session, self)
        self.slides = SlideBridge(self._viewer, self.session, self)
        self.labelling = NextToLabel(self._viewer, self.session, self)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        for page, title in (
            (self.gallery, "Pictures"),
            (self.groups, "Groups"),
            (self.filters, "Filters"),
            (self.map_panel, "Map"),
        ):
            self.pages.addTab(page, title)
        self.messages = Messages(self.session.names.text)
        self.status, self.error = self.messages.status, self.messages.error
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.tools = Toolbar(self.session)
        column.addWidget(self.tools)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.bar)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(upper)
        parts.addWidget(self.pages)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 1)
        parts.setChildrenCollapsible(False)
        parts.setSizes([560, 290])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self._build_header())
        layout.addWidget(parts, 1)
        layout.addWidget(self.making.jobs)
        layout.addWidget(self.messages)
        self.setMinimumWidth(380)

    def _build_header(self) -> QWidget:
        header = Header(
            (
                ("Open", "Open pictures, embeddings or a library of tiles", self.opening.menu),
                ("Export", "Write points, clusters or the picture", self.export.menu),
            ),
            self.show_keys,
        )
        self.title = header.title
        self.title.setText("No map")
        return header

    def _connect(self) -> None:
        self.keys = ShortcutRegistry()
        register_keys(self.keys, COMMANDS.values(), self)
        self._map_keys = MapKeys(self.keys, self.canvas)
        self.opening.chosen.connect(self.open)
        self.making.stepped.connect(self._on_step)
        self.making.ended.connect(self._on_ended)
        self.map_panel.layout_asked.connect(self.lay_out)
        self.groups.learn_asked.connect(self.learn)
        self.groups.accept_asked.connect(self.learning.accept)
        for part in (
            self.opening,
            self.groups,
            self.map_panel,
            self.export,
            self.opener,
            self.slides,
            self.keeper,
            self.learning,
            self.labelling,
        ):
            part.told.connect(self.messages.tell)
        self.canvas.chosen.connect(self._on_chosen)
        self.canvas.clicked.connect(self._on_clicked)
        self.canvas.hovered.connect(self._on_hovered)
        self.canvas.dwelled.connect(self._on_dwelled)
        self.canvas.place_hovered.connect(self.decoding.look_at)
        self.map_panel.decoder_chosen.connect(self.decoding.use)
        self.decoding.failed.connect(self._on_not_decoded)
        self.bar.label_asked.connect(self.label_next)
        self.gallery.view.picked.connect(self._on_picked)
        self.gallery.view.opened.connect(self.opener.open)
        self.opener.tile_asked.connect(self.slides.go_to)
        self.slides.linked.connect(self._on_linked)
        self.gallery.view.hovered.connect(self._on_gallery_hovered)
        self.tools.tool_chosen.connect(self.set_tool)
        self.tools.slide_switched.connect(self._pick_on_slide)
        session = self.session
        session.opened.connect(self._on_opened)
        session.placed.connect(self._on_placed)
        session.colors_changed.connect(self._on_colors)
        session.shown_changed.connect(self._on_shown)
        session.selection_changed.connect(self._on_selection)
        session.picked_changed.connect(self._on_picked_changed)
        session.names.changed.connect(self._on_names)
        self.threads: tuple[Background, ...] = (
            self.opening.background,
            self.thumbnails.background,
            self.groups.background,
            self.map_panel.background,
            self.export.background,
            self.opener.background,
            self.slides.background,
            self.labelling.background,
        )
        when_gone(self, _let_go, self.threads)
        self.set_tool("pan")
        self._on_opened()

    # -- opening ---------------------------------------------------------------------------------

    def open(self, place: Path) -> None:
        """Make the map of pictures, of embeddings or of a library.

        Of what is open already, points that are still the same stay where they are.
        """
        if not self._may_leave():
            return
        self._make(Path(place), self._former() if self._place == Path(place) else None)

    def _may_leave(self) -> bool:
        """Ask before clusters are lost that could not be saved."""
        why = "" if self.is_closed else self.keeper.unsaved
        words = "They are lost if you go on; Export > Points as table keeps them. Go on?"
        return not why or questions.may(self, "Clusters are not saved", f"{why}\n\n{words}")

    def lay_out(self) -> None:
        """Lay the map out anew with the settings of the page "Map"."""
        if self._place is not None:
            self._make(self._place, None)

    def _make(self, place: Path, former: FormerMap | None) -> None:
        self._wanted = place
        self.messages.tell("", False)
        source = SourceConfig(device=read_settings().device)
        self.making.start(place, self.map_panel.form.config(), source, former)

    def _former(self) -> FormerMap | None:
        """Return the map that is shown, if it is finished."""
        session = self.session
        if session.source is None or session.places is None or session.trust is None:
            return None
        return FormerMap(session.source.names, session.source.embeddings, session.places)

    def _on_step(self, name: str, value: Any) -> None:
        session = self.session
        if name == "source":
            self._take_source(value)
        elif name == "graph":
            session.graph = value
        elif name == "places":
            session.place(value)
        elif name == "labels":
            self.keeper.take_labels(value)
        elif name == "trust":
            session.take_trust(value)
        elif name == "learned":
            self.learning.take(value)

    def _take_source(self, source: MapSource) -> None:
        former = self.session.source
        is_there = self._place == self._wanted
        if is_there and former is not None and _is_same(former, source):
            # The map alone is made anew: selection and clusters stay.
            self.session.reread_columns(source.columns)
            return
        self._place = self._wanted
        self.session.open(source)
        if self._place is not None:
            self.opening.note_open(self._place)
            self.title.setText(f"<b>{escape(_title_of(self._place))}</b>")
            self.title.setToolTip(str(self._place))
            self.keeper.open(self._place, source)
        if source.failures:
            name, reason = source.failures[0]
            count = len(source.failures)
            self.messages.refuse(f"{count} left out, such as {name}: {reason}")

    def _on_ended(self, words: str, has_failed: bool) -> None:
        if words:
            self.messages.tell(words, has_failed)

    def _on_opened(self) -> None:
        self.thumbnails.clear()
        self.card.show_row(-1, QPoint())
        self.model.show(np.zeros(0, np.int64))
        self._is_following = False
        if self.session.places is None:
            self.canvas.set_places(np.zeros((0, 2), np.float32))
        self._count()

    # -- the map ---------------------------------------------------------------------------------

    def _on_placed(self) -> None:
        places = self.session.places
        if places is None:
            return
        if self._is_following and len(places) == self.canvas.rows.count:
            self.canvas.move_places(places)
            return
        self.canvas.set_places(places)
        self._is_following = True
        self._on_colors()
        self.canvas.set_shown(self.session.shown)
        self._select_on_map()

    def _on_colors(self) -> None:
        if self.canvas.rows.count == self.session.count:
            self.canvas.set_colors(self.session.colors)

    def _on_shown(self) -> None:
        if self.canvas.rows.count == self.session.count:
            self.canvas.set_shown(self.session.shown)

    def set_tool(self, name: str) -> None:
        """Have the left button of the mouse move the map, or select on it."""
        self.canvas.tool = name
        self.tools.show_tool(name)

    def _pick_on_slide(self, is_on: bool) -> None:
        if self.slides.link is not None:
            self.slides.link.pick.set_mode("box" if is_on else "")

    def _on_linked(self) -> None:
        link = self.slides.link
        self.tools.slide_button.setVisible(link is not None)
        self.tools.slide_button.setChecked(False)
        if link is not None:
            link.pick.mode_changed.connect(self._on_pick_mode)

    def _on_pick_mode(self) -> None:
        link = self.slides.link
        self.tools.slide_button.setChecked(link is not None and link.pick.mode == "box")

    def _on_hovered(self, row: int) -> None:
        if row != self.card.row:
            self.card.show_row(-1, QPoint())
        self._link(row)

    def _on_names(self) -> None:
        """Hide what was said before names were to be hidden."""
        self.card.show_row(-1, QPoint())
        self.messages.mask_again()

    def _link(self, row: int) -> None:
        """Draw lines from a row to its nearest in truth; none from row -1."""
        if self.canvas.rows.count == self.session.count:
            near = self.session.neighbours_of(row)[:NEIGHBOURS] if row >= 0 else ()
            self.canvas.set_links(row, near)

    def _on_dwelled(self, row: int) -> None:
        if row >= 0:
            x, y = self.canvas.view.to_screen(self.canvas.rows.places_of(row))[0]
            self.card.show_row(row, QPoint(round(x), round(y)))

    def _on_not_decoded(self, text: str) -> None:
        self.map_panel.stop_decoding()
        self.messages.refuse(text)

    # -- selecting -------------------------------------------------------------------------------

    def _on_chosen(self, rows: NDArray[np.int64], mode: str) -> None:
        self.session.selection.combine(rows, mode, self.canvas)

    def _on_clicked(self, row: int, modifiers: Any) -> None:
        if row < 0:
            return
        keyboard = Qt.KeyboardModifier
        if modifiers & (keyboard.ShiftModifier | keyboard.ControlModifier):
            self.session.selection.toggle([row], self.canvas)
        else:
            self.session.picked.replace([row], self.canvas)

    def _on_selection(self, _source: object = None) -> None:
        self._select_on_map()
        self.model.show(self.session.selection.rows)
        self._count()

    def _select_on_map(self) -> None:
        selection = self.session.selection
        if self.canvas.rows.count == self.session.count:
            self.canvas.set_selected(selection.mask if len(selection) else None)

    def _count(self) -> None:
        count = len(self.session.selection)
        self.gallery.count.setText(f"{count:,} selected" if count else "")

    def _on_picked(self, rows: NDArray[np.int64]) -> None:
        self.session.picked.replace(rows, self.gallery)

    def _on_picked_changed(self, source: object = None) -> None:
        if self.canvas.rows.count == self.session.count:
            self.canvas.set_marked(self.session.picked.rows[:MOST_MARKED])

    def _on_gallery_hovered(self, row: int) -> None:
        near = self.session.neighbours_of(row)[:NEIGHBOURS] if row >= 0 else ()
        self.canvas.set_links(row, near)

    def clear(self) -> None:
        """Leave a half-drawn lasso, else select and pick nothing."""
        if self.canvas.gestures.is_busy:
            self.canvas.gestures.cancel()
            self.canvas.update()
            return
        self.session.selection.clear(self)
        self.session.picked.clear(self)

    def keep_picked(self) -> None:
        """Select what is picked in the gallery or on the map, and nothing else."""
        if len(self.session.picked):
            self.session.selection.replace(self.session.picked.mask, self)

    def add_near(self) -> None:
        """Select the true neighbours of what is selected, or picked, as well."""
        session = self.session
        chosen = session.selection.rows if len(session.selection) else session.picked.rows
        if session.graph is None or not len(chosen):
            self.messages.refuse("Select points first; their neighbours are known once they are.")
            return
        near = session.graph.rows[chosen].ravel()
        near = near[near >= 0]
        near = near[session.shown[near]]
        session.selection.union(np.unique(np.concatenate([chosen, near])), self)

    def show_selection(self) -> None:
        """Bring what is selected, or picked, into sight."""
        session = self.session
        rows = session.selection.rows if len(session.selection) else session.picked.rows
        if len(rows):
            self.canvas.centre_on(rows)

    def open_picked(self) -> None:
        """Open the point that is picked: its picture, or its slide at its place."""
        rows = self.session.picked.rows
        if len(rows):
            self.opener.open(int(rows[0]))

    def label_next(self) -> None:
        """Have what is selected, or picked, be labelled next in the widget "Segmentation"."""
        self.labelling.hand_over(self._place)

    def learn(self) -> None:
        """Learn from the groups that are marked in the legend."""
        keys = self.groups.legend.chosen() if self.session.color_name == CLUSTER else []
        self.learning.learn(keys, self.map_panel.form.config())

    # -- clusters --------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take the last edit of clusters back."""
        clusters = self.session.clusters
        edit = None if clusters is None else clusters.undo()
        self.messages.say("Nothing to undo." if edit is None else f"Undone: {edit.name}.")

    def redo(self) -> None:
        """Bring the last undone edit of clusters back."""
        clusters = self.session.clusters
        edit = None if clusters is None else clusters.redo()
        self.messages.say("Nothing to redo." if edit is None else f"Redone: {edit.name}.")

    # -- window ----------------------------------------------------------------------------------

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        CheatSheet(self.keys, self).show()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a folder or a file of embeddings that is dragged in."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what is dropped."""
        if event is not None:
            urls = event.mimeData().urls()
            places = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
            if places:
                self.open(places[0])
            else:
                self.messages.refuse("What was dropped is no file or folder of this machine.")

    def shut_down(self) -> None:
        """Stop all threads: the window is about to go."""
        if self.is_closed:
            return
        self.is_closed = True
        self.making.stop()
        self.keeper.close_down()
        self.decoding.close_down()
        self.slides.close_down()
        _let_go(self.threads)


def _title_of(place: Path) -> str:
    """Return the name of a place; a folder may have a dot in its own."""
    return place.stem if place.suffix.casefold() in _ENDINGS else place.name


def _is_same(one: MapSource, other: MapSource) -> bool:
    return one.names == other.names and np.array_equal(one.embeddings, other.embeddings)


def _let_go(threads: tuple[Background, ...]) -> None:
    for thread in threads:
        thread.close()
