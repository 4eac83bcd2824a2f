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
from napari_medssl.io.limits import one_line
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
    """Delete a closed draft; UserError if it is open somewhere or the system refuses."""
    FolderLock(path / "lock").release()
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise UserError(
            f"The draft {path.stem!r} cannot be deleted: {one_line(error)}. "
            f"Delete {str(path)!r} by hand."
        ) from error


def clear_empty_drafts(folder: Path | None = None, *, min_age_s: float = 3600.0) -> int:
    """Delete the drafts in which nothing was ever done; return how many.

    Left are those that are open somewhere, those that changed less than `min_age_s` seconds ago
    (another program may just be making one), and those with a file in them that a new draft has
    not, whatever it is.
    """
    count = 0
    for path in (folder or drafts_folder()).glob(f"*{SUFFIX}"):
        try:
            age_s = time.time() - path.stat().st_mtime
        except OSError:
            continue  # gone meanwhile
        if age_s >= min_age_s:
            count += clear_if_empty(path)
    return count


def clear_if_empty(path: Path) -> bool:
    """Delete a closed draft if nothing was ever done in it; return whether it is gone.

    It is taken apart file by file: a folder that is not empty after all is refused by the system.
    """
    if not _is_untouched(path):
        return False
    try:
        lock = FolderLock(path / "lock")
    except UserError:
        return False  # open somewhere
    try:
        if not _is_untouched(path):
            return False
        (path / "figures").rmdir()
        for name in ("journal.jsonl", "project.json"):
            (path / name).unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        lock.release()
    try:
        (path / "lock").unlink(missing_ok=True)
        path.rmdir()
    except OSError:
        return False
    return True


def _is_untouched(path: Path) -> bool:
    """Whether a draft is as `new_draft` made it."""
    try:
        names = {entry.name for entry in path.iterdir()}
        header = json.loads((path / "project.json").read_text("utf-8"))
        return (
            names <= {"project.json", "journal.jsonl", "figures", "lock"}
            and not any((path / "figures").iterdir())
            and ("journal.jsonl" not in names or not (path / "journal.jsonl").stat().st_size)
            and not (header["sequence"] or header["figures"] or header["models"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


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
