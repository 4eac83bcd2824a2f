"""Say which image, as a second template, would help most with the landmark in front."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.backend.landmark_suggestion import Suggestion
from napari_medssl.state.landmark_queue import uncertainty
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.landmarks.matching import Matching
from napari_medssl.widgets.landmarks.session import LandmarkSession


class SecondTemplate(QObject):
    """Asks in a thread, and shows the answer as a line with a link to the image.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: LandmarkSession, matching: Matching, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._matching = matching
        self.background = Background("medssl-landmark-second", self)
        self.best: int | None = None
        self.is_busy = False
        self.line = QLabel()
        self.line.setWordWrap(True)
        self.line.setTextFormat(Qt.TextFormat.RichText)
        self.line.setToolTip("Put that image in front, correct its point, then use it: T")
        self.line.linkActivated.connect(self._go)
        self.line.hide()
        session.templates_changed.connect(self._forget)
        session.set_changed.connect(self._forget)

    def ask(self) -> None:
        """Find out for the landmark in front."""
        try:
            _, name = self._session.checked_current()
            seen, store = self._session.seen, self._session.store
            templates = [seen[p.image].key for p in store.templates(name) if p.image in seen]
            if not templates:
                raise UserError(
                    f"{store.name(name).name!r} has no template yet. Click it in the template "
                    "first."
                )
        except UserError as error:
            self.told.emit(str(error), True)
            return
        doubt = {seen[key].key: uncertainty(store.point(key, name)) for key in seen}
        keys = [each.key for each in seen.values()]
        self.is_busy = True
        work = partial(self._matching.engine.suggest, templates, keys, doubt)
        self.background.submit("second", work, partial(self._take, name), self._refuse)

    def _take(self, name: int, found: Suggestion | None) -> None:
        self.is_busy = False
        store = self._session.store
        if name not in store:
            return
        label = store.name(name).name
        images = {seen.key: image for image, seen in self._session.seen.items()}
        if found is None or found.gain <= 0 or found.key not in images:
            self.told.emit(f"No second template would help {label!r} any more.", False)
            return
        self.best = images[found.key]
        count = len(found.helps)
        helped = f", and help with {count} other{'s' * (count != 1)} like it" if count else ""
        self.line.setText(
            f"As a second template of <b>{label}</b>, "
            f"<a href='go'>{store.image(self.best).name}</a> would help most{helped}."
        )
        self.line.show()
        self.told.emit("", False)

    def _go(self, _link: str) -> None:
        if self.best is not None and self.best in self._session.store:
            self._session.choose(self.best)

    def _forget(self, *_: object) -> None:
        self.background.drop("second")
        self.is_busy = False
        self.best = None
        self.line.hide()

    def _refuse(self, error: BaseException) -> None:
        self.is_busy = False
        if not isinstance(error, Cancelled):
            self.told.emit(error_text(error), True)
