"""What every trainer of this widget is: a small panel of its own, and a job that makes a model.

A trainer is one file: a subclass of `Trainer` that shows its fields and says, in `job`, what is to
be run. All else (images, name, progress, curve, stopping, going on later) is in `train_panel`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QWidget

from napari_medssl.backend.compute_worker import call_function
from napari_medssl.backend.config import to_json
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop
from napari_medssl.backend.painted_workspace import PaintedImages, fill_painted
from napari_medssl.backend.training_leftovers import cleared_unless_saved
from napari_medssl.backend.training_workspace import (
    Unfinished,
    Workspace,
    discard,
    fill,
    in_use,
    note,
)


class TrainReport(Protocol):
    """What a training gives: the card of its model, and lines for the person."""

    card: Any
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class TrainingJob:
    """A training to run.

    Attributes
    ----------
    trainer
        Key of the trainer.
    workspace
        Where its files are.
    work
        Where what trains is: "napari_medssl.backend.train_action:train_action". It is imported in
        the process that trains alone: to import it here would hold the window up.
    config
        What it takes, which has `resume`.
    sources
        Images that are copied into the workspace first.
    shapes
        Of a layer, bool, shape (Y, X), written there too; None for none.
    painted
        Images with masks and images without, copied there instead of `sources`; None for none.
    goes_on
        The workspace is full already and there is a checkpoint.
    builds_on
        It begins with the model that it replaces: nothing is lost that a person has to be asked of.
    """

    trainer: str
    workspace: Workspace
    work: str
    config: Any
    sources: tuple[str, ...] = ()
    shapes: NDArray[np.bool_] | None = None
    painted: PaintedImages | None = None
    goes_on: bool = False
    builds_on: bool = False


class Trainer(QWidget):
    """The fields of one kind of training.

    Attributes
    ----------
    key
        Names it in files of trainings that were stopped.
    title, about
        What it is called, and what it does, in words for a person.
    curves
        Names of the values that are drawn while it learns, with words for each.
    segments_after
        Whether the images are segmented by the model as soon as it is there.
    can_keep
        Whether a training that was stopped can become a model as it is, see `kept`.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    curves: ClassVar[dict[str, str]]
    segments_after: ClassVar[bool] = False
    can_keep: ClassVar[bool] = False

    @abstractmethod
    def job(self, workspace: Workspace, sources: tuple[str, ...]) -> TrainingJob:
        """Return what is to be run; UserError for what is missing."""

    @abstractmethod
    def continued(self, stopped: Unfinished) -> TrainingJob:
        """Return what is to be run to go on; UserError if its config cannot be read."""

    def kept(self, stopped: Unfinished) -> TrainingJob | None:
        """Return what makes a model of a training that was stopped, as it is; None if nothing can.

        UserError if its config cannot be read.
        """
        return None

    def words(self, values: dict[str, Any]) -> str:
        """Return a line on how it goes, from the values of a step; "" for none."""
        return ""


def run_training(
    job: TrainingJob, *, on_progress: OnProgress, should_stop: ShouldStop
) -> TrainReport:
    """Train in a process of its own; for a `JobPanel`.

    Raises
    ------
    UserError
        As the training does.
    Cancelled
        If it was stopped; if there is a checkpoint it can go on.
    """
    with in_use(job.workspace):
        with cleared_unless_saved(job.workspace):
            report = _trained(job, on_progress, should_stop)
        discard(job.workspace)
    return report


def _trained(job: TrainingJob, on_progress: OnProgress, should_stop: ShouldStop) -> TrainReport:
    from napari_medssl.backend.training import run_in_child

    config = replace(job.config, resume=job.goes_on)
    if not job.goes_on:
        told: dict[str, Any] = {"on_progress": on_progress, "should_stop": should_stop}
        if job.painted is not None:
            fill_painted(job.workspace, job.painted, **told)
        else:
            fill(job.workspace, job.sources, job.shapes, **told)
        note(job.workspace, job.trainer, to_json(config))
    # It says nothing until it has imported what it learns with, which takes some seconds.
    on_progress(Progress(0, None, "starting the process that learns"))
    report: TrainReport = run_in_child(
        partial(call_function, job.work), config, on_progress=on_progress, should_stop=should_stop
    )
    return report
