"""One process at a time in a project folder."""

from __future__ import annotations

from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.file_lock import FileLock, LockHeldError


class FolderLock:
    """Hold a folder for this process until `release`.

    Parameters
    ----------
    path
        The lock file in the folder; made if missing.
    noun
        What the folder is, for a person.

    Raises
    ------
    UserError
        If another process, or another part of this one, holds it; or it can not be written.
    """

    def __init__(self, path: Path, noun: str = "project") -> None:
        self.path = path
        try:
            self._lock = FileLock(path)
        except LockHeldError as error:
            raise UserError(
                f"The {noun} {str(path.parent)!r} is open in another window or program"
                f"{error.holder}. Close it there first."
            ) from error
        except OSError as error:
            raise UserError(
                f"Cannot write in {str(path.parent)!r}: {error.strerror}. "
                "Choose a folder that you may write to."
            ) from error

    def release(self) -> None:
        """Let go; the file stays, empty, so that its folder looks the same to the next opener."""
        self._lock.release()
