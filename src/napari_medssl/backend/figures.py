"""Separate figures: an image in, panel boxes out, by the trained detector.

The widget, the command line, the evaluation and the harvest all come through `Separator`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.models import (
    ModelCache,
    ModelCard,
    find_weights,
    load_card,
    read_weights,
)
from napari_medssl.io.boxes import Box
from napari_medssl.methods.simcfs.evidence import LineEvidence
from napari_medssl.methods.simcfs.resolve import Proposals, resolve
from napari_medssl.methods.simcfs.snapping import snap_boxes

if TYPE_CHECKING:
    from napari_medssl.methods.simcfs.network import PanelNetwork

DEFAULT_MODEL = "simcfs-figures"
ARCHITECTURE = "simcfs.PanelNetwork"
_MANY, _SMALL = 8, 72  # dense: at least so many panels, smaller than so many pixels
PAD = 114  # the grey that fills up to a multiple of the largest stride, as in training


@dataclass(frozen=True)
class SeparateConfig:
    """Find the panels of compound figures."""

    model: str = option(DEFAULT_MODEL, help="A registered model or a .safetensors file.")
    score: float | None = option(
        None,
        help="Least score of a box; without it the one that the model's card names.",
        min=0,
        max=1,
    )
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )
    long_side: int = option(
        448,
        help="Longer side of a figure inside the network.",
        unit="px",
        min=128,
        max=2048,
        advanced=True,
    )
    dense_side: int = option(
        768,
        help="Longer side in a second look at figures of many small panels; 0 for none.",
        unit="px",
        min=0,
        max=4096,
        advanced=True,
    )
    snap: bool = option(
        True, help="Move box edges to the gutter or the ink beside them.", advanced=True
    )


_MODELS: ModelCache[tuple[PanelNetwork, ModelCard]] = ModelCache(capacity=2)


class Separator:
    """A loaded detector; `separate` may be called from several threads, one call runs at a time.

    Raises
    ------
    UserError
        If the model is unknown or damaged, finds no panels by its task, or the device is absent.
    """

    # The image looked at last and what was proposed: another score of it needs no other look.
    _last: tuple[np.ndarray, Proposals] | None = None

    def __init__(self, config: SeparateConfig | None = None) -> None:
        from napari_medssl.backend.device import choose_device

        self.config = config or SeparateConfig()
        self.device = choose_device(self.config.device)
        self.network, card = _MODELS.get(
            (self.config.model, self.device), lambda: _load(self.config.model, self.device)
        )
        self.default_score = card.default_score
        self._turn = threading.Lock()

    @classmethod
    def of(cls, network: PanelNetwork, score: float, device: str) -> Separator:
        """Return a separator around a network in evaluation mode that is on `device` already."""
        separator = cls.__new__(cls)
        separator.config = SeparateConfig(device=device)
        separator.device, separator.network, separator.default_score = device, network, score
        separator._turn = threading.Lock()
        return separator

    def separate(self, image: np.ndarray, *, score: float | None = None) -> list[Box]:
        """Return the panels of a figure in reading order, each with its score.

        A figure in which at most one panel is found is not compound: the panel is the whole
        figure. Where `score` is given and the panel's is less, there is none; by default there is
        always one, of at least the default score.

        Parameters
        ----------
        image
            Figure, uint8, shape (Y, X, 3), RGB. The same array again is taken for unchanged.
        score
            Least score; by default the config's, else the one the model's card names.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} {image.shape}; due is uint8 (Y, X, 3).")
        asked = score if score is not None else self.config.score
        with self._turn:
            if self._last is None or self._last[0] is not image:
                self._last = (image, self.propose(image))
            proposals = self._last[1]
        panels = resolve(proposals, self.default_score if asked is None else asked)
        if len(panels) <= 1:
            best = float(proposals.scores.max(initial=0.0))
            best = max(best, self.default_score) if asked is None else best
            return _whole_figure(image, best) if asked is None or best >= asked else []
        return in_reading_order(_as_boxes(image, panels, snap=self.config.snap))

    def propose(self, image: np.ndarray) -> Proposals:
        """Return every proposal above score 0.01 in pixels of the image, overlaps kept.

        Small panels are looked at again, larger: the network was trained on panels of a certain
        range of sizes, and a figure of a hundred panels falls below it.
        """
        proposals = self._look(image, self.config.long_side)
        dense = self.config.dense_side
        if dense <= self.config.long_side:
            return proposals
        boxes = resolve(proposals, self.default_score).boxes
        if is_dense(boxes, max(image.shape[:2]), self.config.long_side):
            return self._look(image, dense)
        return proposals

    def _look(self, image: np.ndarray, long_side: int) -> Proposals:
        import torch

        from napari_medssl.methods.simcfs.detector import propose

        height, width = image.shape[:2]
        scale = long_side / max(height, width)
        square = letterbox(image, scale)
        tensor = torch.from_numpy(square.transpose(2, 0, 1)).to(self.device).float() / 255
        boxes, scores = propose(self.network, tensor)
        boxes = boxes / scale
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        return Proposals(boxes, scores)


def is_dense(boxes: np.ndarray, longest: int, long_side: int) -> bool:
    """Tell whether a figure has many panels too small for a first look.

    Parameters
    ----------
    boxes
        Panels, shape (N, 4), in pixels of the figure.
    longest, long_side
        Longer side of the figure, and what it is scaled to inside the network, in pixels.
    """
    if len(boxes) < _MANY:
        return False
    side = np.median((boxes[:, 2:] - boxes[:, :2]).min(axis=1))
    return bool(side * long_side / longest < _SMALL)


def letterbox(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale a figure and fill it up with grey to multiples of 32, at its right and bottom."""
    height, width = image.shape[:2]
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    small = Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.full((-(-h // 32) * 32, -(-w // 32) * 32, 3), PAD, np.uint8)
    square[:h, :w] = np.asarray(small)
    return square


def in_reading_order(boxes: Sequence[Box]) -> list[Box]:
    """Sort boxes by rows from the top, each row from the left.

    A box opens a new row when a third of it lies below the first box of the row before that ends.
    """
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: b.y0):
        if rows and box.y0 + 0.3 * box.height < min(b.y1 for b in rows[-1]):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda b: b.x0)]


def _whole_figure(image: np.ndarray, score: float) -> list[Box]:
    if np.ptp(image.reshape(-1, 3), axis=0).max() == 0:  # an empty page
        return []
    return [Box(0, 0, image.shape[1], image.shape[0], score=round(score, 4))]


def _as_boxes(image: np.ndarray, panels: Proposals, *, snap: bool) -> list[Box]:
    height, width = image.shape[:2]
    boxes = panels.boxes
    if snap:
        boxes = snap_boxes(LineEvidence.of(image), boxes)
    found = []
    for (x0, y0, x1, y1), score in zip(boxes.tolist(), panels.scores.tolist(), strict=True):
        x0, y0 = max(0, round(x0)), max(0, round(y0))
        x1, y1 = min(width, round(x1)), min(height, round(y1))
        if x1 > x0 and y1 > y0:
            found.append(Box(x0, y0, x1, y1, score=round(score, 4)))
    return found


def _load(model: str, device: str) -> tuple[PanelNetwork, ModelCard]:
    import torch

    from napari_medssl.methods.simcfs.network import NetworkConfig, PanelNetwork

    card = load_card(model)
    if card.architecture != ARCHITECTURE:
        raise UserError(
            f"Model {model!r} is a {card.architecture!r} for {card.task!r}, not a panel detector "
            f"({ARCHITECTURE!r}). `medssl models` lists what there is."
        )
    weights, _ = read_weights(find_weights(model))
    network = PanelNetwork(NetworkConfig(**card.config))
    try:
        network.load_state_dict({name: value.float() if value.is_floating_point() else value
                                 for name, value in weights.items()})  # fmt: skip
    except RuntimeError:
        raise UserError(
            f"Model {model!r} does not hold the weights that its card describes. Train it again."
        ) from None
    layout = torch.channels_last if device == "cpu" else torch.contiguous_format
    network = network.to(device).eval()
    # `nn.Module.to` has no typed overload for a memory format alone.
    network.to(memory_format=layout)  # type: ignore[call-overload]
    return network, card
