"""Fine-tune a panel detector on few corrected figures, mixed with replayed simulated ones.

Normalisation statistics stay those of the start (few figures would spoil them), the rate is small
and the weights are averaged. At least half of every batch is simulated, so that nothing that the
detector knew is forgotten. Figures of many small panels are learnt from at both sizes at which the
detector looks at them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_medssl.backend.figures import SeparateConfig, is_dense
from napari_medssl.backend.train_steps import learning_rate_at, update_average, weight_groups

if TYPE_CHECKING:
    import torch

    from napari_medssl.methods.simcfs.network import PanelNetwork

_LONGEST = 640  # no ordinary training square is larger; keeps hundreds of figures in memory
_MOST_DENSE = 0.5  # share of the steps that look at dense figures alone, at most
_FEWER = 2  # a batch of large squares holds so many times fewer figures


@dataclass(frozen=True)
class TuneConfig:
    """What one fine-tuning run needs to know.

    `sizes` are the sides of training squares, `dense_size` that of dense figures; 0 for none.
    """

    steps: int
    batch: int
    learning_rate: float
    replay: float
    sizes: tuple[int, ...]
    seed: int
    amp: bool
    dense_size: int = 0

    @property
    def real(self) -> int:
        """How many corrected figures a batch holds; the others are simulated."""
        return self.real_of(self.batch)

    def real_of(self, batch: int) -> int:
        """Return how many corrected figures a batch of so many figures holds."""
        return max(1, int(batch * (1 - self.replay)))


@dataclass(frozen=True)
class Example:
    """A figure in memory: image uint8 (Y, X, 3), boxes float32 (N, 4), whether to mirror it.

    A dense one has so many small panels that the detector looks at it twice.
    """

    image: np.ndarray
    boxes: np.ndarray
    may_mirror: bool = True
    dense: bool = False


def shrunk(image: np.ndarray, boxes: np.ndarray, *, dense_size: int = 0) -> Example:
    """Return a figure as an example, scaled down if it is larger than training looks at."""
    height, width = image.shape[:2]
    dense = dense_size > 0 and is_dense(boxes, max(height, width), SeparateConfig().long_side)
    scale = (max(_LONGEST, dense_size) if dense else _LONGEST) / max(height, width)
    if scale >= 1:
        return Example(image, boxes, dense=dense)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    factors = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return Example(np.asarray(small), (boxes * factors).astype(np.float32), dense=dense)


class Tuner:
    """One fine-tuning run: `step` until `done` is `config.steps`, then `average` is the model.

    Batch `i` depends on the seed and `i` alone, so a resumed run equals an unbroken one.

    Parameters
    ----------
    start
        The network to start from, on its device; it is not changed.
    corrected, simulated
        What batches are drawn from.
    """

    def __init__(
        self,
        start: PanelNetwork,
        config: TuneConfig,
        corrected: Sequence[Example],
        simulated: Sequence[Example],
    ) -> None:
        import torch

        self.config, self._corrected, self._simulated = config, corrected, simulated
        self._dense = [e for e in corrected if e.dense] if config.dense_size else []
        # Dense simulated figures go with dense corrected ones; any will do where there is none.
        self._dense_simulated = [e for e in simulated if e.dense] or simulated
        self._dense_share = min(_MOST_DENSE, len(self._dense) / max(1, len(corrected)))
        self.network = copy.deepcopy(start)
        self.average = copy.deepcopy(start).eval()
        self.optimizer = torch.optim.AdamW(weight_groups(self.network), lr=config.learning_rate)
        self.done = 0

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return the losses by name."""
        import torch

        from napari_medssl.methods.simcfs.detector import LossWeights, detection_loss

        config = self.config
        rate = learning_rate_at(self.done, config.steps, config.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        device = next(self.network.parameters()).device
        images, targets = self.batch(self.done)
        pixels = images.to(device).float() / 255
        if device.type == "cpu":
            pixels = pixels.to(memory_format=torch.channels_last)
        boxes = [target.to(device) for target in targets]
        _train_without_statistics(self.network)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.amp):
            loss, values = detection_loss(self.network, pixels, boxes, LossWeights())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.done += 1
        update_average(self.average, self.network, min(0.98, self.done / (self.done + 9)))
        return {**values, "learning_rate": rate}

    def batch(self, number: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return batch `number`: images uint8 (B, 3, S, S) and a list of boxes (N, 4).

        Corrected figures come in rounds: each is seen once before any is seen again. In some
        batches only the dense ones come, larger.
        """
        from napari_medssl.backend.figure_data import augment, collate

        config = self.config
        rng = np.random.default_rng([config.seed, number, 3])
        size = int(rng.choice(config.sizes))
        corrected, simulated, batch, turn = self._corrected, self._simulated, config.batch, number
        before = math.floor(number * self._dense_share)
        if math.floor((number + 1) * self._dense_share) > before:
            corrected, simulated, turn = self._dense, self._dense_simulated, before
            size, batch = config.dense_size, max(2, config.batch // _FEWER)
        real = config.real_of(batch)
        chosen = [self._in_rounds(corrected, turn * real + k) for k in range(real)]
        chosen += [simulated[k] for k in rng.integers(0, len(simulated), batch - real)]
        return collate(
            [augment(rng, e.image, e.boxes, size, may_mirror=e.may_mirror) for e in chosen]
        )

    def _in_rounds(self, figures: Sequence[Example], position: int) -> Example:
        lap, place = divmod(position, len(figures))
        order = np.random.default_rng([self.config.seed, lap, 4]).permutation(len(figures))
        return figures[int(order[place])]


def _train_without_statistics(network: PanelNetwork) -> None:
    """Put a network into training mode, batch normalisation excepted."""
    from torch import nn

    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
