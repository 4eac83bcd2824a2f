"""Show the picture of a row in napari: a file as a layer, a tile at its place on its slide."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.map_pictures import SlideTile
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.embedding_map.session import MapSession

_KIND = "map picture"


class RowOpener(QObject):
    """Opens one row at a time; the picture opened before makes room for it.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    tile_asked
        A `SlideTile` that is to be flown to.
    """

    told = Signal(str, bool)
    tile_asked = Signal(object)

    def __init__(self, viewer: Any, session: MapSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self.background = Background("medssl-map-open", self)
        self.layer: Any = None

    def open(self, row: int) -> None:
        """Show a row."""
        source = self._session.source
        if source is None or not 0 <= row < len(source.names):
            return
        place = source.pictures[row]
        name = self._session.title(row)
        if place is None:
            self.told.emit(f"Nobody knows where the picture of {name!r} is.", True)
        elif isinstance(place, ImageRef):
            self.background.submit(
                "open",
                partial(read_image, place, robust=True),
                partial(self._show, place, name),
                self._refuse,
            )
        elif isinstance(place, SlideTile):
            self.tile_asked.emit(place)

    def _show(self, ref: ImageRef, name: str, pixels: np.ndarray) -> None:
        former, layers = self.layer, self._viewer.layers
        about = {"medssl": {"kind": _KIND, "path": str(ref.path), "page": ref.page}}
        self.layer = self._viewer.add_image(pixels, rgb=True, name=name, metadata=about)
        if former is not None and former in layers:
            layers.remove(former)
        self._viewer.reset_view()
        self.told.emit("", False)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
