"""Wait for a thread without holding up the window: it is drawn, but takes no clicks and keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from qtpy.QtCore import QEventLoop, QObject, Qt, QThread, Signal
from qtpy.QtWidgets import QApplication

_T = TypeVar("_T")


class _Messenger(QObject):
    """Tells the GUI thread of the end. It has no parent, so it lives as long as the thread."""

    ended = Signal()


def wait_for(work: Callable[[], _T]) -> _T:
    """Return what `work()` gives in a thread; events are processed until then, input waits.

    For work of a moment, such as writing files, that the next step needs. Clicks and keys are
    delivered afterwards, so nothing can be changed meanwhile but by signals and timers. Where no
    event loop runs, in a script, there is nothing to go on with: `work` is just called.

    Raises
    ------
    BaseException
        Whatever `work` raised.
    """
    current = QThread.currentThread()
    # A first loop would also delete what was marked for that before: napari closes its window so.
    if current is None or current.loopLevel() == 0:
        return work()
    future: Future[Any] = Future()
    messenger = _Messenger()
    loop = QEventLoop()
    messenger.ended.connect(loop.quit, Qt.ConnectionType.QueuedConnection)
    # No daemon: it writes, and a program that ends meanwhile has to let it.
    thread = threading.Thread(target=_run, args=(work, future, messenger), name="medssl waiting")
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        thread.start()
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        thread.join()  # a loop ends early where the application quits
    finally:
        QApplication.restoreOverrideCursor()
    result: _T = future.result()
    return result


def _run(work: Callable[[], Any], future: Future[Any], messenger: _Messenger) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # it is raised in the GUI thread
        future.set_exception(error)
    messenger.ended.emit()
