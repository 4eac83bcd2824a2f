"""Finished runs of a comparison by transfer: a line each, kept through a kill at any time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from napari_medssl._errors import UserError
from napari_medssl.io.journal_lines import cut_torn_tail, encode, read_journal

Scores = list[list[float]]


class TransferJournal:
    """Scores of runs by keys that tell each from all others; use it as a context manager.

    Parameters
    ----------
    path
        The file. What it holds of other runs stays and does no harm.

    Raises
    ------
    UserError
        If the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._finished: dict[str, Scores] = {}

    def __enter__(self) -> TransferJournal:
        try:
            for record in read_journal(self._path).records:
                self._finished[record["run"]] = record["dice"]
            cut_torn_tail(self._path)
            self._stream = self._path.open("ab")
        except OSError as error:
            told = error.strerror or error
            raise UserError(f"Cannot write {str(self._path)!r}: {told}.") from error
        except KeyError:
            raise UserError(
                f"{str(self._path)!r} is a journal of something else. Give another --out."
            ) from None
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def find(self, run: str) -> Scores | None:
        """Return the scores of a run, None if it is not finished."""
        return self._finished.get(run)

    def add(self, run: str, scores: Scores) -> None:
        """Mark a run as finished; returns when the line is on the disk."""
        assert self._stream is not None  # only called while it is open
        # "dice" of all scores: the name is in journals of older versions.
        self._stream.write(encode({"run": run, "dice": scores}))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._finished[run] = scores
