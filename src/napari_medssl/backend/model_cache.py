"""Keep the last few loaded models in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ModelCache(Generic[T]):
    """Keeps the last few loaded models, so that a second use does not load again.

    Safe to use from several threads: one key is loaded once, even when two threads ask at the
    same time, and loading one key does not hold up another.

    Parameters
    ----------
    capacity
        How many models stay loaded; the one unused for longest goes first.
    """

    def __init__(self, capacity: int = 2) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; a cache holds at least 1 model.")
        self._capacity = capacity
        self._lock = threading.Lock()
        self._models: OrderedDict[Any, T] = OrderedDict()
        self._loading: dict[Any, threading.Lock] = {}

    def get(self, key: Any, load: Callable[[], T]) -> T:
        """Return the model of `key`, calling `load()` if it is not kept.

        An error of `load` reaches the caller, and nothing is kept.
        """
        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key]
            turn = self._loading.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._models:
                    self._models.move_to_end(key)
                    return self._models[key]
            model = load()
            with self._lock:
                self._models[key] = model
                self._loading.pop(key, None)
                while len(self._models) > self._capacity:
                    self._models.popitem(last=False)
            return model

    def clear(self) -> None:
        """Let go of every model."""
        with self._lock:
            self._models.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._models)
