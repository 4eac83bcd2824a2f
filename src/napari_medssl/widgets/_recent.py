"""Which folders were open, such as libraries and sets, to be offered again."""

from __future__ import annotations

import json
from pathlib import Path

from napari_medssl.io.files import make_folder, write_whole

_MOST_RECENT = 8


def read_recent(path: Path) -> tuple[Path, ...]:
    """Return the folders that were open, the last one first; none if nothing is known."""
    try:
        places = json.loads(path.read_bytes())["recent"]
        return tuple(Path(str(place)) for place in places)[:_MOST_RECENT]
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def remember(path: Path, folder: Path) -> None:
    """Put a folder first among those that were open; UserError if that cannot be written."""
    others = [one for one in read_recent(path) if one != folder]
    places = [str(one) for one in (folder, *others)][:_MOST_RECENT]
    make_folder(path.parent)
    write_whole(path, json.dumps({"recent": places}, indent=1))
