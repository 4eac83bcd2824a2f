"""Copy a project to a new folder in a thread while it goes on being used."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_medssl.state.project import Project

_TRIES = 20


class ProjectCopy:
    """A copy in the making: `write` in a thread, then `finish` where the project is used.

    Parameters
    ----------
    project
        What is copied. It may change while `write` runs.
    folder
        Where the copy will be.
    """

    def __init__(self, project: Project, folder: Path | str) -> None:
        self._project, self._folder = project, folder
        self._target: Project | None = None
        self._known: dict[str, int] = {}
        self._sequence = -1

    def write(self) -> None:
        """Write what the copy does not have yet; call it again when `finish` says so.

        Raises
        ------
        UserError
            If something is at that place already or the disk refuses. Nothing is left there then.
        """
        if self._target is None:
            self._target = type(self._project).create(self._folder)
        try:
            for tries_left in reversed(range(_TRIES)):
                self._sequence = self._project.sequence
                try:
                    self._project.copy_changes(self._target, self._known)
                    return
                except (KeyError, RuntimeError):
                    # Boxes came or went while they were read, in another thread: read them anew.
                    if not tries_left:
                        raise
        except BaseException:
            self.discard()
            raise

    def finish(self) -> Project | None:
        """Return the copy, open; None if the project has changed since: `write` once more.

        Call it in the thread that uses the project, so that nothing changes meanwhile. The project
        itself stays open.
        """
        if self._target is None or self._project.sequence != self._sequence:
            return None
        return self._target

    def discard(self) -> None:
        """Delete what was written."""
        target, self._target = self._target, None
        self._known.clear()
        if target is not None:
            target.leave()
            shutil.rmtree(target.folder, ignore_errors=True)
