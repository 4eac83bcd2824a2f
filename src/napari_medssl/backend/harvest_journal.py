"""The journal of a harvest: a line of JSON per finished figure, kept through a kill at any time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.files import TEMPORARY

_FORMAT = "medssl-harvest-1"


@dataclass(frozen=True, eq=False)
class Panel:
    """A kept crop: its file below the folder, and the box of the figure that it shows.

    `code` is the perceptual hash, shape (4,), uint64.
    """

    file: str
    kind: str
    figure: str
    page: int | None
    x0: int
    y0: int
    x1: int
    y1: int
    score: float | None
    licence: str
    code: np.ndarray


class HarvestJournal:
    """What is finished, read at the start and appended to; use it as a context manager.

    Raises
    ------
    UserError
        If the file is no journal of ours or was begun with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, object]) -> None:
        self.path = path
        self.finished: set[str] = set()
        self.panels: list[Panel] = []
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> HarvestJournal:
        try:
            whole = self._replay()
            self._stream = self.path.open("ab")
            # a kill may have left half a line; what follows must not grow on to it
            self._stream.truncate(whole)
            if whole:
                for left in self.path.parent.glob(f"*/{TEMPORARY}*"):  # nor half a panel stay
                    left.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"Cannot write {str(self.path)!r}: {error.strerror}.") from error
        if not whole:
            self._append({"format": _FORMAT, "settings": self._settings})
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def add(self, figure: str, panels: Sequence[Panel], left_out: dict[str, int]) -> None:
        """Mark a figure as finished; returns when the line is on the disk."""
        rows = [_to_json(panel) for panel in panels]
        self._append({"figure": figure, "panels": rows, "left_out": dict(left_out)})
        self._take(figure, panels, left_out)

    def _take(self, figure: str, panels: Sequence[Panel], left_out: dict[str, int]) -> None:
        self.finished.add(figure)
        self.panels.extend(panels)
        self.counts.update(left_out)

    def _append(self, row: dict[str, Any]) -> None:
        if self._stream is None:
            raise RuntimeError("The journal is not open: use it in a with statement.")
        self._stream.write(json.dumps(row).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _replay(self) -> int:
        """Read the whole lines and return how many bytes they are."""
        if not self.path.exists():
            return 0
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                row = json.loads(line)
                if number == 1:
                    self._check(row)
                else:
                    panels = [_from_json(panel) for panel in row["panels"]]
                    self._take(row["figure"], panels, row["left_out"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if isinstance(error, UserError):
                    raise
                raise UserError(
                    f"Line {number} of {str(self.path)!r} is damaged. Choose another --out, or "
                    "delete the folder to begin again."
                ) from error
        return whole

    def _check(self, row: dict[str, Any]) -> None:
        if row.get("format") != _FORMAT:
            raise ValueError("another format")
        before = row["settings"]
        changed = [name for name, value in self._settings.items() if before.get(name) != value]
        if changed:
            told = ", ".join(
                f"{name} was {before.get(name)!r}, now {self._settings[name]!r}" for name in changed
            )
            raise UserError(
                f"{str(self.path.parent)!r} holds a harvest made with other settings ({told}). "
                "Choose another --out, or give the same settings to go on."
            )


def _to_json(panel: Panel) -> dict[str, Any]:
    row = {name: getattr(panel, name) for name in Panel.__dataclass_fields__}
    return {**row, "code": [int(word) for word in panel.code]}


def _from_json(row: dict[str, Any]) -> Panel:
    return Panel(**{**row, "code": np.array(row["code"], dtype=np.uint64)})
