"""What is asked before a training replaces something."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.segmentation.trainer import TrainingJob


def may_replace(parent: QWidget, job: TrainingJob) -> bool:
    """Ask whether a training may replace a model or what one has learnt; True if there is none."""
    workspace = job.workspace
    lost = []
    if workspace.out.exists() and not job.builds_on:
        lost.append(f"the model {workspace.name!r}, when the new one is finished")
    if workspace.checkpoint.exists():
        lost.append(f"what {workspace.name!r} had learnt when it was stopped")
    if not lost:
        return True
    text = f"This replaces {' and '.join(lost)}. Give another name to keep it. Replace?"
    return questions.may(parent, "Replace?", text)
