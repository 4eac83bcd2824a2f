"""Frames made in a thread, one at a time: the newest wish waits, those between are dropped.

Unlike other live requests, a frame that comes late is still shown, since it is better than the one
before: while a person drags there is always a newer wish.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_medssl.widgets._background import Background


class FrameMaker(QObject):
    """Makes one thing after another in a thread.

    Signals
    -------
    made
        What a wish returned.
    failed
        The error that it raised.
    """

    made = Signal(object)
    failed = Signal(object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._background = Background(name, self)
        self._waiting: Callable[[], object] | None = None
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether something is made or waits."""
        return self._is_busy

    def wish(self, work: Callable[[], object]) -> None:
        """Make this next, instead of what waits."""
        self._waiting = work
        if not self._is_busy:
            self._begin()

    def drop(self) -> None:
        """Forget what is made and what waits."""
        self._waiting = None
        self._is_busy = False
        self._background.drop("frame")

    def finish(self) -> None:
        """Wait for what is made; nothing is told any more."""
        self._waiting = None
        self._background.finish()

    def _begin(self) -> None:
        work, self._waiting = self._waiting, None
        self._is_busy = work is not None
        if work is not None:
            self._background.submit("frame", work, self._take, self._refuse)

    def _take(self, result: object) -> None:
        self._begin()
        self.made.emit(result)

    def _refuse(self, error: BaseException) -> None:
        self._begin()
        self.failed.emit(error)
