"""Compare ways of learning to segment from few masks: masks alone, mean teacher, ACTION and others.

All begin with the same weights, take the same number of steps and see the same labelled images, of
which smaller parts lie in larger; groups are never split. Unlabelled are all training images.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medssl.backend.action_comparison import (
    BRANCHES,
    MEASURES,
    ComparedSet,
    ComparisonReport,
    RecipeRun,
    Scores,
)
from napari_medssl.backend.action_comparison_config import EvaluateActionConfig, check_comparison
from napari_medssl.backend.action_config import check_stages
from napari_medssl.backend.action_data import prepare, short_side_for
from napari_medssl.backend.action_head import fit_head, is_head_random
from napari_medssl.backend.action_polarity import inverted_share
from napari_medssl.backend.action_run import ActionRun, Schedule
from napari_medssl.backend.action_segmenter import ActionSegmenter
from napari_medssl.backend.action_start import start_network, trunk_rate_for
from napari_medssl.backend.config import to_json
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.models import file_sha256, find_weights
from napari_medssl.backend.segmentation_scores import score_case
from napari_medssl.backend.transfer_data import LabelledImage, LabelledSet, nested_parts, read_set
from napari_medssl.backend.transfer_journal import TransferJournal
from napari_medssl.io.files import write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_medssl.backend.action_data import ActionImages
    from napari_medssl.methods.action.network import SegmentationUNet

_FORMAT = "medssl-action-5"
_NONE = -1.0  # in the journal, which holds numbers alone: there is no score


@dataclass(frozen=True, slots=True)
class _Plan:
    recipe: str
    percent: int
    part: tuple[int, ...]
    seed: int


def evaluate_action(
    config: EvaluateActionConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ComparisonReport:
    """Make all runs that are not in the journal, and write the report and its tables.

    Images that cannot be read are listed in `failures` and left out.

    Raises
    ------
    UserError
        If a set or a value cannot be used, or a file cannot be written.
    Cancelled
        If `should_stop` said so, within one step; finished runs are kept.
    """
    check_comparison(config)
    found: list[ComparedSet] = []
    failures: list[tuple[str, str]] = []
    with TransferJournal(config.out.with_suffix(".journal")) as journal:
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
    report = ComparisonReport(_settings(config), tuple(found), tuple(failures))
    write_whole(config.out.with_suffix(".md"), report.to_markdown())
    write_whole(config.out, report.to_json())
    return report


class _Runner:
    """Makes the runs of one set after the other."""

    def __init__(
        self,
        config: EvaluateActionConfig,
        journal: TransferJournal,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._config, self._journal = config, journal
        self._on_progress, self._should_stop = on_progress, should_stop
        self._device = choose_device(config.device)
        self._inverted = 0.0  # of the set
        self._of_set = len(config.recipes) * len(config.percents) * config.seeds
        is_file = config.start not in ("imagenet", "random")
        self._start = file_sha256(find_weights(config.start)) if is_file else config.start

    def run(self, number: int, known: LabelledSet) -> ComparedSet:
        """Return the runs of the set that is the `number`. of all."""
        digest = known.digest()
        pixels = [image.pixels for image in known.train]
        self._inverted = inverted_share(self._config.invert, pixels)
        runs: list[RecipeRun] = []
        for place, plan in enumerate(self._plans(len(known.train))):
            side = short_side_for([known.train[n] for n in plan.part], self._config.size)
            keys = {branch: self._key(digest, plan, side, branch) for branch in BRANCHES}
            if any(self._journal.find(key) is None for key in keys.values()):
                made = self._make(known, plan, side, number * self._of_set + place)
                for branch, scores in made.items():
                    self._journal.add(keys[branch], _packed(scores))
            for branch, key in keys.items():
                scores = _unpacked(self._journal.find(key) or [], len(known.classes))
                labelled = len(plan.part)
                runs.append(
                    RecipeRun(plan.recipe, branch, plan.percent, labelled, plan.seed, scores)
                )
        return replace(_compared(known, runs), inverted=self._inverted)

    def _plans(self, images: int) -> Iterator[_Plan]:
        # Seeds first: a comparison that is stopped has whole rounds.
        for seed in range(1, self._config.seeds + 1):
            for percent, part in nested_parts(images, self._config.percents, seed).items():
                for recipe in self._config.recipes:
                    yield _Plan(recipe, percent, part, seed)

    def _schedule(self, recipe: str) -> Schedule:
        config = self._config
        return Schedule(
            check_stages(recipe, config.steps),
            config.steps,
            config.batch,
            config.size,
            config.learning_rate,
            trunk_rate_for(config.start),
            config.amp,
            self._inverted,
        )

    def _key(self, digest: str, plan: _Plan, side: int, branch: str) -> str:
        """Return what tells a run from every other: also of the same command before it changed."""
        from napari_medssl.methods.action.stages import STAGES, stage_ends

        schedule = self._schedule(plan.recipe)
        ends = stage_ends(schedule.stages, schedule.steps)
        terms = [asdict(STAGES[name]) for name in schedule.stages]
        asked = asdict(schedule)
        if not schedule.inverted:  # as before there were negatives: those runs still hold
            del asked["inverted"]
        what = [_FORMAT, digest, self._start, asked, side, ends, terms]
        if self._config.fit_head:  # runs from before heads were fitted still hold, too
            what.append("fitted head")
        text = json.dumps([*what, plan.part, plan.seed, branch])
        return hashlib.sha256(text.encode()).hexdigest()

    def _start_of(self, images: ActionImages, classes: int, seed: int) -> SegmentationUNet:
        """Return the network that a run begins with: the same for each recipe."""
        config = self._config
        network = start_network(config.start, classes, seed)
        if config.fit_head and is_head_random(config.start, classes):
            fit_head(network, images, config.size, seed, self._device, self._inverted)
        return network

    def _make(self, known: LabelledSet, plan: _Plan, side: int, done: int) -> dict[str, Scores]:
        """Return the scores of one run by branch; `done` runs are before it."""
        steps, total = self._config.steps, self._of_set * len(self._config.data)
        words = f"{known.name}: {plan.recipe}, {plan.percent} %, seed {plan.seed}"
        labelled = [known.train[place] for place in plan.part]
        others = [i.pixels for n, i in enumerate(known.train) if n not in plan.part]
        images = prepare(labelled, others, side)
        run = ActionRun(
            self._start_of(images, len(known.classes) + 1, plan.seed),
            images,
            self._schedule(plan.recipe),
            plan.seed,
            self._device,
        )
        while run.done < steps:
            self._ask(done, total)
            values = run.step()
            self._on_progress(Progress(done * steps + run.done, total * steps, words, values))
        found = {}
        for branch in BRANCHES:
            one = ActionSegmenter(
                run.network(branch), "", known.classes, side, self._config.size, self._device
            )
            found[branch] = self._scored(one, known, done, total)
        return found

    def _scored(
        self, segmenter: ActionSegmenter, known: LabelledSet, done: int, total: int
    ) -> Scores:
        rows = []
        for image in known.test:
            self._ask(done, total)
            rows.append(score_image(segmenter.segment(image.pixels), image, len(known.classes)))
        return {m: [row[m] for row in rows] for m in MEASURES}

    def _ask(self, done: int, total: int) -> None:
        if self._should_stop():
            raise Cancelled(
                f"Stopped after {done} of {total} runs; they are kept beside "
                f"{str(self._config.out)!r}. The same command goes on from them."
            )


def score_image(
    found: NDArray[np.uint8], image: LabelledImage, classes: int
) -> dict[str, list[float | None]]:
    """Return each measure of each class, None where it is not defined: see `score_mask`."""
    made = [asdict(score) for score in score_case(found, image.classes, classes, (1.0, 1.0))]
    return {
        measure: [None if math.isnan(score[measure]) else score[measure] for score in made]
        for measure in MEASURES
    }


def _packed(scores: Scores) -> list[list[float]]:
    """Return scores as the journal holds them: the measures of an image one after the other."""
    rows = zip(*(scores[measure] for measure in MEASURES), strict=True)
    return [
        [_NONE if value is None else round(value, 5) for part in row for value in part]
        for row in rows
    ]


def _unpacked(rows: Sequence[Sequence[float]], classes: int) -> Scores:
    return {
        measure: [
            [None if v == _NONE else v for v in row[place * classes : (place + 1) * classes]]
            for row in rows
        ]
        for place, measure in enumerate(MEASURES)
    }


def _compared(known: LabelledSet, runs: Sequence[RecipeRun]) -> ComparedSet:
    return ComparedSet(
        known.name,
        known.classes,
        tuple(image.name for image in known.train),
        tuple(image.name for image in known.test),
        len({image.group for image in known.test}),
        tuple(
            sum(bool((image.classes == number).any()) for image in known.test)
            for number in range(1, len(known.classes) + 1)
        ),
        tuple(runs),
    )


def _settings(config: EvaluateActionConfig) -> dict[str, Any]:
    """Return the settings without folders: reports are published."""
    values = to_json(config)
    values.pop("out")
    start = Path(config.start).stem if config.start.endswith(".safetensors") else config.start
    names = [folder.name for folder in config.data]
    return values | {"data": names, "start": start, "percents": list(config.percents)}
