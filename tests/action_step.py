"""A step of ACTION on small images: a student, its teacher, a batch."""

import copy
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import torch

from napari_medssl.methods.action.network import SegmentationUNet
from napari_medssl.methods.action.objective import Batch, Memory, Step
from napari_medssl.methods.action.stages import STAGES
from napari_medssl.methods.action.teacher import Student, Teacher

SIZE, CLASSES, COUNT = 64, 3, 2


@cache
def _student(seed):
    torch.manual_seed(seed)
    return Student(SegmentationUNet(CLASSES)).train()


def batch_of(terms, seed=1):
    """Return coarse views at random, with all that any stage looks at; images 0 and 1."""
    generator = torch.Generator().manual_seed(seed)

    def draw():
        small = torch.rand(COUNT, 3, 8, 8, generator=generator)
        return small.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)

    truth = torch.randint(0, CLASSES, (COUNT, 8, 8), generator=generator)
    truth = truth.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    weak = draw()
    strong = tuple((weak * factor).clamp(0, 1) for factor in (0.9, 0.8)[: terms.streams])
    return Batch(draw(), truth, weak, strong, torch.arange(COUNT))


def make_step(stage, *, number=0, steps=10, of_stage=1.0, seed=0, **changes):
    """Return a step of a stage, whose terms may be changed; its teacher is sure of something."""
    student = copy.deepcopy(_student(seed))  # to draw weights takes longer than a step
    memory = Memory(CLASSES, student.branch.local_head.dim)
    terms = replace(STAGES[stage], **changes)
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(student)
    return Step(student, teacher, memory, terms, number, steps, of_stage, generator, nullcontext)


def fill_banks(step, seed=3):
    """Let a step have others to compare with, as after some steps."""
    generator = torch.Generator().manual_seed(seed)
    for bank in (step.memory.images, step.memory.crops):
        bank.push(torch.randn(*bank.vectors.shape, generator=generator))


def parts_with_gradient(step, losses):
    """Return the names of the parts of the student that the losses reach."""
    step.student.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    branch = step.student.branch
    parts = {
        "trunk": branch.network.trunk,
        "stem": branch.network.stem,
        "decoder": branch.network.up,
        "head": branch.network.head,
        "global head": branch.global_head,
        "local head": branch.local_head,
        "representation head": branch.representation_head,
        "global predictor": step.student.global_predictor,
        "local predictor": step.student.local_predictor,
    }
    return {name for name, part in parts.items() if _has_gradient(part)}


def _has_gradient(part):
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())
