"""Make the link to the slides of the window when a map has tiles: what it needs is imported then.

The widget "Slides" and all it draws with take half a second to import, so a thread does that.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.map_pictures import SlideTile, TilePictures
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.embedding_map.session import MapSession

if TYPE_CHECKING:
    from napari_medssl.widgets.embedding_map.slide_link import SlideLink

_LINK = "napari_medssl.widgets.embedding_map.slide_link"
_SLIDES = "napari_medssl.widgets.slides.widget"


class SlideBridge(QObject):
    """Holds the link of the map that is open, if that has tiles.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    linked
        There is a link now, or none.
    """

    told = Signal(str, bool)
    linked = Signal()

    def __init__(self, viewer: Any, session: MapSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._wanted: SlideTile | None = None
        self.link: SlideLink | None = None
        self.background = Background("medssl-map-slides", self)
        session.opened.connect(self._on_opened)

    def go_to(self, tile: SlideTile) -> None:
        """Fly to a tile, as soon as that is possible."""
        self._wanted = tile
        if self.link is not None:
            self._fly()

    def close_down(self) -> None:
        """Let go of the viewer, and stop the thread."""
        self.background.close()
        self._drop()

    def _on_opened(self) -> None:
        self._drop()
        source = self._session.source
        if source is None or not isinstance(source.pictures, TilePictures):
            return
        if _SLIDES in sys.modules:  # names may be hidden there: no word before that is known
            self._make(_load())
        else:
            self.background.submit("link", _load, self._make, self._refuse)

    def _make(self, module: Any) -> None:
        source = self._session.source
        if source is None or not isinstance(source.pictures, TilePictures):
            return
        self.link = module.SlideLink(self._viewer, self._session, source.pictures, self)
        self.link.told.connect(self.told)
        self.linked.emit()
        self._fly()

    def _fly(self) -> None:
        tile, self._wanted = self._wanted, None
        if tile is not None and self.link is not None:
            self.link.go_to(tile)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)

    def _drop(self) -> None:
        self.background.drop("link")
        link, self.link, self._wanted = self.link, None, None
        if link is not None:
            link.close()
            link.deleteLater()
            self.linked.emit()


def _load() -> Any:
    return importlib.import_module(_LINK)
