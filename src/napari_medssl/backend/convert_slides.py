"""Convert or verify many slides one after the other, with progress over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.convert_slide import ConvertConfig, convert_slide, verify_slide_store
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never

_STEPS = 1000  # of the progress for each of the units of size


@dataclass(frozen=True, slots=True)
class Task:
    """One slide: its name to show, source, content, store, and its size for the progress."""

    title: str
    source: str
    fingerprint: str
    out: Path
    size: int = 1


@dataclass
class Outcome:
    """What became of the slides: stores by place in the batch, errors, and what to know."""

    stores: dict[int, Path] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Slides to convert one after the other. `outcome` is filled as they are done."""

    tasks: tuple[Task, ...]
    config: ConvertConfig = field(default_factory=ConvertConfig)
    outcome: Outcome = field(default_factory=Outcome)


def convert_all(
    batch: Batch, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> Outcome:
    """Convert the slides of a batch; one that fails does not stop the others.

    Raises
    ------
    Cancelled
        If asked to stop; the stores that are done are in `batch.outcome`.
    """
    outcome = batch.outcome
    for number, task in enumerate(batch.tasks):
        try:
            found = convert_slide(
                task.source,
                task.out,
                batch.config,
                on_progress=_over_all(batch, number, on_progress),
                should_stop=should_stop,
            )
        except UserError as error:
            outcome.failures.append(str(error))
            continue
        outcome.stores[number] = found.store.path
        outcome.notes += found.warnings
    return outcome


def verify_all(
    batch: Batch, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> Outcome:
    """Compare every file of the stores of a batch with what was written.

    Raises
    ------
    Cancelled
        If asked to stop.
    """
    outcome = batch.outcome
    for number, task in enumerate(batch.tasks):
        tell = _over_all(batch, number, on_progress)
        try:
            found = verify_slide_store(task.out, on_progress=tell, should_stop=should_stop)
        except UserError as error:
            outcome.failures.append(str(error))
            continue
        bad = [*found.missing, *found.damaged, *found.unexpected]
        if bad:
            outcome.failures.append(
                f"{task.out.name!r}: {len(bad)} of {found.checked} files are missing, damaged or "
                f"do not belong there (first {bad[0]!r}). Delete the store and convert the slide "
                "again."
            )
        else:
            outcome.stores[number] = task.out
    return outcome


def _over_all(batch: Batch, number: int, on_progress: OnProgress) -> Callable[[Progress], None]:
    """Return what reports the progress of one slide as that of all."""
    task, count = batch.tasks[number], len(batch.tasks)
    lead = task.title if count == 1 else f"{number + 1} of {count}: {task.title}"
    before = sum(other.size for other in batch.tasks[:number])
    total = sum(other.size for other in batch.tasks)

    def report(progress: Progress) -> None:
        told = replace(progress, message=f"{lead}, {progress.message}")
        if count > 1:
            # A conversion checks files before and after: only its own part counts.
            share = progress.values.get("part", progress.done / max(1, progress.total or 1))
            done = int(_STEPS * (before + task.size * share))
            told = replace(told, done=done, total=_STEPS * total)
        on_progress(told)

    return report
