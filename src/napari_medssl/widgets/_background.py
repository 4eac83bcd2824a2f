"""Work off the GUI thread, results back on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.widgets._lifetime import when_gone

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class _Messenger(QObject):
    """Sends results out of the thread. It has no parent, so it lives as long as that."""

    arrived = Signal(object, object)


class Background(QObject):
    """One thread that runs functions in turn; of each slot only the latest request counts.

    A request for a slot drops the one before it: if that waits it never runs, if it runs its
    result is thrown away. Callbacks are called on the thread that made this object.

    Parameters
    ----------
    name
        Name of the thread.
    parent
        Qt parent.
    """

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._latest: dict[str, int] = {}
        self._futures: dict[str, Future[None]] = {}
        self._callbacks: dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]] = {}
        self._is_closed = False
        # The thread knows the messenger but not self: self may be destroyed while it sends.
        self._messenger = _Messenger()
        self._messenger.arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        when_gone(self, partial(self._pool.shutdown, wait=False, cancel_futures=True))

    def submit(
        self,
        slot: str,
        work: Callable[[], _T],
        on_done: Callable[[_T], None],
        on_failed: Callable[[BaseException], None],
    ) -> None:
        """Run `work` in the thread, then one of the callbacks on the GUI thread."""
        if self._is_closed:
            return
        number = self.drop(slot)
        self._callbacks[slot] = (on_done, on_failed)
        self._futures[slot] = self._pool.submit(_run, self._messenger, work, slot, number)

    def drop(self, slot: str) -> int:
        """Forget what a slot is doing; return the number that the next request has."""
        number = self._latest.get(slot, 0) + 1
        self._latest[slot] = number
        self._callbacks.pop(slot, None)
        former = self._futures.pop(slot, None)
        if former is not None:
            former.cancel()
        return number

    def close(self) -> None:
        """Drop everything, callbacks too; running work ends on its own and is not waited for."""
        self._end()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Wait for all that was submitted and take no more; nothing is delivered any more."""
        self._end()
        self._pool.shutdown(wait=True)

    def _end(self) -> None:
        self._is_closed = True
        self._latest.clear()
        self._futures.clear()
        self._callbacks.clear()  # they hold the widget, and what waits to end with it may hold us

    def _deliver(self, ticket: tuple[str, int], outcome: tuple[bool, Any]) -> None:
        slot, number = ticket
        if self._is_closed or self._latest.get(slot) != number:
            return
        self._futures.pop(slot, None)
        on_done, on_failed = self._callbacks.pop(slot)
        has_failed, value = outcome
        (on_failed if has_failed else on_done)(value)


def _run(messenger: _Messenger, work: Callable[[], Any], slot: str, number: int) -> None:
    """Do the work in the thread; it may outlive the window."""
    try:
        outcome = (False, work())
    except BaseException as error:  # the thread must live on; the GUI shows the line
        if not isinstance(error, (UserError, Cancelled)):
            _log.warning("background work %r failed", slot, exc_info=True)
        outcome = (True, error)
    messenger.arrived.emit((slot, number), outcome)
