"""Train a segmentation from a few masks: ACTION, ACTION++ and what stands beside them.

Source: You et al., arXiv 2206.02307 and 2304.02689; see `methods.action`. We differ: AdamW for SGD,
a cosine for the polynomial rate, and hundreds of steps rather than tens of thousands, since the
trunk starts from trained weights. The teacher's weights are kept unless the student's are wanted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_medssl.backend.action_config import (
    ARCHITECTURE,
    START_TASK,
    TASK,
    TrainActionConfig,
    check_stages,
    check_trainable,
    compared,
)
from napari_medssl.backend.action_course import Course
from napari_medssl.backend.action_data import prepare, short_side_for
from napari_medssl.backend.action_early_stop import EarlyStop
from napari_medssl.backend.action_folders import read_folders
from napari_medssl.backend.action_head import fit_head, is_head_random
from napari_medssl.backend.action_polarity import inverted_share
from napari_medssl.backend.action_previews import preview_of, previewed
from napari_medssl.backend.action_run import ActionRun, Schedule
from napari_medssl.backend.action_start import origin_of, start_network, trunk_rate_for
from napari_medssl.backend.action_timing import TIMED, Allowance
from napari_medssl.backend.checkpoints import Checkpoint, save_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.train_steps import (
    TrainReport,
    checkpoint_of,
    halved,
    left_out,
    load_to_resume,
    take_steps,
)

if TYPE_CHECKING:
    from torch import nn

    from napari_medssl.backend.models import DataSource

ENDING = "hardly anything changes: the last steps"
"""Words of the steps after it was found that a training can end early."""


def train_action(
    config: TrainActionConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainReport:
    """Train a network, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (exactly on a CPU, but for rounding on a GPU), `finish`
    writes the model as the checkpoint has it. With `minutes` the time begins with this call, and
    the number of steps is told anew as the machine becomes faster or slower: that too is kept in
    the checkpoint, so that only steps after it are timed again.

    Raises
    ------
    UserError
        If the images, the masks or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    started = time.monotonic()
    run = _Run(config, on_progress, should_stop)
    if not config.finish:
        take_steps(
            run,
            lambda: run.inner.end,
            config.checkpoint_every,
            stage=run.words,
            on_progress=on_progress if run.time is None else run.time.told(on_progress),
            should_stop=should_stop,
        )
    return run.finish(time.monotonic() - started)


class _Run:
    """One training with its files."""

    def __init__(
        self, config: TrainActionConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        check_trainable(config)
        self.config = config
        self.time = Allowance(config.minutes * 60) if config.minutes else None
        if self.time is not None and not config.resume:
            on_progress = self.time.told(on_progress)
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint_of(config.out)
        self.known, self.others = read_folders(config, on_progress, should_stop)
        self.side = config.short_side or short_side_for(self.known.images, config.size)
        self.images = prepare(self.known.images, self.others.images, self.side)
        labelled = [image.pixels for image in self.known.images]
        self.inverted = inverted_share(config.invert, (*labelled, *self.others.images))
        counts: dict[str, Any] = {
            "labelled_images": len(self.known.images),
            "unlabelled_images": len(self.others.images),
            "classes": list(self.known.class_names),
            "scaled_to": self.side,
            "inverted": self.inverted,
        }
        self.settings = compared(config) | counts
        saved = load_to_resume(self.checkpoint, self.settings) if config.resume else None
        self.spent = 0.0
        steps = config.steps
        if saved is not None:
            steps, self.spent = _course_of(saved).planned, float(saved.notes["spent_s"])
        elif self.time is not None:
            on_progress(Progress(0, None, "measuring the time of a step"))
            stages = check_stages(config.stages, steps)
            trial = self._begun(max(steps, TIMED * len(stages)))
            steps = self.time.measure(trial, should_stop)
        self.inner = self._begun(steps)
        self.early = EarlyStop(self.inner) if config.early_stop else None
        if saved is not None:
            self._restore(saved)
        self._since = time.monotonic()

    def _restore(self, saved: Checkpoint) -> None:
        saved.restore(self._modules(), {"adamw": self.inner.optimizer})
        self.inner.done = saved.step
        self.inner.take_course(_course_of(saved))
        if self.early is not None:
            self.early.restored()
        kept = saved.notes.get("time")
        if self.time is None or kept is None:
            self.time = None
        else:
            self.time.restore(kept)

    @property
    def done(self) -> int:
        """Steps that were taken."""
        return self.inner.done

    @property
    def total(self) -> int:
        """Steps that the rate is planned for."""
        return self.inner.course.total

    def step(self) -> dict[str, float]:
        """Take one step and return what is worth drawing."""
        stage = self.inner.stage_number
        values = self.inner.step()
        if self.early is not None:
            values |= self.early.after_step(values)
        values |= previewed(self.config.out, self.inner, self.config.preview_every)
        if self.time is not None:
            self.time.after_step(self.inner, stage)
        return values

    def words(self) -> str:
        """Return what the next step is for."""
        return self.inner.stage if self.inner.ending is None else ENDING

    def _begun(self, steps: int) -> ActionRun:
        config = self.config
        classes = len(self.known.class_names) + 1
        network = start_network(config.start, classes, config.seed)
        if config.fit_head and not config.resume and is_head_random(config.start, classes):
            fit_head(network, self.images, config.size, config.seed, self.device, self.inverted)
        return ActionRun(network, self.images, self._schedule(steps), config.seed, self.device)

    def _schedule(self, steps: int) -> Schedule:
        config = self.config
        return Schedule(
            check_stages(config.stages, steps),
            steps,
            config.batch,
            config.size,
            config.learning_rate,
            trunk_rate_for(config.start, config.trunk_rate),
            config.amp,
            self.inverted,
        )

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            self._modules(),
            {"adamw": self.inner.optimizer},
            step=self.done,
            config=self.settings,
            notes={
                "total": self.total,
                "course": self.inner.course.state(),
                "time": None if self.time is None else self.time.state(),
                "spent_s": self._seconds(),
            },
        )

    def _modules(self) -> dict[str, nn.Module]:
        early = {} if self.early is None else {"early_stop": self.early.module}
        return self.inner.modules() | early

    def _seconds(self) -> float:
        return self.spent + time.monotonic() - self._since

    def finish(self, duration_s: float) -> TrainReport:
        """Write the weights with their card, and drop the checkpoint."""
        config = self.config
        card = write_model(
            config.out, halved(self.inner.network(config.keep)), self._card(duration_s)
        )
        self.checkpoint.unlink(missing_ok=True)
        preview_of(config.out).unlink(missing_ok=True)
        told = self.known.remarks + self.others.remarks
        return TrainReport(
            card, left_out(self.known.failures + self.others.failures) + told + self._remarks()
        )

    def _remarks(self) -> tuple[str, ...]:
        if self.inner.ending is not None and self.done == self.inner.end:
            return (f"Ended after {self.done} of {self.total} steps: hardly anything changed.",)
        if self.done < self.total:
            return (f"Stopped early: {self.done} of {self.total} steps were taken.",)
        return ()

    def _card(self, duration_s: float) -> ModelCard:
        config = self.config
        licence, start, inherited = origin_of(config.start)
        seen = {"unlabelled_images": len(self.others.images) * self._takes_unlabelled()}
        return ModelCard(
            name=config.out.stem,
            task=START_TASK if config.labelled is None else TASK,
            architecture=ARCHITECTURE,
            config={
                "classes": list(self.known.class_names),
                "short_side": self.side,
                "window": config.size,
            },
            recipe=Recipe(
                command="medssl train action",
                config=self.settings | seen | {"kept": config.keep} | self._planned(),
                seed=config.seed,
                steps=self.done,
                duration_s=round(max(duration_s, self._seconds()), 1),
                hardware=self.device,
            ),
            data=tuple(dict.fromkeys((*inherited, *self._sources()))),
            metrics={
                "labelled_images": len(self.known.images),
                **seen,
                "left_out": len(self.known.failures) + len(self.others.failures),
            },
            licence=licence,
            version="1",
            description=_description(config, len(self.known.images), start),
        )

    def _takes_unlabelled(self) -> bool:
        """Whether a stage learns from images without masks; else pictures of them are all."""
        from napari_medssl.methods.action.stages import STAGES

        return any(STAGES[name].takes_unlabelled for name in self.inner.schedule.stages)

    def _planned(self) -> dict[str, Any]:
        """Return the steps that the rate was planned for, if fewer were taken."""
        return {"planned_steps": self.total} if self.done < self.total else {}

    def _sources(self) -> tuple[DataSource, ...]:
        config = self.config
        found: tuple[DataSource, ...] = ()
        if config.labelled is not None:
            found += read_sources(config.labelled, f"images and masks of {config.labelled.name!r}")
        if config.unlabelled is not None and self._takes_unlabelled():
            found += read_sources(config.unlabelled, f"images of {config.unlabelled.name!r}")
        return found


def _course_of(saved: Checkpoint) -> Course:
    """Return the course of a checkpoint; an older one tells but the number of steps."""
    course = saved.notes.get("course")
    return Course(int(saved.notes["total"])) if course is None else Course.restored(course)


def _description(config: TrainActionConfig, labelled: int, start: str) -> str:
    if config.labelled is None:
        return (
            f"To begin segmentations with; trained by {config.stages} without masks, from {start}."
        )
    return (
        f"Segments as in the masks it learnt from; trained by {config.stages} with "
        f"{labelled} labelled image{'s' * (labelled != 1)}, from {start}."
    )
