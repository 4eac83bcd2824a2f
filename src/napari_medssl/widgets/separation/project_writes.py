"""Write, leave and discard projects in a thread while the window waits and is drawn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from napari_medssl.state.drafts import discard_draft
from napari_medssl.state.project import Project
from napari_medssl.state.project_copy import ProjectCopy
from napari_medssl.widgets._waiting import wait_for


def copied(project: Project, folder: Path) -> Project:
    """Return a copy that is open; results that come in while it is written are in it.

    Raises
    ------
    UserError
        If the place is taken or the disk refuses; nothing is left there, the project stays open.
    """
    copy = ProjectCopy(project, folder)
    wait_for(copy.write)
    while (target := copy.finish()) is None:
        wait_for(copy.write)
    return target


def close_or_discard(project: Project, *, discard: bool) -> None:
    """Close a project and write its files, or delete it; UserError as `Project.close`."""
    if discard:
        leave_or_discard(project, discard=True)
    else:
        wait_for(project.close)


def leave_or_discard(project: Project, *, discard: bool) -> None:
    """Leave a project to its journal, or delete it; UserError as `Project.close`."""
    wait_for(project.leave)
    if discard:
        wait_for(partial(discard_draft, project.folder))
