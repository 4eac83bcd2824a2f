"""Improve from corrections: fine-tune the panel detector on the figures that a person accepted.

The method is ours, no paper's: `tune_figures` trains, `improve_check` compares before and after on
figures that were held out. The former model stays as it is; going back means choosing it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend import improve_check as checking
from napari_medssl.backend.calibrate_score import ScoreCalibration
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.corrections import (
    CorrectedFigure,
    Corrections,
    read_corrected,
    read_corrections,
)
from napari_medssl.backend.figure_pool import SimulateConfig, load_pool, make_simulator
from napari_medssl.backend.figures import SeparateConfig, Separator
from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.improve_check import Comparison, ImproveReport, rows_of, scored
from napari_medssl.backend.improve_config import (
    ImproveConfig,
    can_resume,
    checkpoint_of,
    comparable,
    model_place,
    nothing_accepted,
    start_of,
)
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.models import DataSource, ModelCard, Recipe, load_card, write_model
from napari_medssl.backend.train_steps import halved, load_to_resume, stop_line
from napari_medssl.backend.tune_figures import Example, Tuner, shrunk
from napari_medssl.methods.simcfs.metrics import ScoredFigure
from napari_medssl.methods.simcfs.pool import Pool, made_textures

if TYPE_CHECKING:
    from napari_medssl.methods.simcfs.simulator import SimulatedFigure, Simulator

__all__ = ["ImproveConfig", "ImproveReport", "can_resume", "improve"]

# Far from the seeds of replayed figures, the same in every run.
_CHECK_SEED, _CALIBRATION_SEED = 9_100_000_000, 9_200_000_000


def improve(
    config: ImproveConfig, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> ImproveReport:
    """Make an improved model and compare it with the former one; run it in a child process.

    A checkpoint lies beside the new model until the end; `resume` goes on from it.

    Raises
    ------
    UserError
        If there is no accepted figure, the model or the checkpoint cannot be used, or the name is
        taken.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    return _Improvement(config, on_progress, should_stop).run()


class _Improvement:
    """One run: a training round for each part that is held out, then one with all figures."""

    def __init__(
        self, config: ImproveConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        self.config, self._on_progress, self._should_stop = config, on_progress, should_stop
        self._started = time.monotonic()
        given = read_corrections(config.project)
        self.start = start_of(config, given)
        self.card = load_card(self.start)
        self.place = model_place(config.out, self.card.name)
        self.tuning = config.tuning()
        self.settings = comparable(config, self.start, given)
        self.checkpoint = checkpoint_of(self.place)
        self.saved = load_to_resume(self.checkpoint, self.settings) if config.resume else None
        self._load(given)
        count = len(self.figures)
        self.held_out = checking.choose_held_out(count, config.checks, config.seed)
        self.looked_at = sorted(i for part in self.held_out for i in part) or list(range(count))
        self.base = Separator(SeparateConfig(model=self.start, device=config.device))
        self._done, self._total = 0, self._count_steps()
        # What was found in held-out figures, by number: rows of corners and score.
        self.found: dict[str, list[list[float]]] = self.saved.notes["found"] if self.saved else {}

    def _load(self, given: Corrections) -> None:
        """Read the figures; put aside those that cannot be used."""
        self.figures: list[CorrectedFigure] = []
        self.examples: list[Example] = []
        skipped = list(given.skipped)
        for figure in given.figures:
            try:
                image = read_corrected(figure)
            except UserError as error:
                skipped.append((figure.ref.name, str(error)))
                continue
            self.figures.append(figure)
            example = shrunk(image, figure.boxes, dense_size=self.tuning.dense_size)
            self.examples.append(replace(example, may_mirror=not figure.has_letters))
        self.skipped = tuple(skipped)
        if not self.figures:
            raise UserError(nothing_accepted(self.config.project, skipped))

    def _count_steps(self) -> int:
        config = self.config
        count = len(self.figures)
        rounds = [count - len(part) for part in self.held_out] + [count]
        training = sum(config.steps_for(figures) for figures in rounds)
        looks = config.checked * (4 + len(rounds)) + 2 * len(self.looked_at)
        return training + config.replayed + looks

    def run(self) -> ImproveReport:
        """Train, compare, write the model and return the report."""
        simulator = self._simulator()
        first = self.config.seed * 10_000_000
        replay = [
            shrunk(figure.image, figure.boxes, dense_size=self.tuning.dense_size)
            for figure in self._simulate(simulator, first, self.config.replayed)
        ]
        self.unseen = list(self._simulate(simulator, _CALIBRATION_SEED, self.config.checked))
        before = [self._look(self.base, i) for i in self.looked_at]
        for number, part in enumerate(self.held_out):
            if any(str(i) not in self.found for i in part):
                rest = [k for k in range(len(self.figures)) if k not in part]
                tuner = self._train(number, rest, replay)
                self._note(self._separator(tuner), part)
        final = self._separator(self._train(len(self.held_out), range(len(self.figures)), replay))
        if not self.held_out:
            self._note(final, self.looked_at)
        after = [self.found[str(i)] for i in self.looked_at]
        truth = [self.figures[i].boxes for i in self.looked_at]
        scores = [
            [scored(boxes, rows) for boxes, rows in zip(truth, found, strict=True)]
            for found in (before, after)
        ]
        return self._finish(final, scores[0], scores[1], self._compare_simulated(simulator, final))

    # -- training --------------------------------------------------------------------------------

    def _train(self, number: int, chosen: Iterable[int], replay: list[Example]) -> Tuner:
        """Return the tuner of one round, trained on the `chosen` figures."""
        examples = [self.examples[i] for i in chosen]
        steps = self.config.steps_for(len(examples))
        tuner = Tuner(self.base.network, replace(self.tuning, steps=steps), examples, replay)
        if self.saved is not None and self.saved.notes["round"] == number:
            self.saved.restore(
                {"network": tuner.network, "average": tuner.average}, {"adamw": tuner.optimizer}
            )
            tuner.done = self.saved.step
        while tuner.done < steps:
            if self._should_stop():
                self._save(tuner, number)
                raise Cancelled(stop_line(self._done, self._total, self.checkpoint))
            values = tuner.step()
            self._tell(f"training {number + 1} of {len(self.held_out) + 1}", values)
            if tuner.done % self.config.checkpoint_every == 0 or tuner.done == steps:
                self._save(tuner, number)
        return tuner

    def _save(self, tuner: Tuner, number: int) -> None:
        save_checkpoint(
            self.checkpoint,
            {"network": tuner.network, "average": tuner.average},
            {"adamw": tuner.optimizer},
            step=tuner.done,
            config=self.settings,
            notes={"round": number, "found": self.found},
        )

    def _tell(self, message: str, values: dict[str, float] | None = None) -> None:
        self._done += 1
        self._on_progress(Progress(self._done, self._total, message, values or {}))

    def _tick(self, message: str) -> None:
        """Tell of a piece of work after which nothing is lost by stopping."""
        if self._should_stop():
            raise Cancelled(stop_line(self._done, self._total, self.checkpoint))
        self._tell(message)

    # -- looking ---------------------------------------------------------------------------------

    def _separator(self, tuner: Tuner) -> Separator:
        """Return a detector with the trained weights and a least score that suits them."""
        separator = Separator.of(tuner.average, self.base.default_score, self.base.device)
        calibration = ScoreCalibration(separator)
        for figure in self.unseen:
            calibration.look(figure)
            self._tick("choosing the least score")
        separator.default_score = calibration.best()
        return separator

    def _look(self, separator: Separator, number: int) -> list[list[float]]:
        """Return what a model finds in a figure."""
        rows = rows_of(separator, read_corrected(self.figures[number]))
        self._tick("comparing")
        return rows

    def _note(self, separator: Separator, numbers: Iterable[int]) -> None:
        self.found |= {str(i): self._look(separator, i) for i in numbers}

    def _simulator(self) -> Simulator:
        pool = self.config.pool
        self._on_progress(Progress(0, self._total, "reading the pool"))
        images = (
            Pool(made_textures())
            if pool is None
            else load_pool(pool, should_stop=self._should_stop)
        )
        return make_simulator(images, SimulateConfig())

    def _simulate(self, simulator: Simulator, first: int, count: int) -> Iterator[SimulatedFigure]:
        for seed in range(first, first + count):
            yield simulator.figure(seed)
            self._tick("simulating figures")

    def _compare_simulated(self, simulator: Simulator, improved: Separator) -> Comparison:
        before: list[ScoredFigure] = []
        after: list[ScoredFigure] = []
        for figure in self._simulate(simulator, _CHECK_SEED, self.config.checked):
            for separator, found in ((self.base, before), (improved, after)):
                found.append(scored(figure.boxes, rows_of(separator, figure.image)))
                self._tick("comparing on simulated figures")
        return checking.compare("simulated figures", before, after)

    # -- the end ---------------------------------------------------------------------------------

    def _finish(
        self,
        final: Separator,
        before: list[ScoredFigure],
        after: list[ScoredFigure],
        simulated: Comparison,
    ) -> ImproveReport:
        """Write the model with its card, drop the checkpoint and return the report."""
        names = [figure.ref.name for figure in self.figures]
        round_of = {i: k for k, part in enumerate(self.held_out, start=1) for i in part}
        at_hand = checking.compare("your figures", before, after)
        is_registered = self.place.parent == user_models_folder()
        model = self.place.stem if is_registered else str(self.place)
        is_better, advice = checking.judge(
            model, self.start, at_hand, simulated, is_fair=bool(self.held_out)
        )
        report = ImproveReport(
            model=model,
            path=str(self.place),
            start=self.start,
            used=tuple(names),
            skipped=self.skipped,
            held_out=tuple(tuple(names[i] for i in part) for part in self.held_out),
            at_hand=at_hand,
            simulated=simulated,
            figures=checking.compare_each(
                [names[i] for i in self.looked_at],
                [round_of.get(i, 0) for i in self.looked_at],
                before,
                after,
            ),
            is_better=is_better,
            advice=advice,
            score=final.default_score,
        )
        write_model(self.place, halved(final.network), self._card(report))
        self.checkpoint.unlink(missing_ok=True)
        return report

    def _card(self, report: ImproveReport) -> ModelCard:
        count = len(report.used)
        source = f"{count} corrected figures of {self.config.project.name}"
        return replace(
            self.card,
            name=self.place.stem,
            recipe=Recipe(
                command="medssl improve figures",
                config={**self.settings, "start_sha256": self.card.sha256, "corrected": count},
                seed=self.config.seed,
                steps=self.config.steps_for(count),
                duration_s=round(time.monotonic() - self._started, 1),
                hardware=self.base.device,
            ),
            data=(*self.card.data, DataSource(source, "not stated")),
            metrics={"score_threshold": report.score, **checking.metrics(report)},
            licence=f"not stated; made from {self.card.name!r} ({self.card.licence})",
            version="1",
            description=f"{self.card.name}, fine-tuned on {count} corrected figures.",
        )
