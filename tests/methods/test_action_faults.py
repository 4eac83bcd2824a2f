"""Faults of ACTION's released code that our teacher, heads, views and steps do not have.

Those of its losses are in test_action_losses_faults.py, those of its scores beside
`segmentation_scores`.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from action_step import batch_of, fill_banks, make_step
from napari_medssl.methods.action.heads import GlobalHead, LocalHead, RepresentationHead
from napari_medssl.methods.action.stages import STAGES


def full_step(stage, number=5):
    """Take one whole step of a stage: losses, gradient, optimizer, teacher."""
    step = make_step(stage, number=number, threshold=0.0)
    fill_banks(step)
    optimizer = torch.optim.SGD(step.student.parameters(), lr=0.1)
    torch.stack(list(step.losses(batch_of(step.terms)).values())).sum().backward()
    optimizer.step()
    step.teacher.update(step.student)
    return step


@pytest.mark.parametrize("stage", ["local", "anatomical++", "mean-teacher", "strong-weak"])
def test_no_gradient_reaches_the_teacher(stage):
    """There, the teacher's heads are not frozen and its target is not detached."""
    step = full_step(stage)
    parameters = list(step.teacher.parameters())
    assert parameters
    assert not any(p.requires_grad for p in parameters)
    assert all(p.grad is None for p in parameters)


def test_the_teachers_heads_are_averaged_too():
    """There, they stay as they began (or are trained)."""
    step = make_step("local")
    fill_banks(step)
    heads = ("global_head", "local_head", "representation_head")
    before = {
        f"{head}.{name}": value.clone()
        for head in heads
        for name, value in getattr(step.teacher.branch, head).state_dict().items()
    }
    with torch.no_grad():
        for p in step.student.parameters():
            p += 1
    step.teacher.update(step.student)
    after = step.teacher.branch.state_dict()
    assert all(torch.allclose(after[name], value + 0.5) for name, value in before.items())


@pytest.mark.parametrize("head", [GlobalHead(), LocalHead(3), RepresentationHead()])
def test_heads_are_not_linear(head):
    """There, no activation stands between the two layers of heads and predictor."""
    kinds = [type(layer) for layer in head.layers]
    assert nn.ReLU in kinds[1:-1]


@pytest.mark.parametrize("name", ["global_predictor", "local_predictor"])
def test_predictors_are_not_linear(name):
    """f(a + b) = f(a) + f(b) - f(0) holds for every linear layer with a bias."""
    predictor = getattr(make_step("local").student, name)
    a, b = torch.randn(2, 4, predictor[0].in_features, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        due = predictor(a) + predictor(b) - predictor(torch.zeros_like(a))
        assert not torch.allclose(predictor(a + b), due, atol=1e-3)


@pytest.mark.parametrize("stage", [name for name, t in STAGES.items() if t.takes_unlabelled])
def test_the_teacher_sees_the_weak_view_and_the_student_the_strong_one(stage):
    """There, --combinations 2 is the default: the strong one on the teacher."""
    step = make_step(stage)
    weak = torch.full((2, 3, 64, 64), 0.25)
    strong = tuple(torch.full((2, 3, 64, 64), 0.75) for _ in range(step.terms.streams))
    batch = batch_of(step.terms)
    batch = replace(batch, labelled=torch.full((2, 3, 64, 64), 0.5), weak=weak, strong=strong)
    seen = {"teacher": [], "student": []}
    for who, branch in (("teacher", step.teacher.branch), ("student", step.student.branch)):
        maps = branch.network.maps

        def look(images, kept=None, *, maps=maps, who=who):
            seen[who].append(images.clone())
            return maps(images, kept)

        branch.network.maps = look
    step.losses(batch)
    assert len(seen["teacher"]) == len(seen["student"]) == 1
    assert torch.equal(seen["teacher"][0], weak)
    assert not (seen["student"][0] == 0.25).any()
    assert (seen["student"][0] == 0.75).any()


def test_the_teacher_is_moved_once_a_step():
    """There, twice in fine-tuning; see also test_train_action for a whole training."""
    step = full_step("anatomical")
    assert int(step.teacher.updates) == 1


@pytest.mark.parametrize("stage", ["local", "anatomical"])
def test_the_teacher_is_always_as_in_use(stage):
    """There, it stays in train() mode: each batch moves its statistics."""
    step = make_step(stage)
    step.teacher.train()
    assert not any(module.training for module in step.teacher.modules())
    nn.ModuleDict({"a": step.teacher, "b": step.student}).train()
    assert not any(module.training for module in step.teacher.modules())
    assert all(module.training for module in step.student.modules())
    before = {k: v.clone() for k, v in step.teacher.state_dict().items()}
    step.losses(batch_of(step.terms))
    assert all(torch.equal(v, before[k]) for k, v in step.teacher.state_dict().items())


def test_a_single_image_is_judged_as_among_others():
    """The teacher's classes of an image do not depend on the rest of the batch."""
    step = make_step("anatomical")
    weak = batch_of(step.terms).weak
    both, one = step._seen_by_teacher(weak), step._seen_by_teacher(weak[:1])
    torch.testing.assert_close(both.logits[:1], one.logits, rtol=1e-4, atol=1e-5)


def test_a_later_stage_keeps_the_teacher_that_was_averaged():
    """There, fine-tuning loads the student's weights into the teacher too.

    Ours is one run: see `ActionRun`, whose modules stay from stage to stage (test_train_action).
    """
    step = full_step("local")
    student, teacher = step.student.branch.state_dict(), step.teacher.branch.state_dict()
    assert not all(torch.equal(student[name], teacher[name]) for name in student)
