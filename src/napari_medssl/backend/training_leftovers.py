"""Trainings that ended before their first checkpoint: nothing goes on with them; they are cleared.

Copies of images may be as large as the set. Only a kill leaves them, see `clear_leftovers`: a
training that fails or is stopped clears up by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.training_workspace import WORKS_ON, Workspace, discard, in_use
from napari_medssl.io.files import TEMPORARY

_OLD_S = 3600.0  # a checkpoint takes seconds to write, whoever writes it


@contextmanager
def cleared_unless_saved(workspace: Workspace) -> Iterator[None]:
    """Discard, if the block ends with an error, what has no checkpoint; for who holds it."""
    try:
        yield
    except BaseException:
        if not workspace.checkpoint.exists():
            with suppress(UserError):  # the error of the block says more
                discard(workspace)
        raise


def clear_leftovers(models: Path | None = None) -> None:
    """Discard the trainings that were killed before their first checkpoint.

    Those that a program is at stay, and folders that hold anything else. Halves of checkpoints and
    models go too: a kill while one is written leaves them, hidden and as large as it.

    Parameters
    ----------
    models
        Folder of models, by default the user's.
    """
    folder = (models or user_models_folder()) / "training"
    for path in sorted(folder.glob("*")):
        workspace = Workspace(path.name, folder.parent)
        if _is_left(workspace):
            with suppress(UserError), in_use(workspace):  # refused while a program is at it
                if _is_left(workspace):  # still, now that it is ours
                    discard(workspace)
    for half in folder.parent.glob(f"{TEMPORARY}*.safetensors"):
        with suppress(OSError):  # it may be in place meanwhile
            if time.time() - half.stat().st_mtime > _OLD_S:
                half.unlink()


def _is_left(workspace: Workspace) -> bool:
    folder = workspace.folder
    if workspace.checkpoint.exists() or folder.is_symlink() or not folder.is_dir():
        return False
    with suppress(OSError):
        names = [path.name for path in folder.iterdir()]
        return all(name in WORKS_ON or name.startswith(TEMPORARY) for name in names)
    return False
