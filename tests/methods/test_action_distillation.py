"""Contrastive distillation, its bank and its crops, against their equations."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.action.distillation import (
    MemoryBank,
    distillation_loss,
    relation_logits,
)
from napari_medssl.methods.action.local_vectors import crop_starts, local_maps


def draw(*shape, seed=1, dtype=torch.double):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_cosine(a, b):
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return dot / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))


def slow_distillation(student, teacher, anchors, t_s, t_t):
    """Equations 1 to 3."""
    total = 0.0
    for z_s, z_t in zip(student.tolist(), teacher.tolist(), strict=True):
        like = [math.exp(slow_cosine(z_s, a) / t_s) for a in anchors.tolist()]
        due = [math.exp(slow_cosine(z_t, a) / t_t) for a in anchors.tolist()]
        for s, t in zip(like, due, strict=True):
            p_s, p_t = s / sum(like), t / sum(due)
            total += p_t * (math.log(p_t) - math.log(p_s))
    return total / len(student)


@pytest.mark.parametrize("temperatures", [(0.1, 0.01), (0.5, 0.3), (1.0, 1.0)])
@pytest.mark.parametrize(("count", "anchors"), [(5, 7), (1, 36), (4, 1)])
def test_distillation_is_equation_3(count, anchors, temperatures):
    student, teacher = draw(count, 6, seed=1), draw(count, 6, seed=2)
    others = draw(anchors, 6, seed=3)
    came = distillation_loss(student, teacher, others, *temperatures).item()
    due = slow_distillation(student, teacher, others, *temperatures)
    assert came == pytest.approx(due, abs=1e-9)


def test_relations_are_cosines_over_the_temperature():
    z, anchors = draw(3, 4), draw(5, 4, seed=2)
    came = relation_logits(z, 7 * anchors, 0.2)
    due = [[slow_cosine(a, b) / 0.2 for b in anchors.tolist()] for a in z.tolist()]
    assert torch.allclose(came, torch.tensor(due, dtype=torch.double))


def test_a_student_that_agrees_costs_nothing():
    z, anchors = draw(3, 4), draw(5, 4, seed=2)
    loss = distillation_loss(z.requires_grad_(), z, anchors, 0.1, 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert z.grad.abs().max() < 1e-9


def test_the_slope_is_that_of_the_student_alone():
    """By finite differences of the slow loss with the teacher held."""
    student, teacher, anchors = (draw(2, 3, seed=seed) for seed in (1, 2, 3))
    student.requires_grad_()
    distillation_loss(student, teacher, anchors, 0.5, 0.2).backward()
    for place in ((0, 0), (1, 2)):
        steps = []
        for by in (1e-6, -1e-6):
            moved = student.detach().clone()
            moved[place] += by
            steps.append(slow_distillation(moved, teacher, anchors, 0.5, 0.2))
        assert student.grad[place].item() == pytest.approx((steps[0] - steps[1]) / 2e-6, abs=1e-6)


def test_without_anchors_distillation_is_zero():
    student = draw(3, 4).requires_grad_()
    loss = distillation_loss(student, draw(3, 4, seed=2), torch.zeros(0, 4))
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().max() == 0


def test_distillation_of_no_crop_is_zero():
    assert distillation_loss(draw(0, 4), draw(0, 4), draw(5, 4)).item() == 0


def test_vectors_of_zero_and_opposite_ones_keep_distillation_finite():
    student = torch.zeros(2, 4, requires_grad=True)
    anchors = F.normalize(draw(3, 4, dtype=torch.float), dim=1)
    loss = distillation_loss(student, -anchors[:2], anchors)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_distillation_of_half_precision_is_computed_in_full(half):
    """To the digit that the same numbers give in float32, in an autocast block too."""
    student, teacher, anchors = (draw(4, 8, seed=s).to(half) for s in (1, 2, 3))
    due = distillation_loss(student.float(), teacher.float(), anchors.float())
    came = distillation_loss(student, teacher, anchors=anchors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = distillation_loss(student.float(), teacher.float(), anchors.float())
    assert came.dtype == cast.dtype == torch.float32
    assert came.item() == due.item() == cast.item()


def test_wrong_shapes_of_distillation_are_told():
    with pytest.raises(ValueError, match="of the student and"):
        distillation_loss(draw(3, 4), draw(2, 4), draw(5, 4))
    with pytest.raises(ValueError, match=r"anchors of \(5, 3\) came"):
        distillation_loss(draw(3, 4), draw(3, 4), draw(5, 3))


def test_the_bank_keeps_the_last_vectors():
    bank, due = MemoryBank(5, 3), []
    assert bank.anchors().shape == (0, 3)
    for number, count in enumerate((2, 1, 4, 0, 3, 5, 1)):
        new = 3 * draw(count, 3, seed=number, dtype=torch.float)
        bank.push(new)
        due = [*due, *F.normalize(new, dim=1).tolist()][-5:]
        assert sorted(bank.anchors().tolist()) == sorted(due)


def test_anchors_are_of_other_images():
    """Owners move with their vectors, also round the end; those of nobody are always anchors."""
    bank, due = MemoryBank(5, 3), []
    for number, owners in enumerate(([4, 9], None, [9, 4, 4], [], [1, 9, 2, 2, 9, 1, 7], [4])):
        new = draw(1 if owners is None else len(owners), 3, seed=number, dtype=torch.float)
        bank.push(new, None if owners is None else torch.tensor(owners, dtype=torch.int64))
        due += zip(owners or [None] * len(new), F.normalize(new, dim=1).tolist(), strict=True)
        due = due[-5:]
        for but in ([], [4], [9, 9], [1, 2, 9], [77]):
            came = bank.anchors(but=torch.tensor(but, dtype=torch.int64))
            assert sorted(came.tolist()) == sorted(v for owner, v in due if owner not in but)
    assert bank.anchors(but=torch.tensor([1, 2, 4, 7, 9])).shape == (0, 3)


def test_of_more_vectors_than_places_the_last_are_kept():
    bank = MemoryBank(3, 2)
    bank.push(draw(1, 2, dtype=torch.float))
    new = draw(8, 2, seed=2, dtype=torch.float)
    bank.push(new)
    due = F.normalize(new[-3:], dim=1)
    assert sorted(bank.anchors().tolist()) == sorted(due.tolist())


def test_a_resumed_bank_goes_on_exactly():
    bank, other = MemoryBank(4, 3), MemoryBank(4, 3)
    bank.push(draw(3, 3, dtype=torch.float), torch.tensor([5, 6, 5]))
    other.load_state_dict(bank.state_dict())
    for each in (bank, other):
        each.push(draw(2, 3, seed=2, dtype=torch.float))
    assert torch.equal(bank.anchors(), other.anchors())
    but = torch.tensor([5])
    assert torch.equal(bank.anchors(but), other.anchors(but))
    assert len(other.anchors(but)) == len(other.anchors()) - 1  # one was replaced
    assert {k: v.tolist() for k, v in bank.state_dict().items()} == {
        k: v.tolist() for k, v in other.state_dict().items()
    }


def test_a_push_before_the_gradient_changes_nothing():
    bank, student = MemoryBank(2, 3), draw(2, 3).requires_grad_()
    bank.push(draw(2, 3, seed=2))
    slopes = []
    for push in (False, True):
        loss = distillation_loss(student, draw(2, 3, seed=3), bank.anchors())
        if push:
            bank.push(draw(2, 3, seed=4))
        slopes.append(torch.autograd.grad(loss, student)[0])
    assert torch.equal(*slopes)


def test_anchors_are_a_copy():
    bank = MemoryBank(2, 3)
    bank.push(draw(2, 3))
    anchors = bank.anchors()
    before = anchors.clone()
    bank.push(draw(2, 3, seed=2))
    assert torch.equal(anchors, before)


def test_the_bank_takes_vectors_with_a_gradient_and_of_half_precision():
    bank = MemoryBank(4, 3)
    bank.push(draw(2, 3).requires_grad_())
    bank.push(draw(1, 3).to(torch.bfloat16))
    assert not bank.anchors().requires_grad
    assert bank.anchors().dtype == torch.float32
    assert torch.allclose(bank.anchors().norm(dim=1), torch.ones(3))


def test_a_bank_that_cannot_be_is_told():
    with pytest.raises(ValueError, match="A bank of 0 vectors"):
        MemoryBank(0, 3)
    with pytest.raises(ValueError, match=r"due is \(B, 3\)"):
        MemoryBank(4, 3).push(draw(2, 4))
    with pytest.raises(ValueError, match=r"Owners of \(3,\) came; due is one of each of 2 vectors"):
        MemoryBank(4, 3).push(draw(2, 3), torch.arange(3))


def test_crops_reach_both_ends():
    assert crop_starts(256, 64, 32) == (0, 32, 64, 96, 128, 160, 192)
    assert crop_starts(64, 64, 32) == crop_starts(20, 64, 32) == (0,)
    assert crop_starts(100, 64, 32) == (0, 32, 36)
    for length in range(1, 70):
        for crop, stride in ((1, 1), (8, 3), (16, 40)):
            starts = crop_starts(length, crop, stride)
            assert starts[0] == 0
            assert starts[-1] == max(0, length - crop)
            gaps = [b - a for a, b in pairwise(starts)]
            assert all(0 < gap <= stride for gap in gaps)


def test_crops_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="Crops of 8 every 0 of 16 pixels"):
        crop_starts(16, 8, 0)
    with pytest.raises(ValueError, match=r"due is \(B, C, H, W\)"):
        local_maps(torch.zeros(3, 8, 8))


def test_local_maps_are_means_of_the_crops():
    """Each number of each crop against the mean of its pixels, one at a time."""
    maps = draw(2, 3, 11, 8)
    came = local_maps(maps, crop=6, stride=3, pooled=2)
    places = [(y, x) for y in (0, 3, 5) for x in (0, 2)]
    assert came.shape == (2, 6, 3, 2, 2)
    for b in range(2):
        for p, (y0, x0) in enumerate(places):
            for c in range(3):
                for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    rows = range(y0 + 3 * y, y0 + 3 * y + 3)
                    columns = range(x0 + 3 * x, x0 + 3 * x + 3)
                    due = sum(maps[b, c, r, k].item() for r in rows for k in columns) / 9
                    assert came[b, p, c, y, x].item() == pytest.approx(due)


def test_a_map_smaller_than_a_crop_is_one_crop():
    maps = draw(2, 3, 5, 40)
    came = local_maps(maps, crop=16, stride=12, pooled=4)
    assert came.shape == (2, 3, 3, 4, 4)
    assert torch.allclose(came[:, 0], F.adaptive_avg_pool2d(maps[..., :16], 4))
