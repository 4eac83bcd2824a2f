"""Shards of lower levels, put together from the shards above them while these are in memory."""

from __future__ import annotations

import threading
from collections.abc import Container

import numpy as np

from napari_medssl.io.slide_store.plan import FILL, SHARD, Shard, StorePlan
from napari_medssl.io.slides.halving import halve
from napari_medssl.io.slides.protocol import Pixels


class Pyramid:
    """Lower shards that wait for their parts; threads may give parts at once.

    Parameters
    ----------
    plan
        The levels and shards.
    done
        Shards that need not be made: nothing waits for their parts.
    """

    def __init__(self, plan: StorePlan, done: Container[Shard]) -> None:
        self._plan = plan
        self._done = done
        self._pixels: dict[Shard, Pixels] = {}
        self._missing: dict[Shard, int] = {}
        self._lock = threading.Lock()

    def wants(self, shard: Shard) -> bool:
        """Say whether the pixels of `shard` are a part of one that is still to be made."""
        return shard.level + 1 < len(self._plan.sizes) and shard.parent not in self._done

    def give(self, shard: Shard, pixels: Pixels) -> tuple[Shard, Pixels] | None:
        """Take the pixels of a shard; return the one below it if this was its last part."""
        if not self.wants(shard):
            return None
        parent, half = shard.parent, halve(pixels)
        with self._lock:
            if parent not in self._pixels:
                self._pixels[parent] = np.full((*self._plan.shape_of(parent), 3), FILL, np.uint8)
                self._missing[parent] = sum(map(self._plan.is_written, parent.children))
            target = self._pixels[parent]
        top, left = shard.row % 2 * (SHARD // 2), shard.column % 2 * (SHARD // 2)
        target[top : top + half.shape[0], left : left + half.shape[1]] = half
        with self._lock:
            self._missing[parent] -= 1
            if self._missing[parent]:
                return None
            del self._missing[parent]
            return parent, self._pixels.pop(parent)


def steps(plan: StorePlan, done: Container[Shard]) -> list[Shard]:
    """Return the shards to begin with: those to convert, and finished ones that are parts still.

    The order is that of the tree, so that few lower shards wait at a time. All others come from
    these.
    """
    pyramid = Pyramid(plan, done)
    return [
        shard
        for shard in plan.shards()
        if (pyramid.wants(shard) if shard in done else shard.level == 0)
    ]
