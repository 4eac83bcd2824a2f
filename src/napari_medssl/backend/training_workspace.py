"""What a training begun in a window works on: copies of its images and shapes, and what was asked.

A folder `training/NAME` beside the user's models holds
- `images/`: the images, linked where the disk can, since those of a set lie anywhere;
- `shapes/`: the shapes, if they came from a layer;
- `training.json`: the trainer and its config, so that a training that was stopped goes on later.
It is deleted when the model is there. The checkpoint lies beside the model, as with `medssl train`.
While a program is at it, it holds `training/NAME.lock`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.action_previews import preview_of
from napari_medssl.backend.checkpoints import read_step
from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_pairs import CLASSES
from napari_medssl.backend.models import list_models
from napari_medssl.backend.train_steps import checkpoint_of
from napari_medssl.io.class_files import class_png
from napari_medssl.io.file_lock import FileLock, LockHeldError
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.png_files import png_bytes
from napari_medssl.io.volumes import is_nifti

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOTE = "training.json"

WORKS_ON = frozenset({"images", "masks", "unlabelled", "shapes", CLASSES, _NOTE})
"""Names of all that a workspace holds, also that of painted images."""


@dataclass(frozen=True)
class Workspace:
    """Where a training of a name finds and leaves its files; `models` is the folder of models."""

    name: str
    models: Path

    @property
    def folder(self) -> Path:
        """What it works on."""
        return self.models / "training" / self.name

    @property
    def images(self) -> Path:
        """Its images."""
        return self.folder / "images"

    @property
    def masks(self) -> Path:
        """Its masks, if it learns from painted images, see `painted_workspace`."""
        return self.folder / "masks"

    @property
    def unlabelled(self) -> Path:
        """Its images without a mask, if it learns from painted ones."""
        return self.folder / "unlabelled"

    @property
    def shapes(self) -> Path:
        """Its shapes, if they came from a layer."""
        return self.folder / "shapes"

    @property
    def out(self) -> Path:
        """Its model."""
        return self.models / f"{self.name}.safetensors"

    @property
    def lock(self) -> Path:
        """Who is at it."""
        return self.models / "training" / f"{self.name}.lock"

    @property
    def checkpoint(self) -> Path:
        """Its checkpoint."""
        return checkpoint_of(self.out)

    @property
    def preview(self) -> Path:
        """What it finds so far, if it shows that."""
        return preview_of(self.out)


@dataclass(frozen=True)
class Unfinished:
    """A training that was stopped: its trainer and config, and how many steps it has done."""

    workspace: Workspace
    trainer: str
    config: dict[str, Any]
    done: int

    @property
    def name(self) -> str:
        """Name of the model that it will be."""
        return self.workspace.name


def workspace_of(name: str, models: Path | None = None) -> Workspace:
    """Return the workspace of a training that is to give a model of this name.

    Parameters
    ----------
    name
        Of the model.
    models
        Folder of models, by default the user's.

    Raises
    ------
    UserError
        If no model can have that name, or one that is shipped has it.
    """
    if not _NAME.fullmatch(name) or name.endswith(".safetensors"):
        raise UserError(
            f"The model cannot be named {name!r}. Give letters, digits, '.', '_' and '-', such as "
            "my-vessels."
        )
    if any(model.is_shipped and model.card.name == name for model in list_models()):
        raise UserError(f"{name!r} is the name of a model that is shipped. Give another one.")
    return Workspace(name, models or user_models_folder())


def fill(
    workspace: Workspace,
    sources: Sequence[str],
    shapes: NDArray[np.bool_] | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> None:
    """Put images, and shapes of a layer, into a workspace; what was there is deleted.

    Parameters
    ----------
    workspace
        Where to.
    sources
        Paths of images, with "#page=N" for a page of several.
    shapes
        Where the shapes are, (Y, X); None if they lie in a folder.

    Raises
    ------
    UserError
        If an image cannot be read, or nothing can be written.
    Cancelled
        If `should_stop` said so.
    """
    discard(workspace)
    make_folder(workspace.images)
    for number, source in enumerate(sources):
        if should_stop():
            raise Cancelled("Stopped before the training began.")
        on_progress(Progress(number, len(sources), "collecting the images"))
        put_image(source, workspace.images, f"{number + 1:04}")
    if shapes is not None:
        make_folder(workspace.shapes)
        white = np.where(shapes, 255, 0).astype(np.uint8)
        write_whole(workspace.shapes / "layer.png", class_png(white))


def put_image(source: str, folder: Path, stem: str) -> None:
    """Put an image into a folder: a link if the disk can, else a copy; UserError if it cannot.

    Pages, and slices of NIfTI, become PNG files.
    """
    ref = ImageRef.parse(source)
    if ref.page is None and not is_nifti(ref.path):
        target = folder / f"{stem}{ref.path.suffix}"
        try:
            os.link(ref.path, target)
        except OSError:
            try:
                shutil.copyfile(ref.path, target)
            except OSError as error:
                raise UserError(
                    f"Cannot copy {str(ref.path)!r}: {error.strerror}. Put it where it was, or "
                    "take the image off the set."
                ) from error
        return
    write_whole(folder / f"{stem}.png", png_bytes(read_image(ref, robust=True), is_chosen=True))


def note(workspace: Workspace, trainer: str, config: dict[str, Any]) -> None:
    """Write what is asked of a training, for `unfinished`."""
    make_folder(workspace.folder)
    text = json.dumps({"trainer": trainer, "config": config}, indent=1, ensure_ascii=False)
    write_whole(workspace.folder / _NOTE, text)


@contextmanager
def in_use(workspace: Workspace) -> Iterator[None]:
    """Hold a workspace in a block; UserError if another program, or part of this one, does."""
    make_folder(workspace.lock.parent)
    try:
        lock = FileLock(workspace.lock)
    except LockHeldError as error:
        raise UserError(
            f"{workspace.name!r} is being trained by another program{error.holder}. Wait for its "
            "end, or stop it there."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot write {str(workspace.lock)!r}: {error.strerror or error}. Let the folder of "
            "models be written to."
        ) from error
    try:
        yield
    finally:
        lock.release(remove=True)


def check_free(workspace: Workspace) -> None:
    """Raise `UserError` if another program, or part of this one, holds a workspace."""
    if workspace.lock.exists():
        with in_use(workspace):
            return


def _is_in_use(workspace: Workspace) -> bool:
    try:
        if workspace.lock.exists():  # also left by a program that was killed
            FileLock(workspace.lock).release(remove=True)
    except LockHeldError:
        return True
    except OSError:  # nobody can have it
        return False
    return False


def unfinished(models: Path | None = None) -> tuple[Unfinished, ...]:
    """Return the trainings that were stopped and can go on.

    Damaged ones are passed over, and those that another window is at.
    """
    folder = (models or user_models_folder()) / "training"
    found = []
    for path in sorted(folder.glob(f"*/{_NOTE}")):
        workspace = Workspace(path.parent.name, folder.parent)
        if _is_in_use(workspace):
            continue
        try:
            values = json.loads(path.read_text("utf-8"))
            done = read_step(workspace.checkpoint)
            trainer, config = str(values["trainer"]), dict(values["config"])
            found.append(Unfinished(workspace, trainer, config, done))
        except (OSError, UserError, ValueError, KeyError, TypeError):
            continue  # stopped before its first checkpoint, or not ours
    return tuple(found)


def throw_away(workspace: Workspace) -> None:
    """Discard a training that was stopped; UserError if it goes on in another window."""
    with in_use(workspace):
        discard(workspace)


def discard(workspace: Workspace) -> None:
    """Delete what a training works on, and its checkpoint; the model, if there is one, stays."""
    try:
        shutil.rmtree(workspace.folder, ignore_errors=False)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"Cannot delete {str(workspace.folder)!r}: {error.strerror}.") from error
    for file in (workspace.checkpoint, workspace.preview):
        file.unlink(missing_ok=True)
