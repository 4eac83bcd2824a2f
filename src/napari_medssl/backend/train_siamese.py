"""Train the tile encoder on pairs of tiles, near or far on their slides.

Source: Gildenblat and Klaiman, arXiv 1905.08139. We differ: see `methods.siamese`; the trunk's
batch normalisation stays as ImageNet left it, and its weights too unless `trunk_rate` is given.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import ENCODER_TASK, SIAMESE_ARCHITECTURE
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.parallel import Group, run_in_group
from napari_medssl.backend.siamese_config import (
    TrainSiameseConfig,
    check_trainable,
    comparable,
    devices_of,
)
from napari_medssl.backend.siamese_run import STAGES, SiameseRun
from napari_medssl.backend.siamese_tiles import (
    TileRequest,
    TrainingTiles,
    data_sources,
    list_sources,
    load_tiles,
)
from napari_medssl.backend.train_steps import halved, take_steps
from napari_medssl.backend.trunks import IMAGENET_TRUNK


def train_siamese(
    config: TrainSiameseConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ModelCard:
    """Train an encoder, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (on one machine and device).

    Raises
    ------
    UserError
        If the tissue or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    started = time.monotonic()
    check_trainable(config)
    devices = devices_of(config)
    request = TileRequest(
        config.size,
        config.mpp,
        config.tiles_per_slide,
        "" if config.stain == "none" else config.stain,
        config.slide_mpp,
        config.seed,
        config.sets,
    )
    tiles = load_tiles(
        list_sources(config.slides), request, on_progress=on_progress, should_stop=should_stop
    )
    if len(devices) == 1:
        group = Group(device=devices[0])
        return _train(config, tiles, group, started, on_progress, should_stop)
    with tempfile.TemporaryDirectory(prefix="medssl-tiles-") as folder:
        _share(tiles, Path(folder))
        none = np.empty((0, *tiles.pixels.shape[1:]), np.uint8)
        given = _Given(config, folder, replace(tiles, pixels=none), started)
        del tiles
        card: ModelCard = run_in_group(
            _train_given, given, devices, on_progress=on_progress, should_stop=should_stop
        )
    return card


def _share(tiles: TrainingTiles, folder: Path) -> None:
    """Put the pixels into a file that all processes map: so they are in memory once."""
    try:
        np.save(folder / "pixels.npy", tiles.pixels)
    except OSError as error:
        raise UserError(
            f"The tiles for --devices, {tiles.pixels.nbytes / 1e9:.1f} GB, cannot be kept in "
            f"{str(folder.parent)!r}: {error.strerror or error}. Set TMPDIR to a larger disk."
        ) from None


@dataclass(frozen=True, slots=True)
class _Given:
    """What a process of a group is given: `tiles` without pixels, which are in the folder."""

    config: TrainSiameseConfig
    folder: str
    tiles: TrainingTiles
    started: float


def _train_given(
    given: _Given, group: Group, *, on_progress: OnProgress, should_stop: ShouldStop
) -> ModelCard:
    path = Path(given.folder) / "pixels.npy"
    tiles = replace(given.tiles, pixels=np.load(path, mmap_mode="r"))
    group.mean(0.0)  # now every process has it
    if group.is_first:
        # What is mapped lives on without a name, and no kill can leave it behind. Windows keeps it.
        with suppress(OSError):
            path.unlink()
    return _train(given.config, tiles, group, given.started, on_progress, should_stop)


def _train(
    config: TrainSiameseConfig,
    tiles: TrainingTiles,
    group: Group,
    started: float,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> ModelCard:
    """Train as one process of a group; the first one writes the model."""
    run = SiameseRun(config, tiles, group, on_progress=on_progress, should_stop=should_stop)
    take_steps(
        run,
        config.steps,
        config.checkpoint_every,
        on_progress=on_progress,
        should_stop=lambda: group.any(should_stop()),
    )
    card = _card(run, time.monotonic() - started)
    if group.is_first:
        card = write_model(config.out, halved(run.network), card)
        run.checkpoint.unlink(missing_ok=True)
    return card


def _card(run: SiameseRun, duration_s: float) -> ModelCard:
    """Return the card of what was trained."""
    config, count = run.config, run.group.size
    device = run.group.device.partition(":")[0]
    return ModelCard(
        name=config.out.stem,
        task=ENCODER_TASK,
        architecture=SIAMESE_ARCHITECTURE,
        config={
            "dim": config.dim,
            "stages": list(STAGES),
            "pixels": config.size,
            "mpp": config.mpp,
            "stain": "" if config.stain == "none" else config.stain,
        },
        recipe=Recipe(
            command="medssl train siamese",
            config=comparable(config) | {"remarks": run.remarks()},
            seed=config.seed,
            steps=config.steps,
            duration_s=round(duration_s, 1),
            hardware=device if count == 1 else f"{count} processes on {device}",
        ),
        data=data_sources(config.slides),
        metrics={"tiles": len(run.tiles.pixels)},
        licence="BSD-3-Clause" if config.start == "scratch" else "BSD-3-Clause AND Apache-2.0",
        version="1",
        description=f"Embeds tiles of stained tissue; {_training_words(config)}; the trunk starts "
        f"from {_start_words(config.start)}.",
    )


def _training_words(config: TrainSiameseConfig) -> str:
    if config.objective == "npid":
        return "trained to tell each tile from all others (instance discrimination)"
    return "trained on pairs that are near or far on their slides"


def _start_words(start: str) -> str:
    return f"{IMAGENET_TRUNK} (Apache-2.0)" if start == "imagenet" else "random weights"
