"""Projects without a name yet: kept in a folder of the user until they are saved or discarded.

Work on a figure is journalled from the first box on, also before a place for it was chosen, so
that a crash loses nothing; the next start finds the draft again.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import platformdirs

from napari_medssl._errors import UserError
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.project import SUFFIX, Project


def drafts_folder() -> Path:
    """Return the folder of the drafts, which need not exist."""
    return Path(platformdirs.user_data_dir("napari-medssl", appauthor=False)) / "drafts"


def new_draft(folder: Path | None = None) -> Project:
    """Make an empty draft and open it; UserError if the folder cannot be written to."""
    folder = folder or drafts_folder()
    stem, number = time.strftime("%Y-%m-%d %H.%M.%S"), 1
    path = folder / f"{stem}{SUFFIX}"
    while path.exists():
        number += 1
        path = folder / f"{stem} {number}{SUFFIX}"
    return Project.create(path)


def left_drafts(folder: Path | None = None) -> list[Path]:
    """Return drafts that a program left behind, the newest first.

    Left out are those open now, and those in which nothing was ever done.
    """
    folder = folder or drafts_folder()
    paths = sorted(folder.glob(f"*{SUFFIX}"), reverse=True)
    return [path for path in paths if _has_work(path) and _is_free(path)]


def discard_draft(path: Path) -> None:
    """Delete a closed draft; UserError if it is open somewhere."""
    FolderLock(path / "lock").release()
    shutil.rmtree(path)


def _has_work(path: Path) -> bool:
    """Whether a draft holds a figure or a change; one that cannot be read may."""
    try:
        if (path / "journal.jsonl").stat().st_size:
            return True
        return bool(json.loads((path / "project.json").read_text("utf-8"))["figures"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _is_free(path: Path) -> bool:
    try:
        FolderLock(path / "lock").release()
    except UserError:
        return False
    return True
