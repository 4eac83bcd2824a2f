"""Query and hit side by side at the same scale, beside the hit that the mouse rests on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

from qtpy.QtCore import QObject, QPoint, QRect, QTimer
from qtpy.QtWidgets import QWidget

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.explain_hit import Explanation
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.backend.match_pictures import marked_tiles, summary
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.index.collection import SearchCollection
from napari_medssl.index.results import Hit
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.similar.compare_frame import SIDE, CompareFrame
from napari_medssl.widgets.similar.session import SimilarSession, area_of
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.tile_pictures import Picture, read_area, read_picture
from napari_medssl.widgets.similar.tile_places import PlaceFinder, find_places

_AROUND = 1.5  # of a tile's side, so that what is around it is seen too
_REST_MS = 350
_LARGEST_FRAME = 0.98  # of the picture; a larger one would lie on its edge


@dataclass(frozen=True)
class Side:
    """What one side shows: a slide's area of a true width, or a picture file."""

    area: Area | None
    candidates: tuple[str, ...]
    source: str = ""
    framed: tuple[float, float] = (0.0, 0.0)
    """Width and height of the tile or box itself, as parts of the picture; 0 for no frame."""


@dataclass(frozen=True)
class Pair:
    """The pictures of a query and of a hit, uint8 RGB (Y, X, 3), and the example that was taken."""

    query: Picture
    hit: Picture
    example: Example
    frames: tuple[tuple[float, float], tuple[float, float]]
    """Of both, see `Side`."""


def read_pair(
    slides: OpenSlides,
    collection: SearchCollection,
    hit: tuple[Hit, Side],
    examples: Sequence[tuple[Example, Side]],
) -> Pair:
    """Return a hit beside the wanted example that is most like it; blocks.

    Raises
    ------
    UserError
        If one of the two cannot be read.
    """
    vector = collection.vector(hit[0].tile)
    example, side = max(examples, key=lambda one: float(one[0].vector @ vector))
    frames = (side.framed, hit[1].framed)
    return Pair(_read(slides, side), _read(slides, hit[1]), example, frames)


@dataclass(frozen=True)
class Marked:
    """Query and hit with their marks, uint8 RGB (Y, X, 3), and what is to be said of them."""

    query: Picture
    hit: Picture
    words: str


def explain(
    collection: SearchCollection,
    finder: PlaceFinder,
    pair: tuple[Hit, Sequence[Example]],
    device: str,
    stop: threading.Event,
) -> Marked:
    """Return which patches of a hit and of the example most like it correspond; blocks.

    Raises
    ------
    UserError
        If the encoder gives no maps, or a tile cannot be read.
    Cancelled
        If `stop` was set.
    """
    hit, examples = pair
    found: Explanation = compute_process().call(
        "napari_medssl.backend.explain_hit:explain_hit",
        collection.set_up,
        collection.encoder_given,
        [finder.example(one, collection.set_up) for one in examples],
        finder.tile(hit.tile),
        device,
        should_stop=stop.is_set,
    )
    return Marked(*marked_tiles(found, SIDE), summary(found))


def _read(slides: OpenSlides, side: Side) -> Picture:
    if side.area is None:
        return read_picture(side.source, SIDE)
    return read_area(slides, side.area, side.candidates, SIDE)


class Compare(QObject):
    """Waits until the mouse rests on a hit, reads both pictures in a thread, and shows them."""

    def __init__(self, session: SimilarSession, places: SlidePlaces, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._places = places
        self._parent = parent
        self._hit: Hit | None = None
        self._cell = QRect()
        self.explains = False
        """Whether patches that correspond are marked too."""
        self.slides = OpenSlides()
        self._stop = threading.Event()
        self.background = Background("medssl-similar-compare", self)
        self.frame = CompareFrame(parent)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._begin)
        session.answered.connect(self.hide)

    def hover(self, hit: Hit | None, cell: QRect) -> None:
        """Take note of the hit under the mouse, and of where its cell is on the screen."""
        self.hide()
        self._hit, self._cell = hit, cell
        if hit is not None:
            self._rest.start()

    def hide(self) -> None:
        """Show nothing."""
        self._rest.stop()
        self._stop.set()
        self.background.drop("pair")
        self.background.drop("why")
        self.frame.hide()

    def _begin(self) -> None:
        hit, collection = self._hit, self._session.collection
        wanted = [one for one in self._session.examples if one.is_wanted]
        if hit is None or collection is None or not wanted:
            return
        around = 1.0 if self.explains else _AROUND
        width_um = around * hit.tile.size * self._mpp(hit.tile.slide)
        examples = [(one, self._side(one.area, width_um, one.source)) for one in wanted]
        both = (hit, self._side(area_of(hit.tile), width_um))
        work = partial(read_pair, self.slides, collection, both, examples)
        self.background.submit("pair", work, partial(self._show, hit, width_um), self._refuse)
        if self.explains:
            self._explain(collection, hit, wanted)

    def _explain(self, collection: SearchCollection, hit: Hit, wanted: Sequence[Example]) -> None:
        self._stop = threading.Event()
        finder = find_places(self._places, self._session.records, wanted)
        device = read_settings().device
        work = partial(explain, collection, finder, (hit, wanted), device, self._stop)
        self.background.submit("why", work, self._mark, self._tell)

    def _similarity(self, hit: Hit) -> float:
        """Return the similarity that the gallery shows: without stain, where that is asked."""
        answer = self._session.answer
        if answer is None or not self._session.takes_stain_away:
            return hit.similarity
        stain = answer.stains().get(hit.tile)
        return hit.similarity if stain is None else stain.similarity

    def _mpp(self, slide: str) -> float:
        """Return microns per level-0 pixel of a slide; 1 where nobody knows."""
        return self._places.mpp_of(slide) or 1.0

    def _side(self, area: Area | None, width_um: float, source: str = "") -> Side:
        if area is None:
            return Side(None, (), source)
        size = width_um / self._mpp(area.slide)
        x, y = area.middle
        wide = Area(area.slide, x - size / 2, y - size / 2, size, size)
        framed = (area.width / size, area.height / size)
        has_frame = 0 < max(framed) < _LARGEST_FRAME
        return Side(
            wide, self._places.candidates(area.slide), source, framed if has_frame else (0.0, 0.0)
        )

    def _show(self, hit: Hit, width_um: float, pair: Pair) -> None:
        example = pair.example
        if example.area is None:
            name = "the picture, at its own scale"
        else:
            name = self._places.title(example.area.slide)
        found = escape(self._places.title(hit.tile.slide))
        self.frame.fill(
            (pair.query, f"<b>query</b> · {escape(name)}"),
            (pair.hit, f"<b>{self._similarity(hit):.3f}</b> · {found}"),
            f"{width_um:.0f} µm wide" + " · looking for patches ..." * self.explains,
            pair.frames,
        )
        self.frame.adjustSize()
        self.frame.move(self._place())
        self.frame.show()

    def _mark(self, marked: Marked) -> None:
        """Put marks on the pictures, which are those of the very tiles that are compared."""
        self.frame.mark(marked.query, marked.hit, marked.words)
        self.frame.adjustSize()

    def _tell(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            return
        self.frame.tell(self._places.masked_text(error_text(error)))
        self.frame.adjustSize()

    def _place(self) -> QPoint:
        """Return a place left of the widget at the height of the cell, on the screen."""
        left = self._parent.mapToGlobal(QPoint(0, 0)).x() - self.frame.width() - 6
        if left < 0:
            left = self._parent.mapToGlobal(QPoint(self._parent.width(), 0)).x() + 6
        screen = self._parent.screen().availableGeometry()
        top = min(self._cell.top(), screen.bottom() - self.frame.height())
        return QPoint(left, max(top, screen.top()))

    def _refuse(self, _error: BaseException) -> None:
        """Show nothing: a click on the hit tells why it cannot be read."""
        self.frame.hide()

    def close(self) -> None:
        """Stop the thread."""
        self.hide()
        self.background.close()
        self.slides.close()
        self.frame.deleteLater()
