"""Folders of zarr: told without importing zarr, and put in place whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.files import TEMPORARY, flush_folder

_FILES = ("zarr.json", ".zgroup", ".zarray")
_FORMER = "former"
_MOST_BYTES = 4 * 2**20


def is_zarr(path: Path) -> bool:
    """Say whether a path is a folder that zarr has written."""
    return path.is_dir() and any((path / name).is_file() for name in _FILES)


def is_bare_array(path: Path) -> bool:
    """Say whether a folder is an array, and not a group of them."""
    about = path / "zarr.json"
    if not about.is_file():
        return (path / ".zarray").is_file()
    try:
        text = about.read_bytes() if about.stat().st_size <= _MOST_BYTES else b"{}"
        return bool(json.loads(text).get("node_type") == "array")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False  # zarr tells what is wrong with it


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a place for a new folder, which becomes `target` when the block ends well.

    A store that is there already is replaced; anything else is refused.
    """
    if target.exists() and not is_zarr(target):
        raise UserError(f"There is something else at {str(target)!r}. Choose another folder.")
    made: Path | None = None
    try:
        made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
        yield made / target.name
        if target.exists():
            os.rename(target, made / _FORMER)
        os.rename(made / target.name, target)
        flush_folder(target.parent)
    except OSError as error:
        if made is not None and (made / _FORMER).exists() and not target.exists():
            os.rename(made / _FORMER, target)
        raise UserError(f"Cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
