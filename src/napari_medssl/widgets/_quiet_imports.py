"""Import in a thread without Python's collector holding up the window.

What an import makes stays, so the collector finds nothing in it, but each of its full passes looks
at all that napari has made as well and keeps other threads waiting: 70 ms beside 20 of the longest
step of importing pandas itself.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pauses = 0
_was_on = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """Leave cyclic garbage until the block ends; blocks in several threads may overlap.

    A collector that somebody else has turned off stays off.
    """
    global _pauses, _was_on
    with _lock:
        if not _pauses:
            _was_on = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses and _was_on:
                gc.enable()
