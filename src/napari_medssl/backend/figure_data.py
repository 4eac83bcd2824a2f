"""Simulated figures as training examples: figure `i` is always the same figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from napari_medssl.methods.simcfs.simulator import Simulator

PAD = 114  # the grey around a figure that does not fill its square, in training and in use


@dataclass(frozen=True)
class FigureExample:
    """One training example: image uint8 (3, S, S) and panel boxes (M, 4) in its pixels."""

    image: torch.Tensor
    boxes: torch.Tensor


class SimulatedFigures(Dataset[FigureExample]):
    """Example `i` is figure `i`, scaled into the square that its batch shares.

    Parameters
    ----------
    sizes
        Sides of the squares in pixels, multiples of 32; a batch draws one.
    """

    def __init__(
        self, simulator: Simulator, count: int, batch: int, sizes: tuple[int, ...], seed: int = 0
    ) -> None:
        self.simulator, self.count, self.batch, self.sizes, self.seed = (
            simulator,
            count,
            batch,
            sizes,
            seed,
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> FigureExample:
        figure = self.simulator.figure(self.seed * 10_000_000 + index)
        size = self.sizes[
            np.random.default_rng([self.seed, index // self.batch, 1]).integers(len(self.sizes))
        ]
        rng = np.random.default_rng([self.seed, index, 2])
        return augment(rng, figure.image, figure.boxes, size)


def augment(
    rng: np.random.Generator,
    image: np.ndarray,
    boxes: np.ndarray,
    size: int,
    *,
    may_mirror: bool = True,
) -> FigureExample:
    """Scale a figure into a `size` square at a random place; mirror it, change its colours."""
    height, width = image.shape[:2]
    scale = size * rng.uniform(0.78, 1.0) / max(height, width)
    w, h = max(8, min(size, round(width * scale))), max(8, min(size, round(height * scale)))
    picture = np.asarray(
        Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR, reducing_gap=2.0)
    )
    boxes = boxes * np.array([w / width, h / height] * 2, np.float32)
    if rng.random() < 0.3 and may_mirror:
        picture = picture[:, ::-1]
        boxes = np.stack((w - boxes[:, 2], boxes[:, 1], w - boxes[:, 0], boxes[:, 3]), axis=1)
    picture = _recolour(rng, picture)
    square = np.full((size, size, 3), PAD, np.uint8)
    x, y = int(rng.integers(0, size - w + 1)), int(rng.integers(0, size - h + 1))
    square[y : y + h, x : x + w] = picture
    boxes = (boxes + np.array([x, y, x, y], np.float32)).astype(np.float32)
    return FigureExample(
        torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1))), torch.from_numpy(boxes)
    )


def _recolour(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    draw = rng.random()
    if draw < 0.12:
        return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    if draw < 0.15:
        return 255 - picture
    if draw < 0.45:
        gain, shift = rng.uniform(0.8, 1.2, 3), rng.uniform(-14, 14)
        return np.clip(picture * gain + shift, 0, 255).astype(np.uint8)
    return picture


def collate(examples: list[FigureExample]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Stack a batch: images uint8 (B, 3, S, S) and a list of boxes."""
    return torch.stack([e.image for e in examples]), [e.boxes for e in examples]
