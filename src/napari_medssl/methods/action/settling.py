"""Whether what the teacher finds still changes: when a training has little left to gain.

No image can be held out to tell: with few masks each one is needed. So the teacher is asked now and
then for the classes of a few images, most of them without masks. Nothing much is to be gained at
this learning rate when the newest of four looks differs from each one before it in few pixels,
counted among those where either finds something, and the loss of the masks has stopped falling: a
rare class that is not found yet changes no picture, but it is in the loss. What a lower rate would
still gain is learnt on the way down that follows, see `ending_rate`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOOKS = 4
"""Looks that are compared, the newest with each before it."""

_CHANGED = 0.05  # of the pixels where something is found
_FALLEN = 0.9  # of the loss three looks ago


class Settling(nn.Module):
    """What the last looks saw; its state is saved with the training.

    Parameters
    ----------
    images, size
        How many squares are looked at, and their side.
    """

    seen: Tensor
    losses: Tensor
    since: Tensor
    looks: Tensor
    ending: Tensor

    def __init__(self, images: int, size: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(LOOKS, images, size, size, dtype=torch.uint8))
        self.register_buffer("losses", torch.zeros(LOOKS, dtype=torch.float64))
        self.register_buffer("since", torch.zeros(2, dtype=torch.float64))  # sum and count
        self.register_buffer("looks", torch.zeros((), dtype=torch.int64))
        self.register_buffer("ending", torch.zeros((), dtype=torch.int64))  # 0: not yet

    def add_loss(self, loss: float) -> None:
        """Take the loss of the masks in one step."""
        self.since += torch.tensor([loss, 1.0], dtype=torch.float64)

    def look(self, classes: Tensor) -> float | None:
        """Take the classes that are found now, uint8, (N, S, S); return the share that changed.

        That to the look of the last three which differs most; None before there are so many.
        """
        self.seen.copy_(self.seen.roll(1, dims=0))
        self.losses.copy_(self.losses.roll(1))
        self.seen[0] = classes.cpu()
        self.losses[0] = self.since[0] / self.since[1].clamp(min=1)
        self.since.zero_()
        self.looks += 1
        if int(self.looks) < LOOKS:
            return None
        return max(changed(self.seen[0], before) for before in self.seen[1:])

    def has_settled(self, change: float) -> bool:
        """Say whether little is to be gained, given what the newest look returned."""
        return change < _CHANGED and float(self.losses[0]) >= _FALLEN * float(self.losses[-1])


def changed(one: Tensor, other: Tensor) -> float:
    """Return the share of pixels that differ among those where either has a class but the rest.

    1 where neither has: a network that finds nothing has yet to begin.
    """
    either = (one > 0) | (other > 0)
    count = int(either.sum())
    return int((one != other).sum()) / count if count else 1.0


def ending_rate(step: int, first: int, end: int, before: float, low: float) -> float:
    """Return the learning rate on a short way down: half a cosine from `before` to `low`.

    Parameters
    ----------
    step
        From `first` to `end`, which is no step any more.
    """
    part = 0.5 * (1 + math.cos(math.pi * (step - first) / (end - first)))
    return low + (before - low) * part
