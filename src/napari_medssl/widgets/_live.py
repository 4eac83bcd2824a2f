"""Live requests: answered in the GUI thread by signal, the newest one only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

from napari_medssl.backend.live import LatestWins
from napari_medssl.widgets._lifetime import when_gone


class _Messenger(QObject):
    """Sends answers out of the worker's thread. It has no parent, so it lives as long as that."""

    answered = Signal(int, object)
    refused = Signal(int, str)

    def answer(self, number: int, result: Any) -> None:
        self.answered.emit(number, result)

    def refuse(self, number: int, text: str) -> None:
        self.refused.emit(number, text)


class LiveRequests(QObject):
    """Interactive requests answered in the GUI thread: only the newest one is, late ones are not.

    Signals
    -------
    ready
        The result of the newest request.
    failed
        The error text of the newest request.
    """

    ready = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # The thread knows the messenger but not self: self may be destroyed while it sends.
        messenger = _Messenger()
        self._requests = LatestWins(messenger.answer, messenger.refuse)
        # Signals sent from another thread are queued, so the slots run in the GUI thread.
        messenger.answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        messenger.refused.connect(self._refuse, Qt.ConnectionType.QueuedConnection)
        when_gone(self, self._requests.close)

    def submit(self, work: Callable[..., Any], *args: Any) -> int:
        """Ask for `work(*args, should_stop=...)` off the GUI thread."""
        return self._requests.submit(work, *args)

    def drop(self) -> None:
        """Forget the request under way."""
        self._requests.drop()

    def close(self) -> None:
        """Take no more requests."""
        self._requests.close()

    def _deliver(self, number: int, result: Any) -> None:
        if self._requests.is_newest(number):
            self.ready.emit(result)

    def _refuse(self, number: int, text: str) -> None:
        if self._requests.is_newest(number):
            self.failed.emit(text)
