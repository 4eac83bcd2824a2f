"""Compare segmentation from weights of local discrimination with that from random weights.

Source: the transfer protocol of Chen et al., arXiv 2108.09440: 20 to 100 % of the training images
are labelled, the DSC is that of each image. Both starts have one network, one schedule, one head
and the same crops; only the weights below the head differ. How training differs from the paper is
said in `methods.local_discrimination.segmentation`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_medssl.backend.config import to_json
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.transfer_config import TRAIN, EvaluateTransferConfig, check_transfer
from napari_medssl.backend.transfer_data import LabelledSet, nested_parts, read_set
from napari_medssl.backend.transfer_journal import TransferJournal
from napari_medssl.backend.transfer_plot import transfer_svg
from napari_medssl.backend.transfer_report import (
    STARTS,
    WEIGHTS,
    SetReport,
    TransferReport,
    TransferRun,
)
from napari_medssl.backend.transfer_run import Schedule, Stopped, TransferSet, run_transfer
from napari_medssl.backend.transfer_weights import load_network, train_weights
from napari_medssl.io.files import write_whole

_FORMAT = "medssl-transfer-1"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run that is to be made: its start, its part of the labels, and its seed."""

    start: str
    percent: int
    part: tuple[int, ...]
    seed: int


def evaluate_transfer(
    config: EvaluateTransferConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TransferReport:
    """Make all runs that are not in the journal, and write the report, its table and its plot.

    Images that cannot be read are listed in `failures` and left out.

    Raises
    ------
    UserError
        If a set or the model cannot be used, or a file cannot be written.
    Cancelled
        If `should_stop` said so, within one step; finished runs are kept.
    """
    check_transfer(config)
    found: list[SetReport] = []
    failures: list[tuple[str, str]] = []
    with TransferJournal(config.journal) as journal:
        runner = _Runner(config, journal, on_progress, should_stop)
        for number, folder in enumerate(config.data):
            known = read_set(
                folder,
                config.test_share,
                config.split_seed,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            failures += known.failures
            found.append(runner.run(number, known))
    report = TransferReport(_settings(config), tuple(found), tuple(failures))
    write_whole(config.out.with_suffix(".md"), report.to_markdown())
    write_whole(config.out.with_suffix(".svg"), transfer_svg(report.sets))
    write_whole(config.out, report.to_json())
    return report


class _Runner:
    """Makes the runs of one set after the other."""

    def __init__(
        self,
        config: EvaluateTransferConfig,
        journal: TransferJournal,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._config, self._journal = config, journal
        self._on_progress, self._should_stop = on_progress, should_stop
        self._schedule = Schedule(
            config.steps, config.batch, config.size, config.learning_rate, config.amp
        )
        self._device = choose_device(config.device)
        self._of_set = len(STARTS) * len(config.percents) * config.seeds

    def run(self, number: int, known: LabelledSet) -> SetReport:
        """Return the runs of the set that is the `number`. of all."""
        network, about = load_network(self._weights(known))
        images = TransferSet(known, network, self._schedule)
        shape = [known.digest(), asdict(network.config), network.equalised]
        runs = []
        for place, plan in enumerate(self._plans(len(known.train))):
            weights = about["sha256"] if plan.start == WEIGHTS else None
            key = _key([*shape, asdict(self._schedule), weights, plan.part, plan.seed])
            dice = self._journal.find(key)
            if dice is None:
                dice = self._make(images, plan, number * self._of_set + place)
                self._journal.add(key, dice)
            runs.append(
                TransferRun(
                    plan.start, plan.percent, len(plan.part), plan.seed, tuple(map(tuple, dice))
                )
            )
        return _report(known, about, runs)

    def _weights(self, known: LabelledSet) -> str | Path:
        if self._config.model != TRAIN:
            return self._config.model
        return train_weights(
            self._config, known, on_progress=self._on_progress, should_stop=self._should_stop
        )

    def _plans(self, images: int) -> Iterator[_Plan]:
        for seed in range(1, self._config.seeds + 1):
            parts = nested_parts(images, self._config.percents, seed)
            for percent, part in parts.items():
                for start in STARTS:
                    yield _Plan(start, percent, part, seed)

    def _make(self, images: TransferSet, plan: _Plan, done: int) -> list[list[float]]:
        """Return the scores of one run; `done` runs are before it."""
        steps, total = self._schedule.steps, self._of_set * len(self._config.data)
        words = f"{images.known.name}: {plan.start}, {plan.percent} %, seed {plan.seed}"

        def tell(step: int, loss: float) -> None:
            self._on_progress(Progress(done * steps + step, total * steps, words, {"loss": loss}))

        try:
            return run_transfer(
                images,
                plan.part,
                plan.seed,
                self._device,
                from_weights=plan.start == WEIGHTS,
                on_step=tell,
                should_stop=self._should_stop,
            )
        except Stopped:
            raise Cancelled(
                f"Stopped after {done} of {total} runs; they are kept in "
                f"{str(self._config.journal)!r}. The same command goes on from them."
            ) from None


def _report(known: LabelledSet, about: dict[str, Any], runs: Sequence[TransferRun]) -> SetReport:
    classes = range(1, len(known.classes) + 1)
    return SetReport(
        known.name,
        known.classes,
        tuple(image.name for image in known.train),
        tuple(image.name for image in known.test),
        len({image.group for image in known.test}),
        tuple(sum(bool((i.classes == c).any()) for i in known.test) for c in classes),
        about,
        tuple(runs),
    )


def _key(what: Sequence[object]) -> str:
    """Return what tells a run from every other."""
    return hashlib.sha256(json.dumps([_FORMAT, *what]).encode()).hexdigest()


def _settings(config: EvaluateTransferConfig) -> dict[str, Any]:
    """Return the settings without folders: reports are published."""
    values = to_json(config)
    values.pop("out")
    model = config.model if config.model == TRAIN else Path(config.model).stem
    return values | {"data": [folder.name for folder in config.data], "model": model}
