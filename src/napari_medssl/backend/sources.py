"""Whence training data come: `sources.json` beside them, a list of name, licence and source."""

from __future__ import annotations

import json
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.model_cards import DataSource
from napari_medssl.io.limits import one_line


def read_sources(folder: Path, what: str) -> tuple[DataSource, ...]:
    """Return what `sources.json` in `folder` lists; without it `what`, its licence not stated.

    Raises
    ------
    UserError
        If the file is there and does not hold such a list.
    """
    path = folder / "sources.json"
    if not path.is_file():
        return (DataSource(what, "not stated"),)
    try:
        return tuple(
            DataSource(str(entry["name"]), str(entry["licence"]), str(entry.get("source", "")))
            for entry in json.loads(path.read_text("utf-8"))
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{str(path)!r} is no list of objects with name and licence: {one_line(error)}."
        ) from None
