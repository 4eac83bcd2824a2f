"""Small made images of disks, some painted, and a training of them that takes a few steps."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_medssl.backend import segment_live, training
from napari_medssl.widgets.segmentation.trainer import run_training

SIDE = 96
SMALL = {
    "steps": 3,
    "minutes": 0.0,
    "size": 64,
    "batch": 2,
    "start": "random",
    "short_side": 64,
    "checkpoint_every": 1,
}


def disk(number: int) -> np.ndarray:
    """Return where the disk of a picture is, shape (Y, X)."""
    y, x = np.ogrid[:SIDE, :SIDE]
    return (y - 30 - 6 * number) ** 2 + (x - 40 - 4 * number) ** 2 < (12 + number) ** 2


def write_disks(folder: Path, count: int = 6) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(30, 90, (SIDE, SIDE, 3)).astype(np.uint8)
        pixels[disk(number)] = (210, 90, 60)
        paths.append(folder / f"cell{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


class SmallPainted:
    """Trains a tiny network of `train_action` for a few steps, here; else as `SmallTraining`."""

    def __init__(self) -> None:
        self.is_held = False
        self.changes: dict[str, Any] = {}
        self.jobs: list[Any] = []
        self.done: list[int] = []

    def __call__(self, job: Any, *, on_progress: Any, should_stop: Any) -> Any:
        def tell(progress: Any) -> None:
            on_progress(progress)
            if progress.values:
                self.done.append(progress.done)
            while self.is_held and progress.values and not should_stop():
                time.sleep(0.01)

        self.jobs.append(job)
        small = replace(job, config=replace(job.config, **(SMALL | self.changes)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "run_in_child", lambda work, *a, **k: work(*a, **k))
            return run_training(small, on_progress=tell, should_stop=should_stop)


class DirectEngine:
    """The backend in this process: what the compute process would find."""

    def prepare(self, config: Any, should_stop: Any = None) -> None:
        segment_live.prepare(config)

    def segment(self, config: Any, source: str, should_stop: Any = None) -> Any:
        return segment_live.segment_source(config, source)

    def uncertainty(self, config: Any, source: str, should_stop: Any = None) -> Any:
        return segment_live.uncertainty_of_source(config, source)
