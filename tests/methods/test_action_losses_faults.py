"""Faults of ACTION's released code, none of which our losses have."""

import inspect
import math
from itertools import pairwise

import pytest
import torch

from napari_medssl.methods.action.anatomical_contrast import AnatomicalContrast, contrast_of
from napari_medssl.methods.action.class_centres import (
    class_centres,
    spreading_loss,
    supervised_anatomical_contrast,
)
from napari_medssl.methods.action.distillation import (
    MemoryBank,
    distillation_loss,
    relation_logits,
)
from napari_medssl.methods.action.local_vectors import crop_starts, local_maps
from napari_medssl.methods.action.temperature import annealed_temperature


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_crops_mix_neither_images_nor_channels_nor_places():
    """There, crops are stacked first and reshaped to images, which mixes all three.

    Here every pixel names its image, channel, row and column, and each number of a crop is to be
    the one of its own.
    """
    image, channel, row, column = torch.meshgrid(
        *(torch.arange(n, dtype=torch.double) for n in (3, 5, 16, 24)), indexing="ij"
    )
    came = local_maps(image * 1e6 + channel * 1e4 + row * 1e2 + column, 8, 4, pooled=8)
    places = [(y, x) for y in (0, 4, 8) for x in (0, 4, 8, 12, 16)]
    assert came.shape == (3, len(places), 5, 8, 8)
    for b in range(3):
        for p, (top, left) in enumerate(places):
            for c in range(5):
                due = b * 1e6 + c * 1e4 + (row[0, 0] + top) * 1e2 + column[0, 0] + left
                assert torch.equal(came[b, p, c], due[:8, :8])


def test_the_last_position_is_contrasted():
    """There, crops of 64 begin at 0 to 160 of 256 pixels; those at 192 are left out."""
    assert crop_starts(256)[-1] == 192
    maps = torch.zeros(1, 1, 256, 250)
    maps[..., -1, :] = 1
    maps[..., :, -1] = 1
    assert (local_maps(maps)[0, -1, 0, -1] > 0).all()
    assert (local_maps(maps)[0, -1, 0, :, -1] > 0).all()


@pytest.mark.parametrize("length", [65, 96, 100, 159, 256, 333])
def test_every_row_is_in_a_crop(length):
    starts = crop_starts(length)
    assert {at for start in starts for at in range(start, start + 64)} == set(range(length))
    assert all(b - a <= 32 for a, b in pairwise(starts))


def test_neither_teacher_nor_anchors_are_trained():
    """There, the target of the KL divergence is not detached: it comes towards the student."""
    student, teacher = draw(4, 8).requires_grad_(), draw(4, 8, seed=2).requires_grad_()
    anchors = draw(36, 8, seed=3).requires_grad_()
    distillation_loss(student, teacher, anchors).backward()
    assert teacher.grad is anchors.grad is None
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize(("size", "crops"), [(36, 49), (36, 1), (7, 49), (100, 36)])
def test_the_size_of_the_bank_is_not_that_of_the_crops(size, crops):
    """There, the queue is of 36, for 6 x 6 crops, and no other number runs."""
    bank = MemoryBank(size, 8)
    for seed in range(3):
        bank.push(draw(crops, 8, seed=seed))
        anchors = bank.anchors()
        assert anchors.shape == (min(size, crops * (seed + 1)), 8)
        assert distillation_loss(draw(crops, 8), draw(crops, 8, seed=2), anchors).isfinite()


def test_a_bank_that_is_not_full_gives_no_empty_anchors():
    bank = MemoryBank(36, 8)
    bank.push(draw(5, 8))
    assert torch.allclose(bank.anchors().norm(dim=1), torch.ones(5))


def test_the_teacher_is_sharper_than_the_student_by_default():
    """There, only the scripts say so; the default of the teacher is that of the student."""
    defaults = inspect.signature(distillation_loss).parameters
    assert defaults["student_temperature"].default == 0.1
    assert defaults["teacher_temperature"].default == 0.01
    z, anchors = draw(4, 8), draw(36, 8, seed=2)
    sure = [
        relation_logits(z, anchors, defaults[name].default).softmax(dim=1).amax(dim=1)
        for name in ("teacher_temperature", "student_temperature")
    ]
    assert (sure[0] > sure[1]).all()


@pytest.mark.parametrize("temperature", [0, 0.0, -0.1, math.nan, math.inf])
def test_no_loss_takes_a_temperature_of_zero(temperature):
    """There, a module is built with temperatures of 0 and divides by them."""
    z, centres = draw(4, 8), class_centres(2, 8)
    calls = (
        lambda: relation_logits(z, z, temperature),
        lambda: distillation_loss(z, z, z, student_temperature=temperature),
        lambda: distillation_loss(z, z, z, teacher_temperature=temperature),
        lambda: AnatomicalContrast(temperature=temperature),
        lambda: contrast_of(z, z[0], z, temperature),
        lambda: spreading_loss(centres, temperature),
        lambda: supervised_anatomical_contrast(
            z, torch.arange(4) % 2, centres, torch.arange(2), temperature
        ),
        lambda: annealed_temperature(1, 10, low=temperature),
    )
    for call in calls:
        with pytest.raises(ValueError, match="came; due is a number above 0"):
            call()


@pytest.mark.parametrize("count", [2, 3, 4, 14, 32])
def test_class_centres_need_no_file(count):
    """There, they are read from a file for each number of classes, which is not shipped."""
    centres = class_centres(count, 128)
    apart = (centres @ centres.T)[~torch.eye(count, dtype=torch.bool)]
    assert torch.allclose(apart, torch.tensor(-1 / (count - 1)), atol=1e-6)
