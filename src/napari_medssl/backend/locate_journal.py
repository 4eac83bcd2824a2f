"""What a search for landmarks has finished: a line per image, kept through a kill at any time."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import file_key
from napari_medssl.io.images import ImageRef
from napari_medssl.io.journal_lines import cut_torn_tail, encode, read_journal
from napari_medssl.io.landmarks import ImageLandmarks, Landmark

_FORMAT = "medssl-locate-1"


class LocateJournal:
    """Finished images of a run, read at the start and appended to; use it as a context manager.

    An image counts as finished while its file is what it was. What another run has left, with
    other templates or another model, is begun anew.

    Parameters
    ----------
    path
        The file; None keeps nothing.
    run
        Tells runs apart whose results are not each other's.

    Raises
    ------
    UserError
        If the file cannot be written.
    """

    def __init__(self, path: Path | None, run: str) -> None:
        self._path = path
        self._run = run
        self._stream: IO[bytes] | None = None
        self._finished: dict[str, ImageLandmarks] = {}

    def __enter__(self) -> LocateJournal:
        if self._path is None:
            return self
        try:
            records = read_journal(self._path).records
            is_own = bool(records) and records[0] == self._head()
            if is_own:
                self._finished = dict(map(_from_record, records[1:]))
            elif self._path.exists():
                self._path.unlink()
            cut_torn_tail(self._path)
            self._stream = self._path.open("ab")
            if not is_own:
                self._append(self._head())
        except OSError as error:
            told = error.strerror or error
            raise UserError(f"Cannot write {str(self._path)!r}: {told}.") from error
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def find(self, ref: ImageRef) -> ImageLandmarks | None:
        """Return what was found in a picture, None if it is not finished."""
        return self._finished.get(_key(ref)) if self._finished else None

    def add(self, ref: ImageRef, image: ImageLandmarks) -> None:
        """Mark a picture as finished; returns when the line is on the disk."""
        if self._stream is not None:
            self._append({"key": _key(ref), "image": asdict(image)})

    def _head(self) -> dict[str, Any]:
        return {"format": _FORMAT, "run": self._run}

    def _append(self, record: dict[str, Any]) -> None:
        assert self._stream is not None  # only called while it is open
        self._stream.write(encode(record))
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _key(ref: ImageRef) -> str:
    try:
        return file_key(ref.path, ref.page)
    except OSError:
        return ""  # it has gone: reading it tells


def _from_record(record: dict[str, Any]) -> tuple[str, ImageLandmarks]:
    image = record["image"]
    landmarks = tuple(Landmark(**values) for values in image["landmarks"])
    return record["key"], ImageLandmarks(**{**image, "landmarks": landmarks})
