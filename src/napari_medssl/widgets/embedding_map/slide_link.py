"""The map and the slides in the window: fly to a tile, light up what is picked on a slide."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl.backend.map_pictures import SlidePlace, SlideTile, TilePictures
from napari_medssl.state.search_examples import Area
from napari_medssl.widgets.embedding_map.session import MapSession
from napari_medssl.widgets.embedding_map.tile_overlay import TileOverlay
from napari_medssl.widgets.similar.fly import FlyTo
from napari_medssl.widgets.similar.pick_tool import PickTool
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces

_LOOK_MS = 500


class SlidesOfMap:
    """The slides of a map, as `SlidePlaces` asks for them."""

    def __init__(self, pictures: TilePictures) -> None:
        known = (slide for slide in pictures.slides if slide.fingerprint)
        self.records: dict[str, SlidePlace] = {slide.fingerprint: slide for slide in known}

    def mpp_of(self, slide: str) -> float | None:
        """Return None: nobody asks here."""
        return None


class SlideLink(QObject):
    """Made for a source whose rows are tiles of slides, closed when another is opened.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, viewer: Any, session: MapSession, pictures: TilePictures, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._pictures = pictures
        self.places = SlidePlaces(viewer, SlidesOfMap(pictures), self)
        self.fly = FlyTo(viewer, self.places, self)
        self.pick = PickTool(viewer, self.places, self)
        self.overlay = TileOverlay(viewer, session, self.places, self)
        self.places.masked_changed.connect(self.mask_names)
        self.places.front_changed.connect(self.mask_names)
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._look_for_slides)
        self._look.start()
        self.mask_names()
        self.pick.picked.connect(self._on_picked)
        self.pick.refused.connect(self._refuse)
        self.fly.failed.connect(self._refuse)
        self.fly.arrived.connect(self._on_arrived)
        self.overlay.draw_later()

    def _look_for_slides(self) -> None:
        """Look whether the widget "Slides" was opened beside: nobody tells of it."""
        self.places.slides()
        if self.places.is_masked != self._session.names.is_masked:
            self.mask_names()

    def mask_names(self) -> None:
        """Hide the names of slides in all words of the map where the window hides them."""
        self.places.slides()
        if not self.places.is_masked:
            self._session.names.show()
            return
        slides = self._pictures.slides
        short = [
            self.places.title(slide.fingerprint) if slide.fingerprint else f"slide {number}"
            for number, slide in enumerate(slides, start=1)
        ]
        names = [(slide.name, alias) for slide, alias in zip(slides, short, strict=True)]
        self._session.names.hide(names, self.places.masked_text)

    def close(self) -> None:
        """Let go of the viewer."""
        self._look.stop()
        self._session.names.show()
        self.pick.close()
        self.fly.close()
        self.overlay.close()
        self.places.close()

    def go_to(self, tile: SlideTile) -> None:
        """Bring a tile into the middle of the window, on its slide."""
        if not tile.slide.fingerprint:
            self.told.emit(f"It is not known which file the slide {tile.slide.name!r} is.", True)
            return
        self.told.emit("", False)
        size = tile.size
        self.fly.fly(Area(tile.slide.fingerprint, tile.x, tile.y, size, size))
        if self.fly.is_opening:
            self.told.emit(f"Opening {self.places.title(tile.slide.fingerprint)} ...", False)

    def _on_arrived(self, _area: Area) -> None:
        self.told.emit("", False)

    def _refuse(self, text: str) -> None:
        self.told.emit(text, True)

    def _on_picked(self, front: ShownSlide, area: Area, role: str) -> None:
        """Select the tiles of a box, or pick the tile that was clicked."""
        prints = [slide.fingerprint for slide in self._pictures.slides]
        if front.fingerprint not in prints:
            self.told.emit("The slide in front is not among those of the map.", True)
            return
        slide = prints.index(front.fingerprint)
        if area.width and area.height:
            box = (area.x, area.y, area.x + area.width, area.y + area.height)
            rows = self._pictures.rows_in(slide, box)
            rows = rows[self._session.shown[rows]]
            mode = {"new": "replace", "wanted": "union", "unwanted": "difference"}[role]
            self._session.selection.combine(rows, mode, self)
            return
        rows = self._holding(slide, area)
        if len(rows):
            self._session.picked.replace(rows[:1], self)
        else:
            self.told.emit("There is no tile at that place.", True)

    def _holding(self, slide: int, area: Area) -> np.ndarray:
        """Return the rows whose tiles hold a point, that with the nearest middle first."""
        pictures = self._pictures
        rows = np.flatnonzero((pictures.numbers == slide) & self._session.shown)
        low, size = pictures.locations[rows], pictures.sizes[rows, None]
        point = np.array([area.x, area.y])
        inside = ((low <= point) & (point < low + size)).all(axis=1)
        rows = rows[inside]
        middles = pictures.locations[rows] + pictures.sizes[rows, None] / 2
        return rows[np.argsort(np.abs(middles - point).sum(axis=1), kind="stable")]
