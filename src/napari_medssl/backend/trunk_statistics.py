"""Mean and deviation of the ImageNet trunk's maps over the images of one modality.

Brought to mean 0 and deviation 1 over one image, a channel that tells lung from bone everywhere
counts as much as one that tells nothing in chest X-rays. Over many images of a modality it does
not: that is one of the things that a model of a modality knows.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-3  # deviation of a channel that hardly moves

Stages = Mapping[int, "Tensor"]


@dataclass(frozen=True, slots=True)
class TrunkStatistics:
    """What stands for the mean and the deviation of each channel.

    Attributes
    ----------
    values
        By (width of the image in pixels, number of the stage): float32 (2, D), mean and deviation.
    """

    values: Mapping[tuple[int, int], NDArray[np.float32]]

    def even(self, maps: Tensor, width: int, stage: int) -> Tensor:
        """Return maps (D, H, W) less the mean, in deviations."""
        import torch

        mean, spread = torch.from_numpy(self.values[width, stage]).to(maps)[..., None, None]
        evened: Tensor = (maps - mean) / spread
        return evened

    def to_card(self) -> dict[str, str]:
        """Return the statistics as text, float16."""
        return {
            f"{width}/{stage}": base64.b64encode(value.astype("<f2").tobytes()).decode("ascii")
            for (width, stage), value in self.values.items()
        }

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> TrunkStatistics:
        """Return what `to_card` wrote; KeyError, TypeError or ValueError for other things."""
        values = {}
        for key, text in card.items():
            width, stage = (int(part) for part in key.split("/"))
            value = np.frombuffer(base64.b64decode(text, validate=True), "<f2").reshape(2, -1)
            if not (np.isfinite(value).all() and (value[1] > 0).all()):
                raise ValueError(f"the statistics {key} are no means and deviations")
            values[width, stage] = value.astype(np.float32)
        return cls(values)


def measure(
    pictures: Sequence[NDArray[np.uint8]],
    widths: Sequence[int],
    look: Callable[[NDArray[np.uint8], int], Stages],
) -> TrunkStatistics:
    """Return the statistics of pictures.

    Parameters
    ----------
    pictures
        Each uint8, (Y, X) or (Y, X, 1 or 3), at least one.
    widths
        In pixels, that the trunk looks at.
    look
        Maps (D, H, W) of a picture at a width, by the number of their stage.
    """
    sums: dict[tuple[int, int], NDArray[np.float64]] = {}
    for picture in pictures:
        for width in widths:
            for stage, maps in look(picture, width).items():
                cells = maps.flatten(1).double().cpu().numpy()
                # Every picture counts alike, whatever its height.
                found = np.stack([cells.mean(axis=1), np.square(cells).mean(axis=1)])
                sums[width, stage] = sums.get((width, stage), 0) + found / len(pictures)
    values = {}
    for key, (mean, square) in sums.items():
        spread = np.sqrt(np.maximum(square - mean**2, _LEAST**2))
        values[key] = np.stack([mean, spread]).astype(np.float32)
    return TrunkStatistics(values)
