"""Train the panel detector on simulated figures: the shipped recipe of SimCFS.

Source: Yao et al., MELBA 2022:025. We differ: AdamW with a cosine schedule and an averaged copy of
the weights, from scratch (the paper starts YOLOv5 from COCO weights and uses SGD).
"""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.config import option
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.figure_pool import pool_sources
from napari_medssl.backend.figure_steps import check_pool, training_sizes
from napari_medssl.backend.figures import ARCHITECTURE
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.leaving import leave_at_once
from napari_medssl.backend.models import (
    ModelCard,
    Recipe,
    find_weights,
    load_card,
    read_weights,
    write_model,
)
from napari_medssl.backend.train_steps import (
    check_device,
    check_model_place,
    halved,
    learning_rate_at,
    load_to_resume,
    stop_line,
    update_average,
    weight_groups,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


_WORD_COMES_S = 1.0
_OTHER_SHAPE = "Model {!r} has another shape than the one to train. Give its --width and --depth."


@dataclass(frozen=True)
class TrainFiguresConfig:
    """Train the panel detector on figures that are simulated as training goes on."""

    pool: Path = option(help="Folder of single images; a subfolder is a class.")
    out: Path = option(help="The trained model, NAME.safetensors.")
    steps: int = option(6000, help="Optimizer steps.", min=1)
    batch: int = option(12, help="Figures in a step.", min=1)
    learning_rate: float = option(0.002, help="Peak learning rate of AdamW.", min=0)
    side_loss: str = option(
        "cell",
        help="Side loss: off, in grid cells as published, or in panel sizes.",
        choices=("off", "cell", "panel"),
    )
    intra_class: bool = option(True, help="Also simulate touching panels, all of one class.")
    init: str = option("", help="Start from this model instead of from scratch.")
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    amp: bool = option(True, help="Mixed precision (bfloat16).", advanced=True)
    seed: int = option(1, help="Seed of figures and weights.", min=0)
    width: int = option(24, help="Channels of the first layer.", min=8, advanced=True)
    depth: int = option(1, help="Residual blocks in a stage.", min=1, advanced=True)
    workers: int = option(1, help="Processes that simulate figures.", min=0, advanced=True)
    smallest: int = option(320, help="Least side of a training figure.", unit="px", advanced=True)
    largest: int = option(576, help="Largest side of a training figure.", unit="px", advanced=True)
    checkpoint_every: int = option(200, help="Steps between checkpoints.", min=1, advanced=True)
    resume: bool = option(False, help="Go on from the last checkpoint of the same --out.")


def check_trainable(config: TrainFiguresConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started.

    A run of hours ends by reading the sources of its pool, so those are looked at too.
    """
    if config.out.suffix != ".safetensors":
        raise UserError(f"--out {str(config.out)!r} must end in .safetensors.")
    training_sizes(config.smallest, config.largest)
    if config.width % 8:
        raise UserError(f"--width {config.width} is not a multiple of 8. Give for example 24.")
    check_pool(config.pool)
    pool_sources(config.pool)
    check_device(config.device)
    if config.init:
        if find_weights(config.init).resolve() == config.out.resolve():
            raise UserError(
                f"--out {str(config.out)!r} is the model of --init, which it would replace. "
                "Name a new file."
            )
        _check_shape(config)
    check_model_place(config.out)
    if config.resume:
        load_to_resume(_checkpoint_of(config), _comparable(config))


def _check_shape(config: TrainFiguresConfig) -> None:
    card = load_card(config.init)
    shape = (card.config.get("width"), card.config.get("depth"))
    if card.architecture != ARCHITECTURE or shape != (config.width, config.depth):
        raise UserError(_OTHER_SHAPE.format(config.init))


def train_figures(
    config: TrainFiguresConfig, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> ModelCard:
    """Train a detector, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (on one machine and device).

    Raises
    ------
    UserError
        If the pool, the start model or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    run = _Run(config)
    started = time.monotonic()
    on_progress(Progress(run.done, config.steps, "reading the pool"))
    try:
        for images, targets in run.batches(should_stop):
            if should_stop():
                run.save()
                raise Cancelled(stop_line(run.done, config.steps, run.checkpoint))
            values = run.step(images, targets)
            on_progress(Progress(run.done, config.steps, "training", values))
            if run.done % config.checkpoint_every == 0:
                run.save()
    except (RuntimeError, EOFError, ConnectionError):
        # Told to end all together, the processes that simulate may have gone first. They may have
        # cut a step in two: what was saved last is what counts.
        if not _is_told_to_stop(should_stop):
            raise
        raise Cancelled(stop_line(run.done, config.steps, run.checkpoint)) from None
    return run.finish(time.monotonic() - started)


def _is_told_to_stop(should_stop: ShouldStop) -> bool:
    """Say whether the run was told to stop; the word may come a moment after the others went."""
    until = time.monotonic() + _WORD_COMES_S
    while not should_stop():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


class _Run:
    """The state of one training run: everything a checkpoint holds."""

    def __init__(self, config: TrainFiguresConfig) -> None:
        import torch

        from napari_medssl.methods.simcfs.network import NetworkConfig, PanelNetwork

        check_trainable(config)
        self.config = config
        self.device = choose_device(config.device)
        torch.manual_seed(config.seed)
        self.network = PanelNetwork(NetworkConfig(config.width, config.depth)).to(self.device)
        if config.init:
            state, _ = read_weights(find_weights(config.init))
            _load_start(self.network, state, config.init)
        if self.device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(weight_groups(self.network), lr=config.learning_rate)
        self.checkpoint = _checkpoint_of(config)
        self.done = 0
        if config.resume:
            self._resume()

    def _resume(self) -> None:
        saved = load_to_resume(self.checkpoint, _comparable(self.config))
        saved.restore({"network": self.network, "average": self.average}, {"adamw": self.optimizer})
        self.done = saved.step

    def batches(self, should_stop: ShouldStop) -> Any:
        """Yield the batches from step `done` on; simulated in other processes, always the same."""
        import torch

        from napari_medssl.backend.figure_data import SimulatedFigures, collate
        from napari_medssl.backend.figure_pool import SimulateConfig, load_pool, make_simulator

        config = self.config
        simulator = make_simulator(
            load_pool(config.pool, should_stop=should_stop),
            SimulateConfig(intra_class=config.intra_class),
        )
        sizes = training_sizes(config.smallest, config.largest)
        figures = SimulatedFigures(
            simulator, config.steps * config.batch, config.batch, sizes, seed=config.seed
        )
        workers = config.workers
        return torch.utils.data.DataLoader(
            figures,
            batch_size=config.batch,
            sampler=range(self.done * config.batch, config.steps * config.batch),
            num_workers=workers,
            collate_fn=collate,
            multiprocessing_context="spawn" if workers else None,
            prefetch_factor=6 if workers else None,
            worker_init_fn=leave_at_once if workers else None,
        )

    def step(self, images: torch.Tensor, targets: list[torch.Tensor]) -> dict[str, float]:
        """Take one optimizer step and return the losses by name."""
        import torch

        from napari_medssl.methods.simcfs.detector import LossWeights, detection_loss

        config = self.config
        rate = learning_rate_at(self.done, config.steps, config.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        pixels = images.to(self.device).float() / 255
        if self.device == "cpu":
            pixels = pixels.to(memory_format=torch.channels_last)
        boxes = [target.to(self.device) for target in targets]
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=config.amp):
            loss, values = detection_loss(
                self.network, pixels, boxes, LossWeights(side_unit=config.side_loss)
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.done += 1
        update_average(self.average, self.network, min(0.999, self.done / (self.done + 9)))
        return {**values, "learning_rate": rate}

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {"network": self.network, "average": self.average},
            {"adamw": self.optimizer},
            step=self.done,
            config=_comparable(self.config),
        )

    def finish(self, duration_s: float) -> ModelCard:
        """Write the averaged weights with their card, and drop the checkpoint."""
        config = self.config
        card = ModelCard(
            name=config.out.stem,
            task="figures",
            architecture=ARCHITECTURE,
            config=asdict(self.network.config),
            recipe=Recipe(
                command="medssl train figures",
                config=_comparable(config),
                seed=config.seed,
                steps=config.steps,
                duration_s=round(duration_s, 1),
                hardware=self.device,
            ),
            data=pool_sources(config.pool),
            metrics={"score_threshold": 0.3},
            licence="BSD-3-Clause",
            version="1",
            description="Finds the panels of compound figures; trained on simulated ones alone.",
        )
        card = write_model(config.out, halved(self.average), card)
        self.checkpoint.unlink(missing_ok=True)
        return card


def _checkpoint_of(config: TrainFiguresConfig) -> Path:
    return config.out.with_suffix(".checkpoint.safetensors")


def _comparable(config: TrainFiguresConfig) -> dict[str, Any]:
    """What two runs must share for one to go on with the other's checkpoint."""
    values = asdict(config)
    for name in ("out", "resume", "device", "workers", "checkpoint_every"):
        values.pop(name)
    values["init"] = Path(values["init"]).name  # cards are published: no folders of this machine
    return {name: v.name if isinstance(v, Path) else v for name, v in values.items()}


def _load_start(network: nn.Module, state: dict[str, torch.Tensor], name: str) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise UserError(_OTHER_SHAPE.format(name)) from None
