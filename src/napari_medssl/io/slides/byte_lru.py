"""Values under keys up to a number of bytes; what was unused for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K", bound=Hashable)


class ByteLru(Generic[K]):
    """A cache of arrays, safe to use from several threads.

    The arrays are shared: nobody may write to them, and they are marked so.

    Parameters
    ----------
    limit_bytes
        Sum of the sizes of the arrays that are kept. An array that is larger is not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._items: OrderedDict[K, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of the arrays that are kept."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> NDArray[np.uint8] | None:
        """Return what was put under `key`, None if it is not there any more."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: K, value: NDArray[np.uint8]) -> None:
        """Keep `value`, and let go of as many others as that needs."""
        value.flags.writeable = False
        if value.nbytes > self.limit_bytes:
            return
        with self._lock:
            before = self._items.pop(key, None)
            self._bytes += value.nbytes - (0 if before is None else before.nbytes)
            self._items[key] = value
            while self._bytes > self.limit_bytes:
                _, gone = self._items.popitem(last=False)
                self._bytes -= gone.nbytes

    def drop(self, is_unwanted: Callable[[K], bool]) -> None:
        """Let go of the arrays whose keys `is_unwanted` says true to."""
        with self._lock:
            for key in [key for key in self._items if is_unwanted(key)]:
                self._bytes -= self._items.pop(key).nbytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._items.clear()
            self._bytes = 0
