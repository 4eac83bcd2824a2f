"""Work off the GUI thread, results back on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


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

    _arrived = Signal(object, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._latest: dict[str, int] = {}
        self._futures: dict[str, Future[None]] = {}
        self._is_closed = False
        self._arrived.connect(self._deliver)

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

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # the thread must live on; the GUI shows the line
                if not isinstance(error, UserError):
                    _log.warning("background work %r failed", slot, exc_info=True)
                self._finish(slot, number, on_failed, error)
            else:
                self._finish(slot, number, on_done, result)

        self._futures[slot] = self._pool.submit(run)

    def drop(self, slot: str) -> int:
        """Forget what a slot is doing; return the number that the next request has."""
        number = self._latest.get(slot, 0) + 1
        self._latest[slot] = number
        former = self._futures.pop(slot, None)
        if former is not None:
            former.cancel()
        return number

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function on the GUI thread, soon; may be used from any thread."""
        self._emit(lambda _: function(*args), None)

    def close(self) -> None:
        """Drop everything; running work ends on its own and is not waited for."""
        self._is_closed = True
        self._latest.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _finish(self, slot: str, number: int, callback: Callable[[Any], None], value: Any) -> None:
        def deliver(result: Any) -> None:
            if self._latest.get(slot) == number:
                self._futures.pop(slot, None)
                callback(result)

        self._emit(deliver, value)

    def _emit(self, function: Callable[[Any], None], value: Any) -> None:
        if self._is_closed:
            return
        try:
            self._arrived.emit(function, value)
        except RuntimeError:  # the window went away in between
            _log.debug("result came after the window was closed")

    def _deliver(self, function: Callable[[Any], None], value: Any) -> None:
        if not self._is_closed:
            function(value)
