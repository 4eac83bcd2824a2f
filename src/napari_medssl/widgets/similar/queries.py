"""Turn what was picked into examples: from the library where it has the tile, else embedded.

Both block, so both run in threads; the network itself runs in the compute process.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.index.collection import SearchCollection
from napari_medssl.index.view import make_tile
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.similar.mpp_box import NO_MPP
from napari_medssl.widgets.similar.pick_tool import Role
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import ShownSlide

_EMBED = "napari_medssl.backend.embed_query:"
_LEAST_TISSUE = 0.1  # part of a tile
_MOST_IN_BOX = 256  # tiles whose mean stands for a box; more are sampled


def indexed_example(collection: SearchCollection, source: str, area: Area) -> Example | None:
    """Return an example from the library's own embeddings, None if it has none there.

    A point asks with the tile that it lies in; a box with the mean of the tiles whose middles lie
    in it.
    """
    if area.slide not in {one.fingerprint for one in collection.slides}:
        return None
    tiles = collection.tiles(area.slide)
    if not len(tiles):
        return None
    if not area.width:
        nearest = collection.nearest_tile(area.slide, area.middle)
        if not nearest.holds(area.middle):
            return None
        found = Area(area.slide, nearest.x, nearest.y, nearest.size, nearest.size)
        return Example(collection.vector(nearest), found, source, is_indexed=True)
    x, y = (tiles[axis] + tiles["size"] / 2 for axis in "xy")
    is_in = (x >= area.x) & (x < area.x + area.width) & (y >= area.y) & (y < area.y + area.height)
    if not is_in.any():
        return None
    rows = tiles[is_in]
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_IN_BOX)).astype(np.int64)]
    vectors = [collection.vector(make_tile(area.slide, row)) for row in rows]
    mean = np.mean(vectors, axis=0)
    length = float(np.linalg.norm(mean))
    return Example((mean / length).astype(np.float32), area, source) if length > 1e-6 else None


def place_example(
    collection: SearchCollection, source: str, area: Area, mpp: float | None, device: str
) -> tuple[Example, str]:
    """Return an example for an area of a slide, from the library, else embedded now; blocks.

    The second value warns of a place without tissue, "" where there is some.

    Raises
    ------
    UserError
        If it cannot be embedded.
    """
    known = indexed_example(collection, source, area)
    if known is not None:
        return known, _glass_words(_least_tissue(collection, known))
    _check_not_changed(collection, source, area.slide)
    box = (area.x, area.y, area.width, area.height)
    vector, size, tissue = compute_process().call(
        f"{_EMBED}embed_area",
        collection.set_up,
        collection.encoder_given,
        source,
        box,
        device,
        mpp=mpp,
    )
    if not area.width:
        x, y = area.middle
        area = Area(area.slide, x - size / 2, y - size / 2, size, size)
    return Example(vector, area, source), _glass_words(tissue)


def _least_tissue(collection: SearchCollection, example: Example) -> float:
    """Return how much of an indexed tile is tissue, 0 to 1; 1 for the mean of a box."""
    area = example.area
    if area is None or not example.is_indexed:
        return 1.0
    tiles = collection.tiles(area.slide)
    is_it = (tiles["x"] == area.x) & (tiles["y"] == area.y)
    return float(tiles["tissue"][is_it].max(initial=0.0))


def _glass_words(tissue: float) -> str:
    if tissue >= _LEAST_TISSUE:
        return ""
    return (
        f"Only {tissue:.0%} of this place is tissue: what is found is alike in its glass. Pick "
        "another, or go on if you mean it."
    )


def _check_not_changed(collection: SearchCollection, source: str, fingerprint: str) -> None:
    for record in collection.slides:
        if record.path == source and record.fingerprint != fingerprint:
            raise UserError(
                f"{Path(source).name!r} is another slide than when it was indexed. Index it again, "
                "or put the former file back."
            )


def picture_example(collection: SearchCollection, path: Path, device: str) -> tuple[Example, str]:
    """Return an example for a picture file, and no warning; UserError if it cannot be embedded."""
    vector = compute_process().call(
        f"{_EMBED}embed_picture", collection.set_up, collection.encoder_given, path, device
    )
    return Example(vector, None, str(path)), ""


class Queries(QObject):
    """Makes examples in a thread and hands them to the session.

    Signals
    -------
    began
        What is being embedded, in words.
    made
        An example is there.
    warned
        Why the example may not be what was meant.
    failed
        Why there is none.
    """

    began = Signal(str)
    warned = Signal(str)
    made = Signal()
    failed = Signal(str)

    def __init__(self, session: SimilarSession, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.background = Background("medssl-similar-embed", self)
        self._is_looking = False
        session.collection_changed.connect(self._on_collection)

    def ask_place(self, front: ShownSlide, area: Area, role: Role) -> None:
        """Search for an area of the slide in front."""
        collection = self._collection()
        if collection is None:
            return
        mpp = self._session.mpp_of(area.slide)
        if not mpp and front.mpp is None:
            self.failed.emit(NO_MPP)
            return
        device = read_settings().device
        self.began.emit("Looking at the tile ...")
        work = partial(place_example, collection, front.source, area, mpp, device)
        self._submit(work, role)

    def ask_picture(self, path: Path, role: Role) -> None:
        """Search for a picture."""
        collection = self._collection()
        if collection is not None:
            self.began.emit("Looking at the picture ...")
            self._submit(partial(picture_example, collection, path, read_settings().device), role)

    def _collection(self) -> SearchCollection | None:
        if self._session.library is None:
            self.failed.emit("No library is open. Open one, or index this slide into a new one.")
        elif self._session.collection is None:
            self.failed.emit("The library holds no slide yet. Index one first.")
        return self._session.collection

    def _submit(self, work: Any, role: Role) -> None:
        self._is_looking = True
        self.background.submit("query", work, partial(self._take, role), self._refuse)

    def _take(self, role: Role, made: tuple[Example, str]) -> None:
        example, warning = made
        self._is_looking = False
        self.made.emit()
        if warning:
            self.warned.emit(warning)
        if role == "new":
            self._session.ask(example)
        else:
            self._session.add(example.turned(role == "wanted"))

    def _refuse(self, error: BaseException) -> None:
        self._is_looking = False
        if isinstance(error, Cancelled):
            self.made.emit()
            return
        self.failed.emit(error_text(error))

    def _on_collection(self) -> None:
        self.background.drop("query")
        if self._is_looking:
            self._is_looking = False
            self.made.emit()  # nothing is looked at any more
