"""Write the embeddings of one slide so that they are in the library whole or not at all.

They go to `FINGERPRINT.partial`: first the tile table, then a journal that names its hashes, then
shard after shard, each on the disk before its line in the journal is. At the end every file is read
back and compared, the manifest is written, and the folder gets its name. Stopped or killed, the
next writer of the same slide goes on: it takes the tiles from the table, checks the hashes of the
shards, and makes only those that are missing. So no tile is lost or there twice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.index.arrays import (
    SHARD_ROWS,
    GroupBytes,
    Half,
    TileRows,
    read_embedding_rows,
    read_tile_rows,
    shard_count,
    shard_key,
    shard_rows,
)
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import FORMAT, MANIFEST, SlideManifest, SlideRecord
from napari_medssl.io.files import (
    TEMPORARY,
    flush_folder,
    make_folder,
    write_all_whole,
    write_whole,
)
from napari_medssl.io.slide_store.errors import disk_errors_told
from napari_medssl.io.slide_store.journal import (
    JOURNAL,
    Receipt,
    StoreJournal,
    begin_journal,
    read_written,
)
from napari_medssl.io.slide_store.verify import check_files

PARTIAL = ".partial"
REMOVED = ".removed"


class SlideWriter:
    """Writes one slide; use it as a context manager, while the library's lock is held.

    Parameters
    ----------
    folder
        The finished slide's, named by its fingerprint.
    record
        What is known of the slide; `tiles` and `unread` are found out.
    set_up
        What its tiles are embedded with.
    find_tiles
        Gives the tile table; called only if there is nothing to go on with.

    Attributes
    ----------
    tiles
        The table; a shard's are `tiles[shard_rows(shard, len(tiles))]`.
    resumed
        Shards that an earlier writer left.

    Raises
    ------
    UserError
        If the place cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        record: SlideRecord,
        set_up: SetUp,
        find_tiles: Callable[[], TileRows],
    ) -> None:
        self.folder, self._record, self._set_up = folder, record, set_up
        self._partial = folder.with_name(folder.name + PARTIAL)
        self._header = {"slide": record.fingerprint, "set_up": set_up.to_json()}
        self._shards: dict[str, Receipt] = {}
        with disk_errors_told(self._partial):
            tiles = self._taken_up()
            self.resumed = len(self._shards)
            if tiles is None:
                tiles = self._begun(find_tiles())
        self.tiles = tiles
        self._bytes = GroupBytes(len(tiles), set_up.dim)
        self._journal = StoreJournal(self._partial)

    def __enter__(self) -> Self:
        self._journal.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    @property
    def todo(self) -> tuple[int, ...]:
        """The shards that are not written yet."""
        every = range(shard_count(len(self.tiles)))
        return tuple(shard for shard in every if shard_key(shard) not in self._shards)

    @property
    def done_tiles(self) -> int:
        """Tiles in the shards that are written."""
        missing = (shard_rows(shard, len(self.tiles)) for shard in self.todo)
        return len(self.tiles) - sum(int(rows.stop - rows.start) for rows in missing)

    def write(self, shard: int, embeddings: NDArray[np.float32]) -> None:
        """Put the embeddings of a shard on the disk.

        Parameters
        ----------
        shard
            Its number.
        embeddings
            float32 (rows, D), of unit length; zeros for tiles that could not be read.

        Raises
        ------
        UserError
            If they are not finite or not of unit length, or the disk refuses.
        """
        lengths = np.linalg.norm(embeddings, axis=1)
        is_bad = ~(np.abs(lengths - 1) < 0.01) & (lengths != 0)
        if is_bad.any():
            tile = self.tiles[shard_rows(shard, len(self.tiles))][int(is_bad.argmax())]
            raise UserError(
                f"Encoder {self._set_up.encoder!r} gives no embedding of finite values and unit "
                f"length for the tile at x {tile['x']}, y {tile['y']}; the slide is not indexed. "
                "Try another encoder."
            )
        half: Half = embeddings.astype(np.float16)
        with disk_errors_told(self._partial):
            data = self._bytes.shard(shard, half)
            receipt = Receipt.of_bytes(data)
            write_whole(self._partial / shard_key(shard), data)
            self._journal.add(shard_key(shard), receipt)
        self._shards[shard_key(shard)] = receipt

    def finish(self) -> SlideManifest:
        """Check every file and give the folder its name; what stood there is replaced.

        Raises
        ------
        UserError
            If the disk gave back something else than was written, or refuses.
        """
        if self.todo:
            raise ValueError(f"{len(self.todo)} shards are missing.")
        with disk_errors_told(self._partial):
            files = {**self._table, **self._shards}
            bad = check_files(self._partial, files, _ignore, _never, 2)
            for left in self._partial.rglob(f"{TEMPORARY}*"):  # of a write that was killed
                left.unlink(missing_ok=True)
            if bad:
                raise UserError(
                    f"{len(bad)} of {len(files)} files of {self._partial.name!r} are not on the "
                    f"disk as they were written (first {bad[0]!r}). Check the disk; the same "
                    "command makes them again."
                )
            record = replace(self._record, tiles=len(self.tiles), unread=self._count_unread())
            manifest = SlideManifest(record, self._set_up, files)
            write_whole(self._partial / MANIFEST, manifest.to_bytes())
            for place in sorted({Path(key).parent for key in files}):
                flush_folder(self._partial / place)
            self._put_in_place()
        return manifest

    def _put_in_place(self) -> None:
        self._journal.__exit__(None, None, None)  # Windows renames no folder with an open file
        remove_folder(self.folder)
        os.rename(self._partial, self.folder)
        flush_folder(self.folder.parent)
        # From here on the manifest says what the journal did.
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _count_unread(self) -> int:
        shape = (len(self.tiles), self._set_up.dim)
        count = 0
        for start in range(0, len(self.tiles), 64 * SHARD_ROWS):
            rows = slice(start, min(start + 64 * SHARD_ROWS, len(self.tiles)))
            count += int((~read_embedding_rows(self._partial, rows, shape).any(axis=1)).sum())
        return count

    def _taken_up(self) -> TileRows | None:
        """Return the tiles of an earlier writer and note its good shards; None if there is none."""
        written = read_written(self._partial, FORMAT)
        if (
            written is None
            or {key: written.header.get(key) for key in self._header} != self._header
        ):
            return None
        try:
            rows = int(written.header["tiles"])
            files = written.header["files"]
            self._table = {str(key): Receipt.from_json(value) for key, value in files.items()}
            if check_files(self._partial, self._table, _ignore, _never, 2):
                return None
            tiles = read_tile_rows(self._partial, rows)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        due = {shard_key(shard) for shard in range(shard_count(rows))}
        found = {key: value for key, value in written.receipts.items() if key in due}
        bad = check_files(self._partial, found, _ignore, _never, 2)
        self._shards = {key: value for key, value in found.items() if key not in set(bad or ())}
        return tiles

    def _begun(self, tiles: TileRows) -> TileRows:
        """Begin the folder: the table first, then the journal that vouches for it."""
        remove_folder(self._partial)
        make_folder(self._partial)
        self._check_space(len(tiles))
        made = GroupBytes(len(tiles), self._set_up.dim)
        files = {**made.documents(), **made.table(tiles)}
        for place in {*files, *map(shard_key, range(shard_count(len(tiles))))}:
            (self._partial / place).parent.mkdir(parents=True, exist_ok=True)
        write_all_whole({self._partial / place: data for place, data in files.items()})
        self._table = {place: Receipt.of_bytes(data) for place, data in files.items()}
        receipts = {place: receipt.to_json() for place, receipt in self._table.items()}
        header = {**self._header, "tiles": len(tiles), "files": receipts}
        begin_journal(self._partial, header, form=FORMAT)
        return tiles

    def _check_space(self, rows: int) -> None:
        due = rows * (2 * self._set_up.dim + 16)
        free = shutil.disk_usage(self._partial).free
        if free < due:
            raise UserError(
                f"The disk of the library has {free / 1e6:.0f} MB free; the embeddings of {rows} "
                f"tiles need {due / 1e6:.0f} MB. Make room, or choose a --library on another disk."
            )


def remove_folder(folder: Path) -> None:
    """Take a folder away at once, and then what is in it; a kill leaves it to `sweep`."""
    if not os.path.lexists(folder):
        return
    number = 0
    while True:
        away = folder.with_name(f"{folder.name}-{number}{REMOVED}")
        if not away.exists():
            break
        number += 1
    os.rename(folder, away)
    shutil.rmtree(away, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete what kills left of removed folders."""
    for path in folder.glob(f"*{REMOVED}"):
        shutil.rmtree(path, ignore_errors=True)


def _ignore(done: int, total: int) -> None:
    """Take no notice of checked files."""


def _never() -> bool:
    return False
