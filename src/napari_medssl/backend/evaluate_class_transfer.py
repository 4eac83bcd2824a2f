"""Compare classification from random, ImageNet's and trained weights, with few labels.

Source: the question of SimCFS (Yao et al., arXiv 2107.08650) whether an encoder that was trained
on harvested panels is a better start than ImageNet's. All starts have one network, one schedule,
one head, the same labelled pictures and the same views.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.class_transfer_config import (
    IMAGENET,
    RANDOM,
    EvaluateClassTransferConfig,
    check_class_transfer,
)
from napari_medssl.backend.class_transfer_data import ClassSet, labelled_parts, read_class_set
from napari_medssl.backend.class_transfer_report import (
    ClassSetReport,
    ClassTransferReport,
    ClassTransferRun,
)
from napari_medssl.backend.class_transfer_run import (
    HOW,
    PROBE,
    Start,
    embed_set,
    fine_tune,
    probe,
    scores_of,
)
from napari_medssl.backend.config import to_json
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.models import file_sha256, find_weights
from napari_medssl.backend.transfer_journal import TransferJournal
from napari_medssl.backend.transfer_run import Schedule, Stopped
from napari_medssl.backend.trunks import (
    IMAGENET_TRUNK,
    load_contrastive_trunk,
    load_imagenet_trunk,
    random_trunk,
)
from napari_medssl.io.files import write_whole

if TYPE_CHECKING:
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

_FORMAT = "medssl-class-transfer-2"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run that is to be made."""

    start: Start
    how: str
    percent: int
    part: tuple[int, ...]
    seed: int


def evaluate_class_transfer(
    config: EvaluateClassTransferConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ClassTransferReport:
    """Make all runs that are not in the journal, and write the report and its table.

    Pictures that cannot be read are listed in `failures` and left out.

    Raises
    ------
    UserError
        If a set or a model cannot be used, or a file cannot be written.
    Cancelled
        If `should_stop` said so, within one step; finished runs are kept.
    """
    check_class_transfer(config)
    starts, about = _starts(config)
    found: list[ClassSetReport] = []
    failures: list[tuple[str, str]] = []
    with TransferJournal(config.journal) as journal:
        runner = _Runner(config, starts, journal, on_progress, should_stop)
        for number, folder in enumerate(config.data):
            known = read_class_set(
                folder,
                config.size,
                config.test_share,
                config.split_seed,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            failures += known.failures
            found.append(runner.run(number, known))
    report = ClassTransferReport(_settings(config), about, tuple(found), tuple(failures))
    write_whole(config.out.with_suffix(".md"), report.to_markdown())
    write_whole(config.out, report.to_json())
    return report


class _Runner:
    """Makes the runs of one set after the other."""

    def __init__(
        self,
        config: EvaluateClassTransferConfig,
        starts: Sequence[Start],
        journal: TransferJournal,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._config, self._starts, self._journal = config, starts, journal
        self._on_progress, self._should_stop = on_progress, should_stop
        self._schedule = Schedule(
            config.steps, config.batch, config.size, config.learning_rate, config.amp
        )
        self._device = choose_device(config.device)
        self._how = HOW if config.fine_tuning else (PROBE,)
        self._of_set = len(self._how) * len(starts) * len(config.percents) * config.seeds
        self._values: dict[tuple[str, int], NDArray[np.float32]] = {}

    def run(self, number: int, known: ClassSet) -> ClassSetReport:
        """Return the runs of the set that is the `number`. of all."""
        self._values.clear()
        digest, runs = known.digest(), []
        for place, plan in enumerate(self._plans(known)):
            # The probe has no schedule.
            schedule = None if plan.how == PROBE else asdict(self._schedule)
            key = _key([digest, plan.how, schedule, plan.start.sha256, plan.part, plan.seed])
            scores = self._journal.find(key)
            if scores is None:
                scores = self._make(known, plan, number * self._of_set + place)
                self._journal.add(key, scores)
            (accuracy, balanced), recalls = scores
            runs.append(
                ClassTransferRun(
                    plan.start.name,
                    plan.how,
                    plan.percent,
                    len(plan.part),
                    plan.seed,
                    accuracy,
                    balanced,
                    tuple(recalls),
                )
            )
        return _report(known, runs)

    def _plans(self, known: ClassSet) -> Iterator[_Plan]:
        """Give the runs: of each seed the probes, which are quick, then the others."""
        for seed in range(1, self._config.seeds + 1):
            parts = labelled_parts(known.labels[known.train], self._config.percents, seed)
            for how in self._how:
                for percent, part in parts.items():
                    for start in self._starts:
                        yield _Plan(start, how, percent, part, seed)

    def _make(self, known: ClassSet, plan: _Plan, done: int) -> list[list[float]]:
        """Return the scores of one run; `done` runs are before it."""
        total, steps = self._of_set * len(self._config.data), self._schedule.steps
        words = f"{known.name}: {plan.how}, {plan.start.name}, {plan.percent} %, seed {plan.seed}"

        def tell(step: int, loss: float) -> None:
            self._on_progress(Progress(done * steps + step, total * steps, words, {"loss": loss}))

        try:
            if self._should_stop():
                raise Stopped
            if plan.how == PROBE:
                self._on_progress(Progress(done * steps, total * steps, words))
                return scores_of(known, probe(self._embedded(known, plan), known, plan.part))
            predicted = fine_tune(
                plan.start,
                known,
                plan.part,
                plan.seed,
                self._schedule,
                self._device,
                on_step=tell,
                should_stop=self._should_stop,
            )
            return scores_of(known, predicted)
        except Stopped:
            raise Cancelled(
                f"Stopped after {done} of {total} runs; they are kept in "
                f"{str(self._config.journal)!r}. The same command goes on from them."
            ) from None

    def _embedded(self, known: ClassSet, plan: _Plan) -> NDArray[np.float32]:
        """Return the values that a probe sees, computed once for all its parts."""
        # Only random weights follow from the seed.
        key = (plan.start.name, 0 if plan.start.sha256 else plan.seed)
        if key not in self._values:
            self._values[key] = embed_set(plan.start.load(plan.seed), known, self._device)
        return self._values[key]


def _starts(config: EvaluateClassTransferConfig) -> tuple[list[Start], dict[str, dict[str, Any]]]:
    """Return the starts, and what a report tells of each.

    Raises
    ------
    UserError
        If a model cannot be used.
    """
    imagenet = file_sha256(find_weights(IMAGENET_TRUNK))
    starts = [
        Start(RANDOM, "", random_trunk),
        Start(IMAGENET, imagenet, _without_seed(load_imagenet_trunk)),
    ]
    about: dict[str, dict[str, Any]] = {RANDOM: {}, IMAGENET: {"sha256": imagenet}}
    for name, file in config.models.items():
        _, card = load_contrastive_trunk(file)
        sha256 = card.sha256 or file_sha256(find_weights(file))
        starts.append(Start(name, sha256, _without_seed(partial(_trunk_of, file))))
        recipe = asdict(card.recipe)
        about[name] = {"model": card.name, "sha256": sha256, "recipe": recipe, **card.metrics}
    return starts, about


def _trunk_of(file: str) -> EfficientNetLite0:
    return load_contrastive_trunk(file)[0]


def _without_seed(load: Callable[[], EfficientNetLite0]) -> Callable[[int], EfficientNetLite0]:
    return lambda seed: load()


def _report(known: ClassSet, runs: Sequence[ClassTransferRun]) -> ClassSetReport:
    count = len(known.classes)
    train = np.bincount(known.labels[known.train], minlength=count)
    test = np.bincount(known.labels[known.test], minlength=count)
    majority = round(float(test[train.argmax()] / test.sum()), 6)
    return ClassSetReport(
        known.name,
        known.classes,
        tuple(train.tolist()),
        tuple(test.tolist()),
        majority,
        tuple(runs),
    )


def _key(what: Sequence[object]) -> str:
    """Return what tells a run from every other."""
    return hashlib.sha256(json.dumps([_FORMAT, *what]).encode()).hexdigest()


def _settings(config: EvaluateClassTransferConfig) -> dict[str, Any]:
    """Return the settings without folders: reports are published."""
    values = to_json(config)
    values.pop("out")
    models = [f"{name}={Path(file).name}" for name, file in config.models.items()]
    return values | {"data": [folder.name for folder in config.data], "model": models}
