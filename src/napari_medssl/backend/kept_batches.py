"""What a network saw in batches of pictures, kept on disk until the work that needs it is done.

So a run that was stopped or killed goes on where it was. A batch is known by its pixels and by all
that its values depend on; where nothing can be kept, they are computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.folders import cache_folder

GOES_ON = "What was seen of the pictures is kept: the same command goes on from there."
"""What to tell who stopped."""

_RECIPE = "medssl batches 1"  # another one, once values are computed in another way
_BYTES = 2 * 2**30


class KeptBatches:
    """Values of batches of pictures, by what they were computed from.

    Parameters
    ----------
    cache
        Where they lie; None for the program's own.

    Attributes
    ----------
    found
        Batches that need not be computed, as they were there.
    """

    def __init__(self, cache: DiskCache | None = None) -> None:
        self._cache = cache or DiskCache(cache_folder() / "clusters", _BYTES)
        self._keys: list[str] = []
        self.found = 0

    def values(
        self,
        tiles: NDArray[np.uint8],
        about: object,
        compute: Callable[[], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """Return what `compute` gives of a batch, shape (M, D), or gave before.

        Parameters
        ----------
        tiles
            Its pictures, shape (B, S, S, 3).
        about
            All else that its values depend on; its text tells.
        """
        digest = hashlib.sha256(repr((_RECIPE, about, tiles.shape)).encode())
        digest.update(np.ascontiguousarray(tiles).data)
        key = digest.hexdigest()
        self._keys.append(key)
        body = self._cache.get(key)
        if body is not None:
            self.found += 1
            columns = int.from_bytes(body[:4], "little")
            return np.frombuffer(body, "<f4", offset=4).reshape(-1, columns).astype(np.float32)
        made = compute()
        head = made.shape[1].to_bytes(4, "little")
        self._cache.put(key, head + np.ascontiguousarray(made, "<f4").tobytes())
        return made

    def clear(self) -> None:
        """Remove what was asked for here: the work is done."""
        for key in self._keys:
            self._cache.remove(key)
        self._keys.clear()


def stopped_line(done: int, total: int, kept: KeptBatches | None) -> str:
    """Return what to tell who stopped after `done` of `total` pictures."""
    goes_on = f" {GOES_ON}" if kept is not None and done else ""
    return f"Stopped after {done} of {total} pictures.{goes_on}"
