"""What is said of an answer: how many hits, how sure, what the stain does, what to do first."""

from __future__ import annotations

from napari_medssl.widgets._messages import Messages
from napari_medssl.widgets.similar.gallery import Gallery
from napari_medssl.widgets.similar.session import SimilarSession


class AnswerWords:
    """Keeps the lines of the gallery and at the foot those of the present answer."""

    def __init__(self, session: SimilarSession, gallery: Gallery, messages: Messages) -> None:
        self._session = session
        self._gallery = gallery
        self._messages = messages
        session.answered.connect(self._on_answered)
        session.ranked.connect(self._show_badge)
        session.library_changed.connect(self._show_hint)
        session.slides_changed.connect(self._show_hint)
        self._show_hint()

    def _on_answered(self) -> None:
        self._show_badge()
        answer = self._session.answer
        if answer is None:
            self._gallery.count.setText("")
            return
        recall = answer.result.recall
        how = "exact" if recall == 1.0 else f"recall {recall:.3f}"
        count = len(self._session.hits)
        self._gallery.count.setText(f"{count} hit{'s' * (count != 1)} · {how}")
        self._messages.refuse("")
        if not count:
            self._messages.refuse("Nothing was found: no other tile is left to search in.")
        elif self._session.leaves_patient_out and not answer.question.patients:
            self._messages.say(
                "Nobody said whose the slide is, so only the slide itself is left out. Say it on "
                "the page Index, and index the slide again."
            )

    def _show_badge(self) -> None:
        answer = self._session.answer
        stain = None if answer is None else answer.stain
        if stain is None or not stain.due:
            self._gallery.show_badge("")
            return
        self._gallery.show_badge(
            "driven by stain" if stain.is_driven else f"{stain.due} due to stain",
            f"{stain.due} of the first {len(stain.hits)} hits owe more than half of how far they "
            "stand out to their stain. Click to rank with the stain taken away, or as found",
        )

    def _show_hint(self) -> None:
        if self._session.library is None:
            self._gallery.say(
                "Begin a library: Library > New, or open one.\n\nThen open a slide and index it."
            )
        elif not self._session.records:
            self._gallery.say(
                "No slide is indexed yet.\n\nOpen one, then press\n"
                '"Index this slide" on the page Index.'
            )
        else:
            self._gallery.say("")
