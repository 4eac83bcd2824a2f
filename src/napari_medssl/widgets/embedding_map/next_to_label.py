"""Hand the pictures that are selected on the map to the widget "Segmentation", to be labelled next.

The pictures are looked for in a thread, which also imports that widget.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.label_order import unlike_first
from napari_medssl.backend.map_pictures import SlideTile
from napari_medssl.backend.map_rows import MapSource
from napari_medssl.backend.slide_regions import SlideRegion, region_name
from napari_medssl.io.images import ImageRef
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.embedding_map.session import MapSession

_PALETTE = "napari_medssl.widgets.segmentation.palette"


@dataclass(frozen=True)
class _Handed:
    """What is handed over, in order; the names of what is not, with the reason."""

    refs: tuple[ImageRef, ...]
    tiles: tuple[SlideTile, ...]
    folder: Path
    lacking: tuple[str, ...]
    palette: Any


class NextToLabel(QObject):
    """Opens the widget "Segmentation" if it is not there, and gives it pictures.

    Those come first that are as unlike each other as can be, see `backend.label_order`: of bundles
    that lie apart one of each, before there is a second of any. Tiles of slides become pictures.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, viewer: Any, session: MapSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self.background = Background("medssl-map-label", self)

    def hand_over(self, place: Path | None) -> None:
        """Hand over what is selected, else what is picked, of the map of a place."""
        session = self._session
        rows = session.selection.rows if len(session.selection) else session.picked.rows
        if session.source is None or not len(rows):
            self.told.emit("No point is selected. Draw around some with Lasso (L) first.", True)
            return
        self.told.emit("Looking for the pictures ...", False)
        work = partial(_prepare, session.source, rows, place)
        self.background.submit("label", work, partial(self._give, session.source), self._refuse)

    def _give(self, source: MapSource, handed: _Handed) -> None:
        if source is not self._session.source:
            self.told.emit("The map was closed; no picture was handed over.", False)
            return
        count = len(handed.refs) + len(handed.tiles)
        lacking = _told_of(handed.lacking)
        if not count:
            self.told.emit(lacking, True)
            return
        widget = handed.palette.PALETTE.find_widget(self._viewer)
        if widget is None:
            self.told.emit("Segmentation was closed. Open it anew from the menu Plugins.", True)
            return
        words = f"{count:,} picture{'s' * (count != 1)} handed to Segmentation"
        words += ", the most unlike each other first." if count > 1 else "."
        self.told.emit(f"{words} {lacking}".rstrip(), bool(lacking))
        if handed.refs:
            widget.next_images.take(handed.refs, handed.folder)
        if handed.tiles:
            widget.slide_regions.take_tiles([self._region(tile) for tile in handed.tiles])

    def _region(self, tile: SlideTile) -> SlideRegion:
        """Return a tile as it is called in the window: its name may be hidden."""
        slide = tile.slide
        box = (tile.x, tile.y, tile.x + tile.size, tile.y + tile.size)
        name = region_name(self._session.names.name(slide.name), slide.path)
        return SlideRegion(name, slide.fingerprint, (slide.path,), box)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _prepare(source: MapSource, rows: NDArray[np.int64], place: Path | None) -> _Handed:
    order = rows[unlike_first(source.embeddings[rows])]
    refs: list[ImageRef] = []
    tiles: list[SlideTile] = []
    lacking: list[str] = []
    for row in order.tolist():
        found = source.pictures[row]
        if isinstance(found, SlideTile):
            tiles.append(found)
        elif found is not None and found.path.is_file():
            refs.append(ImageRef(found.path.absolute(), found.page))
        else:
            lacking.append(source.names[row])
    palette = importlib.import_module(_PALETTE)
    return _Handed(tuple(refs), tuple(tiles), _folder_of(refs, place), tuple(lacking), palette)


def _folder_of(refs: Sequence[ImageRef], place: Path | None) -> Path:
    """Return the folder that was opened, if all pictures are below it, else their innermost."""
    parents = [ref.path.parent for ref in refs]
    if place is not None and place.is_dir():
        place = place.absolute()
        if all(parent.is_relative_to(place) for parent in parents):
            return place
    try:
        return Path(os.path.commonpath(parents))
    except ValueError:  # none, or on several drives
        return parents[0] if parents else Path()


def _told_of(lacking: Sequence[str]) -> str:
    if not lacking:
        return ""
    if len(lacking) == 1:
        what, it = f"The picture {lacking[0]!r} cannot be found.", "it"
    else:
        what, it = f"{len(lacking):,} pictures cannot be found, such as {lacking[0]!r}.", "them"
    return f"{what} Put {it} back, or open the folder of the map again."
