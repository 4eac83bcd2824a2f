"""Finds out what the stain does for the hits, off the GUI thread and after the search.

The first hits are looked at whenever there are new ones, so that a ranking that is driven by stain
is told; all of them where they are to stand in the order without stain.
"""

from __future__ import annotations

import threading
from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.backend.stain_rank import StainAnswer, ask_stain
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.similar.session import Answer, Question, SimilarSession
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.tile_places import PlaceFinder, find_places

FIRST = 24
"""Hits that are looked at without being asked."""


def look_at_stain(
    answer: Answer, count: int, finder: PlaceFinder, device: str, stop: threading.Event
) -> StainAnswer:
    """Return what the stain does for the first hits of an answer; blocks.

    Raises
    ------
    UserError
        If the encoder is not to be had, or an example cannot be read.
    Cancelled
        If `stop` was set.
    """
    collection = answer.question.collection
    examples = [
        (finder.example(one, collection.set_up), one.is_wanted) for one in answer.question.examples
    ]
    hits = answer.result.hits[0][:count]
    question = ask_stain(collection, answer.direction, examples, hits, finder.tile)
    found: StainAnswer = compute_process().call(
        "napari_medssl.backend.stain_rank:check_stain",
        collection.set_up,
        collection.encoder_given,
        question,
        device,
        should_stop=stop.is_set,
    )
    return found


class StainLook(QObject):
    """Keeps what is known of the stain that of the present hits.

    Signals
    -------
    began
        Hits are being ranked anew because a person asked for it.
    ended
        That is over.
    failed
        Why the stain cannot be taken away, where a person asked for it.
    """

    began = Signal()
    ended = Signal()
    failed = Signal(str)

    def __init__(self, session: SimilarSession, places: SlidePlaces, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._places = places
        self._asked: tuple[Question, int] | None = None
        self.is_busy = False
        self._stop = threading.Event()
        self.background = Background("medssl-similar-stain", self)
        session.answered.connect(self.look)
        session.ranked.connect(self.look)

    def look(self) -> None:
        """Look at the stain of the present hits, unless that is known or under way."""
        answer = self._session.answer
        if answer is None or not answer.result.hits[0]:
            self.stop()
            return
        count = len(answer.result.hits[0])
        if not self._session.takes_stain_away:
            count = min(count, FIRST)
        known = 0 if answer.stain is None else len(answer.stain.hits)
        asked = (answer.question, count)
        if known >= count or self._asked == asked:
            return
        self.stop()
        self._asked, self._stop, self.is_busy = asked, threading.Event(), True
        if self._session.takes_stain_away:
            self.began.emit()
        examples = answer.question.examples
        finder = find_places(self._places, self._session.records, examples)
        device = read_settings().device
        work = partial(look_at_stain, answer, count, finder, device, self._stop)
        take = partial(self._take, answer.question)
        self.background.submit("stain", work, take, self._refuse)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._asked, self.is_busy = None, False
        self.background.drop("stain")

    def _take(self, question: Question, found: StainAnswer) -> None:
        self._asked, self.is_busy = None, False
        self.ended.emit()
        self._session.take_stain(question, found)

    def _refuse(self, error: BaseException) -> None:
        self.is_busy = False  # `_asked` stays: what failed is not tried again for the same hits
        self.ended.emit()
        if isinstance(error, Cancelled):
            return
        if self._session.takes_stain_away or not isinstance(error, UserError):
            self.failed.emit(error_text(error))

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self.background.close()
