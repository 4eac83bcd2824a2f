"""Search off the GUI thread whenever examples or switches change; only the newest one counts."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.jobs import error_text
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.similar.session import Answer, SimilarSession, answer


class Searching(QObject):
    """Keeps the hits of a session those of its examples.

    Signals
    -------
    failed
        Why there are no hits.
    """

    failed = Signal(str)

    def __init__(self, session: SimilarSession, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.background = Background("medssl-similar", self)
        self.is_busy = False
        session.examples_changed.connect(self._on_examples)

    def _on_examples(self) -> None:
        question = self._session.question()
        if question is None:
            self.is_busy = False
            self.background.drop("search")
            if self._session.answer is not None:
                self._session.take(None)
            return
        self.is_busy = True
        self.background.submit("search", partial(answer, question), self._take, self._refuse)

    def _take(self, found: Answer) -> None:
        self.is_busy = False
        if found.question.collection is self._session.collection:
            self._session.take(found)

    def _refuse(self, error: BaseException) -> None:
        self.is_busy = False
        self._session.take(None)
        self.failed.emit(error_text(error))
