"""Read many files in a few threads, and hand them on in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop

_AHEAD = 8  # files that are read before they are asked for
_T = TypeVar("_T")
_R = TypeVar("_R")


def read_in_order(
    read: Callable[[_T], _R],
    items: Sequence[_T],
    what: str,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Iterator[tuple[_T, _R | str]]:
    """Give each item with what `read` makes of it, or the text of its `UserError`, in order.

    Parameters
    ----------
    read
        Called in several threads.
    what
        Message of the progress.

    Raises
    ------
    Cancelled
        If `should_stop` said so.
    """
    ahead: deque[tuple[_T, Future[_R]]] = deque()
    waiting = iter(items)
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        for done in range(len(items)):
            for item in waiting:
                ahead.append((item, pool.submit(read, item)))
                if len(ahead) >= _AHEAD:
                    break
            if should_stop():
                raise Cancelled("Stopped while reading the images.")
            on_progress(Progress(done, len(items), what))
            item, future = ahead.popleft()
            try:
                yield item, future.result()
            except UserError as error:
                yield item, str(error)
    finally:
        pool.shutdown(cancel_futures=True)
