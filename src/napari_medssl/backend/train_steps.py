"""What trainings share: checks before they start, rates, averages, stopping, resuming, reports."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import Checkpoint, load_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.models import ModelCard
from napari_medssl.io.files import check_writable, make_folder

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance
    from torch import nn

_MOST_UNSAVED_S = 30.0  # a step takes seconds where the machine is slow or has other work


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training gives: the card of its model, and lines for the person."""

    card: ModelCard
    remarks: tuple[str, ...] = ()


def left_out(failures: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return what a person reads about images that could not be read."""
    if not failures:
        return ()
    many = f"{len(failures)} files are" if len(failures) > 1 else "1 file is"
    return (f"{many} left out. {failures[0][1]}",)


def checkpoint_of(out: Path) -> Path:
    """Return where the checkpoint of a run lies: beside its model."""
    return out.with_suffix(".checkpoint.safetensors")


def comparable(config: DataclassInstance) -> dict[str, Any]:
    """Return what two runs must share for one to go on with the other's checkpoint.

    Parameters
    ----------
    config
        Of the run. Where it writes and on what device it runs may change.
    """
    values = asdict(config)
    for name in ("out", "resume", "device", "checkpoint_every"):
        values.pop(name)
    return {name: _as_saved(value) for name, value in values.items()}


def _as_saved(value: Any) -> Any:
    """Return a value as it comes back from JSON."""
    if isinstance(value, Path):
        return value.name  # cards are published: no folders of this machine
    return list(value) if isinstance(value, tuple) else value


def load_to_resume(path: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint of a run that was made with the same settings.

    Raises
    ------
    UserError
        If there is none, it is damaged, or it was made with other settings.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint {str(path)!r} to resume. Leave --resume out.")
    saved = load_checkpoint(path)
    changed = [key for key, value in settings.items() if saved.config.get(key, value) != value]
    if changed:
        raise UserError(
            f"The checkpoint was made with other settings of {', '.join(sorted(changed))}. "
            "Resume with the same ones, or start anew without --resume."
        )
    return saved


class SteppedRun(Protocol):
    """A training that takes steps and can be saved between any two of them."""

    checkpoint: Path

    @property
    def done(self) -> int:
        """How many steps were taken."""
        ...

    def step(self) -> dict[str, float]:
        """Take one step and return what is worth drawing."""
        ...

    def save(self) -> None:
        """Write the checkpoint."""
        ...


def take_steps(
    run: SteppedRun,
    total: int | Callable[[], int],
    save_every: int,
    *,
    stage: Callable[[], str] = lambda: "training",
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    """Take the steps that are left of a run, saving it now and then.

    Parameters
    ----------
    run
        Begun, or resumed.
    total
        Steps in all; a function if the run may change that.
    save_every
        Most steps from one checkpoint to the next; where they take long, it is written before.
    stage
        Names what a step is about to do, for progress.

    Raises
    ------
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    steps = total if callable(total) else lambda: total
    saved = time.monotonic()
    while run.done < steps():
        if should_stop():
            run.save()
            raise Cancelled(stop_line(run.done, steps(), run.checkpoint))
        words = stage()
        values = run.step()
        on_progress(Progress(run.done, steps(), words, values))
        if run.done % save_every == 0 or time.monotonic() - saved >= _MOST_UNSAVED_S:
            run.save()
            saved = time.monotonic()


def stop_line(done: int, total: int, checkpoint: Path) -> str:
    """Return what a person reads who has stopped a training after `done` of `total` steps."""
    if checkpoint.is_file():
        how = f"{str(checkpoint)!r} is kept. The same command with --resume goes on from it."
    else:
        how = "there is no checkpoint yet. Run the same command again."
    return f"Stopped after {done} of {total} step{'' if total == 1 else 's'}; {how}"


def check_device(device: str) -> None:
    """Raise `UserError` if a device that is named is not here; "auto" and "cpu" always are."""
    if device not in ("auto", "cpu"):
        choose_device(device)


def check_model_place(path: Path) -> None:
    """Raise `UserError` if a model and its checkpoint cannot be written at `path`."""
    make_folder(path.parent)
    check_writable(path)


def weight_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Return the optimizer's groups: decay for weights, none for biases and normalisation."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": 0.03}, {"params": others, "weight_decay": 0.0}]


def learning_rate_at(step: float, steps: int, peak: float) -> float:
    """Return the learning rate: linear warm-up over the first steps, then a cosine down to 2 %."""
    warm = min(1.0, (step + 1) / max(1, min(300, steps // 10)))
    return peak * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move `average` towards `network`: `decay` of it stays."""
    import torch

    with torch.no_grad():
        pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
        for kept, new in pairs:
            if kept.dtype.is_floating_point:
                kept.mul_(decay).add_(new, alpha=1 - decay)
            else:
                kept.copy_(new)


def halved(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return weights in half precision, half the file; normalisation statistics as they are."""
    state = network.state_dict()
    return {name: value.half() if value.ndim > 1 else value for name, value in state.items()}
