"""Parts of a store that its manifest names and that are lost: zarr would read them as white."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slides.places import local_path


class LostShards:
    """The shards that a store made by `medssl slide convert` lacks, or that were cut off.

    Nothing is lost of other stores, of zip files and of URLs, as far as can be told. Sizes are
    compared, which is quick; `medssl slide verify` compares the content.
    """

    def __init__(self, path_or_url: str | Path) -> None:
        from napari_medssl.io.slide_store.manifest import read_manifest
        from napari_medssl.io.slide_store.plan import SHARD
        from napari_medssl.io.slide_store.verify import check_sizes

        self._side = SHARD
        self._keys: frozenset[str] = frozenset()
        folder = local_path(str(path_or_url))
        if folder is None or not folder.is_dir():
            return
        with suppress(UserError):  # of another program, by the same name
            manifest = read_manifest(folder)
            if manifest is not None:
                self._keys = frozenset(check_sizes(folder, manifest))

    def under(self, path: str, x: int, y: int, width: int, height: int) -> str | None:
        """Return the place of a lost shard under a rectangle of the level at `path`, if any is."""
        if not self._keys:
            return None
        for row in range(y // self._side, (y + height - 1) // self._side + 1):
            for column in range(x // self._side, (x + width - 1) // self._side + 1):
                key = f"{path}/c/0/{row}/{column}"
                if key in self._keys:
                    return key
        return None
