"""The student with its heads, and the teacher: the moving average of both.

Source: ACTION, arXiv 2206.02307: a momentum of .99. Faults of the released code that are not ours,
each with a test: the teacher's heads are averaged too; nothing of the teacher has a gradient; it
computes as in use, by running statistics, and these are averaged as well; it is moved once a step.

We differ: the momentum begins lower, at 1 - 1 / (1 + step), so that the teacher forgets the weights
it began with, and it looks back over a twentieth of a short training at most: with .99 a teacher of
200 steps would lag behind its student by half of them.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from napari_medssl.methods.action.heads import DIM, GlobalHead, LocalHead, RepresentationHead, mlp
from napari_medssl.methods.action.network import SegmentationUNet

MOMENTUM = 0.99


def momentum_for(steps: int) -> float:
    """Return the momentum of a training of so many steps: .99 from 2,000 on, never below .9."""
    return min(MOMENTUM, max(0.9, 1 - 20 / steps))


class Branch(nn.Module):
    """A network with the heads that student and teacher have both."""

    def __init__(self, network: SegmentationUNet) -> None:
        super().__init__()
        self.network = network
        self.global_head = GlobalHead()
        self.local_head = LocalHead(network.classes)
        self.representation_head = RepresentationHead()


class Student(nn.Module):
    """The branch that learns, and the predictors that it has alone."""

    def __init__(self, network: SegmentationUNet) -> None:
        super().__init__()
        self.branch = Branch(network)
        self.global_predictor = mlp(DIM)
        self.local_predictor = mlp(self.branch.local_head.dim, self.branch.local_head.dim)


class Teacher(nn.Module):
    """The moving average of a student's branch, always as in use.

    Parameters
    ----------
    student
        It begins as a copy of its branch.
    momentum
        Part of the teacher that stays in a step, at most.
    """

    def __init__(self, student: Student, momentum: float = MOMENTUM) -> None:
        super().__init__()
        self.branch = copy.deepcopy(student.branch).requires_grad_(False)
        self.momentum = momentum
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.train(False)

    def train(self, mode: bool = True) -> Teacher:
        """Stay as in use, whatever is asked: a batch must not move what it is judged by."""
        return super().train(False)

    @torch.no_grad()
    def update(self, student: Student) -> None:
        """Move towards the student; call it once a step, after the optimizer's."""
        self.updates += 1
        momentum = min(self.momentum, 1 - 1 / (1 + int(self.updates)))
        pairs = zip(
            self.branch.state_dict().values(), student.branch.state_dict().values(), strict=True
        )
        for kept, new in pairs:
            if kept.dtype.is_floating_point:
                kept.lerp_(new.to(kept.dtype), 1 - momentum)
            else:
                kept.copy_(new)
