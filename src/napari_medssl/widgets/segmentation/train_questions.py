"""What is asked before a training replaces or loses something, and what is said of one."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_medssl.backend.training_workspace import Unfinished, check_free
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.segmentation.trainer import TrainingJob

PAUSE = (
    "Pause",
    "Stop at the next step and free the memory; what it has learnt is kept, to go on, to use as it "
    "is or to discard, also after a restart",
)
"""The button that stops a training, and its tooltip."""


def may_replace(parent: QWidget, job: TrainingJob) -> bool:
    """Ask whether a training may replace a model or what one has learnt; True if there is none.

    UserError if another window is at it: it may not, whatever the answer.
    """
    workspace = job.workspace
    check_free(workspace)
    lost = []
    if workspace.out.exists() and not job.builds_on:
        lost.append(f"the model {workspace.name!r}, when the new one is finished")
    if workspace.checkpoint.exists():
        lost.append(f"what {workspace.name!r} had learnt when it was stopped")
    if not lost:
        return True
    text = f"This replaces {' and '.join(lost)}. Give another name to keep it. Replace?"
    return questions.may(parent, "Replace?", text)


def may_discard(parent: QWidget, stopped: Unfinished) -> bool:
    """Ask whether what a training has learnt may be deleted."""
    word = "step" if stopped.done == 1 else "steps"
    text = f"Delete what {stopped.name!r} has learnt in {stopped.done} {word}?"
    return questions.may(parent, "Delete the training?", text)


def stopped_words(stopped: Unfinished) -> str:
    """Say how far a training came."""
    # Of one that fits a time, nobody said how many steps it takes.
    timed = stopped.config.get("minutes")
    total = None if timed else stopped.config.get("steps")
    of = f" of {total}" if isinstance(total, int) else ""
    word = "step" if stopped.done == 1 and not of else "steps"
    return f"{stopped.name!r} was stopped after {stopped.done}{of} {word}."
