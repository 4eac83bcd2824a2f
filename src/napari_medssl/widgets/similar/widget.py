"""The dock widget "Find similar": pick a tile, see the most similar ones, fly to them.

More than 300 lines: the one place where all parts are put together; each part has its own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.index.results import Hit
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets._shortcuts import CheatSheet, ShortcutRegistry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._warm_layers import warm_shapes
from napari_medssl.widgets._window_events import CloseGuard
from napari_medssl.widgets.similar.answer_words import AnswerWords
from napari_medssl.widgets.similar.commands import COMMANDS
from napari_medssl.widgets.similar.compare import Compare
from napari_medssl.widgets.similar.concepts_panel import ConceptsPanel
from napari_medssl.widgets.similar.drop_zone import DropZone, accepts
from napari_medssl.widgets.similar.example_strip import ExampleStrip
from napari_medssl.widgets.similar.export_menu import ExportMenu
from napari_medssl.widgets.similar.fly import FlyTo
from napari_medssl.widgets.similar.gallery import Gallery
from napari_medssl.widgets.similar.gallery_model import GalleryModel
from napari_medssl.widgets.similar.header import Header
from napari_medssl.widgets.similar.heatmap import HeatmapPanel
from napari_medssl.widgets.similar.index_panel import IndexPanel
from napari_medssl.widgets.similar.library_choice import LibraryChoice
from napari_medssl.widgets.similar.notes_keeper import NotesKeeper
from napari_medssl.widgets.similar.outlines import HIT, UNWANTED, WANTED, Outlines
from napari_medssl.widgets.similar.pick_tool import PickTool, Role
from napari_medssl.widgets.similar.queries import Queries
from napari_medssl.widgets.similar.search import Searching
from napari_medssl.widgets.similar.session import SimilarSession, area_of
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces
from napari_medssl.widgets.similar.stain import StainLook
from napari_medssl.widgets.similar.threshold import Threshold
from napari_medssl.widgets.similar.tile_pictures import PictureMaker
from napari_medssl.widgets.similar.tools import SearchTools

_STAIN_WORDS = "Taking the stain away ..."


class SimilarWidget(QWidget):
    """Find the tiles of a library that look like a tile, a box or a picture.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the slides.
    recent
        File that remembers the libraries; by default one in the user's data folder.
    """

    def __init__(self, napari_viewer: Any, recent: Path | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        keep_context(napari_viewer)
        self.is_closed = False
        self.session = SimilarSession()
        self.places = SlidePlaces(napari_viewer, self.session, self)
        self.pictures = PictureMaker(self.places.candidates)
        self.thumbnails = Thumbnails(self.pictures, self)
        self.searching = Searching(self.session, self)
        self.queries = Queries(self.session, self)
        self.pick = PickTool(napari_viewer, self.places, self)
        self.fly = FlyTo(napari_viewer, self.places, self)
        self.outlines = Outlines(napari_viewer, self)
        self.choice = LibraryChoice(self.session, self, recent)
        self.notes = NotesKeeper(self.session, self)
        self.export = ExportMenu(self.session, self.places, self.notes, self)
        self.compare = Compare(self.session, self.places, self)
        self.stain = StainLook(self.session, self.places, self)
        self._flown: Area | None = None
        self._build()
        self._connect()
        warm_shapes()
        self._guard = CloseGuard(self, lambda: True, self.shut_down)
        self.setAcceptDrops(True)
        self.choice.open_recent()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.strip = ExampleStrip(self.session, self.places, self.thumbnails)
        self.model = GalleryModel(self.session, self.places, self.thumbnails, self.notes, self)
        self.gallery = Gallery(self.model, self.export.menu)
        self.indexing = IndexPanel(self._viewer, self.session, self.places)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.threshold = Threshold()
        self.heatmap = HeatmapPanel(self._viewer, self.session, self.places, self.threshold)
        self.pages.addTab(self.heatmap, "Heatmap")
        self.concepts = ConceptsPanel(self.session, self.places, self.notes, self.threshold)
        self.pages.addTab(self.concepts, "Concepts")
        self.pages.addTab(self.indexing, "Index")
        self.messages = Messages(self.places.masked_text)
        self.status, self.error = self.messages.status, self.messages.error
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.gallery)
        parts.addWidget(self.pages)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 1)
        parts.setChildrenCollapsible(False)
        self.header = Header(self.session, self.places, self.choice, self.show_keys)
        self.tools = SearchTools(self.session, self.pick, self.ask_picture)
        self.drop = DropZone(self._viewer, self.places, self.queries.ask_picture, self.choice.open)
        self.words = AnswerWords(self.session, self.gallery, self.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        for row in (self.header, self.tools, self.drop, self.strip):
            layout.addWidget(row)
        layout.addWidget(parts, 1)
        layout.addWidget(self.messages)
        self.setMinimumWidth(360)

    def _connect(self) -> None:
        self.keys = ShortcutRegistry()
        register_keys(self.keys, COMMANDS.values(), self)
        self.keys.bind(self._viewer)
        self.pick.picked.connect(self._on_picked)
        self.pick.drawing.connect(self._on_drawing)
        self.tools.why.toggled.connect(self._on_why)
        self.heatmap.failed.connect(self.messages.refuse)
        self.gallery.view.hovered.connect(self.compare.hover)
        for failed in (self.pick.refused, self.searching.failed, self.queries.failed):
            failed.connect(self.messages.refuse)
        self.queries.began.connect(partial(self.messages.tell, is_error=False))
        self.queries.made.connect(self._on_made)
        self.queries.warned.connect(self.messages.say)
        self.fly.failed.connect(self._on_fly_failed)
        self.fly.arrived.connect(self._on_arrived)
        for part in (self.choice, self.notes, self.concepts, self.export, self.drop):
            part.told.connect(self.messages.tell)
        self.gallery.view.marked.connect(self._on_marked)
        self.indexing.told.connect(self.messages.tell)
        self.indexing.indexed.connect(self._on_indexed)
        self.indexing.growing.connect(self.heatmap.grow)
        self.indexing.begun.connect(self.choice.refresh)
        self.gallery.view.opened.connect(self.open_hit)
        self.gallery.view.signed.connect(self.sign_hit)
        self.strip.opened.connect(self._open_example)
        self.session.answered.connect(self._show_outlines)
        self.stain.began.connect(self._on_stain_began)
        self.stain.ended.connect(self._on_stain_ended)
        self.stain.failed.connect(self.messages.refuse)
        self.gallery.badge_clicked.connect(self.tools.no_stain.toggle)
        self.places.front_changed.connect(self._show_outlines)
        settings = read_settings()
        self.thumbnails.use(True, settings.open_cache("similar"))
        threads = (
            self.thumbnails.background,
            self.searching.background,
            self.queries.background,
            self.choice.background,
            self.indexing.background,
            self.heatmap.background,
            self.compare.background,
            self.concepts.background,
            self.export.background,
            self.stain.background,
            self.drop.background,
        )
        self._threads = threads
        self._open_slides = (self.pictures.slides, self.compare.slides, self.export.slides)
        when_gone(self, _shut_down, self._open_slides, threads)

    # -- asking ----------------------------------------------------------------------------------

    def _on_picked(self, front: ShownSlide, area: Area, role: Role) -> None:
        self.messages.refuse("")
        self._flown = None
        self.queries.ask_place(front, area, role)

    def _on_drawing(self, front: ShownSlide, area: Area) -> None:
        if area.width and area.height:
            self.outlines.show(front, [*self._example_outlines(), (area, WANTED)])

    def _on_made(self) -> None:
        self.messages.say("")
        self.messages.refuse("")

    def ask_picture(self) -> None:
        """Ask for a picture to search for."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Search for a picture", "", "Pictures (*.png *.jpg *.jpeg *.tif *.tiff *.bmp)"
        )
        if chosen:
            self.drop.take(Path(chosen), "new")

    def sign_hit(self, hit: Hit, is_wanted: bool) -> None:
        """Search with a hit as an example more."""
        collection, record = self.session.collection, self.session.records.get(hit.tile.slide)
        if collection is None or record is None:
            return
        vector = collection.vector(hit.tile)
        example = Example(vector, area_of(hit.tile), record.path, is_wanted, is_indexed=True)
        self.session.add(example)

    def _on_marked(self, hit: Hit, words: str) -> None:
        self.notes.mark(area_of(hit.tile), words)

    def _on_stain_began(self) -> None:
        if not self.status.text():  # what the query was warned of stays
            self.messages.say(_STAIN_WORDS)

    def _on_stain_ended(self) -> None:
        if self.status.text() == _STAIN_WORDS:
            self.messages.say("")

    def _on_why(self, is_on: bool) -> None:
        self.compare.explains = is_on
        index = self.gallery.view.currentIndex()
        if is_on and index.isValid():
            self.gallery.view.hover(index)

    # -- hits ------------------------------------------------------------------------------------

    def open_hit(self, hit: Hit) -> None:
        """Fly to a hit."""
        self._open(area_of(hit.tile))

    def _open_example(self, example: Example) -> None:
        if example.area is not None:
            self._open(example.area)

    def _open(self, area: Area) -> None:
        self.messages.refuse("")
        self._flown = area
        self.fly.fly(area)
        if self.fly.is_opening:
            self.messages.say(f"Opening {self.places.title(area.slide)} ...")

    def _on_arrived(self, area: Area) -> None:
        self.messages.say("")
        self._flown = area
        self._show_outlines()

    def _on_fly_failed(self, text: str) -> None:
        self._flown = None
        self.messages.refuse(text)

    def _example_outlines(self) -> list[tuple[Area, str]]:
        return [
            (one.area, WANTED if one.is_wanted else UNWANTED)
            for one in self.session.examples
            if one.area is not None and one.area.width
        ]

    def _show_outlines(self) -> None:
        outlines = self._example_outlines()
        if self._flown is not None:
            outlines.append((self._flown, HIT))
        self.outlines.show(self.places.front, outlines)

    # -- library ---------------------------------------------------------------------------------

    def index_front(self) -> None:
        """Index the slide in front."""
        self.pages.setCurrentWidget(self.indexing)
        self.indexing.index_front()

    def keep_concept(self) -> None:
        """Keep the present examples under a name."""
        self.pages.setCurrentWidget(self.concepts)
        self.concepts.ask_keep()

    def count_slides(self) -> None:
        """Count the tiles of all slides that are like the examples."""
        self.pages.setCurrentWidget(self.concepts)
        self.concepts.count()

    def _on_indexed(self, name: str) -> None:
        collection = self.session.collection
        if collection is not None and collection.set_up.name == name:
            self.choice.refresh()
        else:
            self.choice.choose(name)

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        CheatSheet(self.keys, self).show()

    # -- window ----------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a picture or a library that is dragged in."""
        accepts(self, event)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Search for a picture that is dropped; open a library; offer to open a slide."""
        if event is not None:
            self.drop.drop(event)

    def shut_down(self) -> None:
        """Stop all threads and let go of the viewer: the window is about to go."""
        if self.is_closed:
            return
        self.is_closed = True
        self.pick.close()
        self.fly.close()
        self.indexing.close_down()
        self.heatmap.close_down()
        self.compare.close()
        self.stain.close()
        self.notes.close()
        self.places.close()
        self.keys.unbind(self._viewer)
        self.outlines.close()
        _shut_down(self._open_slides, self._threads)


def _shut_down(slides: Sequence[OpenSlides], threads: Sequence[Background]) -> None:
    for thread in threads:
        thread.close()
    for each in slides:
        each.close()
