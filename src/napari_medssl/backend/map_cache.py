"""Layouts on disk, by the content of the embeddings and the settings they were made with."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl.backend.config import to_json
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.map_places import Embeddings, Places

FORMAT = 2
"""Raised when the same settings give other places."""

_CACHE_BYTES = 500_000_000


class KeptLayout:
    """The place of one layout in a cache; nothing is kept where there is no folder.

    Parameters
    ----------
    folder
        Of the cache, or None.
    values
        The embeddings, (N, D).
    config
        How they are laid out.
    """

    def __init__(self, folder: Path | None, values: Embeddings, config: Any) -> None:
        self._cache = None if folder is None else DiskCache(folder, _CACHE_BYTES)
        self._count = len(values)
        self._about = json.dumps({"format": FORMAT, "umap": to_json(config)}, sort_keys=True)
        self._key = ""
        if self._cache is not None:
            digest = hashlib.blake2b(values.data, digest_size=16).hexdigest()
            self._key = f"map|{values.shape}|{digest}|{self._about}"

    def read(self) -> Places | None:
        """Return the places, None if they are not there or damaged."""
        body = None if self._cache is None else self._cache.get(self._key)
        if body is None:
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            places: Places = file["places"]
        return places if places.shape == (self._count, 2) else None

    def write(self, places: Places) -> None:
        """Keep the places and the settings they were made with."""
        if self._cache is None:
            return
        body = io.BytesIO()
        np.savez(body, places=places, about=np.asarray(self._about))
        self._cache.put(self._key, body.getvalue())
