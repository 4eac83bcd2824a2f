"""The losses of a step: what each stage asks, of whom, and what it keeps."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch

from action_step import CLASSES, COUNT, SIZE, batch_of, fill_banks, make_step, parts_with_gradient
from napari_medssl.methods.action.local_vectors import local_maps
from napari_medssl.methods.action.stages import RECIPES, STAGES, parse_stages, stage_ends
from napari_medssl.methods.action.supervision import supervised_loss

DUE = {
    "global": {"global"},
    "distillation": {"global", "local"},
    "local": {"supervised", "global", "local"},
    "anatomical": {"supervised", "pseudo", "anatomical"},
    "anatomical++": {"supervised", "pseudo", "anatomical", "centres"},
    "pseudo": {"supervised", "pseudo"},
    "supervised": {"supervised"},
    "mean-teacher": {"supervised", "consistency"},
    "strong-weak": {"supervised", "pseudo"},
}
NETWORK = {"trunk", "stem", "decoder", "head"}
DISTILLED = {"global head", "global predictor"}
REACHED = {
    "global": {"trunk"} | DISTILLED,
    "distillation": NETWORK | DISTILLED | {"local head", "local predictor"},
    "local": NETWORK | DISTILLED | {"local head", "local predictor"},
    "anatomical": NETWORK | {"representation head"},
    "anatomical++": NETWORK | {"representation head"},
    "pseudo": NETWORK,
    "supervised": NETWORK,
    "mean-teacher": NETWORK,
    "strong-weak": NETWORK,
}


@pytest.fixture(scope="module")
def unsure():
    """Terms by which a teacher at random counts as sure."""
    return {"threshold": 0.0}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_asks_what_is_said_and_reaches_what_it_should(stage, unsure):
    """And its banks get vectors once, if it distils."""
    step = make_step(stage, number=5, **unsure)
    fill_banks(step)
    pushed = []
    for bank in (step.memory.images, step.memory.crops):
        bank.register_buffer("counted", torch.zeros(()))
        push = bank.push
        bank.push = lambda vectors, owners, push=push: (
            pushed.append(vectors),
            push(vectors, owners),
        )
    losses = step.losses(batch_of(step.terms))
    assert set(losses) == DUE[stage]
    assert all(loss.isfinite() and loss.ndim == 0 for loss in losses.values())
    assert parts_with_gradient(step, losses) == REACHED[stage]
    assert len(pushed) == step.terms.distils * (1 + (stage != "global"))
    assert not any(vectors.requires_grad for vectors in pushed)


def test_weights_of_terms_are_factors():
    for name, stage, factor in (
        ("supervised", "supervised", 3.0),
        ("centres", "anatomical++", 2.0),
        ("anatomical", "anatomical", 5.0),
    ):
        weight = getattr(STAGES[stage], name)
        one, other = (make_step(stage, **{name: w}) for w in (weight, factor * weight))
        batch = batch_of(one.terms)
        found = [step.losses(batch)[name] for step in (one, other)]
        torch.testing.assert_close(found[1], factor * found[0])


def test_the_supervised_loss_is_that_of_the_labelled_images_alone():
    """Whatever else the student looks at in the same batch."""
    step = make_step("pseudo")
    step.student.eval()  # statistics of the batch would join them
    batch = batch_of(step.terms)
    found = step.losses(batch)["supervised"]
    with torch.no_grad():
        due = supervised_loss(step.student.branch.network(batch.labelled), batch.truth)
    torch.testing.assert_close(found.detach(), due)


def test_a_step_follows_from_its_generator():
    def make(seed):
        step = make_step("anatomical++", seed=0, threshold=0.0)
        step.generator.manual_seed(seed)
        return {name: loss.item() for name, loss in step.losses(batch_of(step.terms)).items()}

    before = torch.get_rng_state()
    first = make(1)
    assert first == make(1)
    assert first["pseudo"] != make(2)["pseudo"] or first["anatomical"] != make(2)["anatomical"]
    torch.set_rng_state(before)


def test_a_bank_gets_the_teachers_vectors_of_the_images_at_hand():
    step = make_step("global")
    step.losses(batch_of(step.terms))
    assert int(step.memory.images.filled) == COUNT
    assert int(step.memory.crops.filled) == 0
    with torch.no_grad():
        maps = step.teacher.branch.network.maps(batch_of(step.terms).weak)
        due = torch.nn.functional.normalize(step.teacher.branch.global_head(maps), dim=1)
    torch.testing.assert_close(step.memory.images.anchors(), due)


def test_images_lie_among_others_never_among_themselves():
    """What is kept of an image does not count against it: not of the image, not of its crops."""
    step = make_step("local", global_distillation=1.0, local_distillation=1.0)
    batch = batch_of(step.terms)
    for bank in (step.memory.images, step.memory.crops):
        bank.push(torch.randn(20, bank.vectors.shape[1]), torch.tensor([0, 1] * 10))
    own = step.losses(batch)
    assert own["global"].item() == own["local"].item() == 0
    others = step.losses(replace(batch, numbers=torch.tensor([7, 8])))
    assert others["global"].item() > 0.1
    assert others["local"].item() > 0.1
    owners = step.memory.images.owners[: int(step.memory.images.filled)]
    assert owners.tolist() == [0, 1] * 11 + [7, 8]


def test_crops_have_the_owner_of_their_image():
    """Image 5 is left out of what image 5 lies among, and image 6 is not."""
    step = make_step("distillation")
    batch = replace(batch_of(step.terms), numbers=torch.tensor([5, 6]))
    with torch.no_grad():
        step.losses(batch)
        seen = step._seen_by_teacher(batch.weak)
        side = SIZE // 4
        crops = local_maps(seen.logits, crop=side, stride=side // 2)
        due = torch.nn.functional.normalize(step.teacher.branch.local_head(crops), dim=-1)
    bank = step.memory.crops
    kept = bank.owners[: int(bank.filled)]
    assert set(kept.tolist()) == {5, 6}
    for vector, owner in zip(bank.anchors(), kept.tolist(), strict=True):
        assert (due[owner - 5] - vector).abs().amax(dim=1).min() < 1e-5
    assert len(bank.anchors(but=torch.tensor([5, 5]))) == int((kept == 6).sum())


def test_without_others_there_is_nothing_to_tell_apart():
    step = make_step("global")
    losses = step.losses(batch_of(step.terms))
    assert losses["global"].item() == 0
    fill_banks(step)
    assert step.losses(batch_of(step.terms))["global"].item() > 0.1


def test_complements_keep_what_the_other_drops():
    """The two streams' factors add up to 2: doubled and dropped, or both 1; labelled keep all."""
    step = make_step("strong-weak")
    found = step._complements(3, 40, torch.device("cpu"))
    dims = step.student.branch.network.feature_dims()
    assert [tuple(one.shape) for one in found] == [(83, dim, 1, 1) for dim in dims]
    wholes = []
    for factors in found:
        plain, first, second = factors[:3], factors[3:43], factors[43:]
        assert (plain == 1).all()
        assert (first + second == 2).all()
        whole = (first == 1).all(dim=1).flatten()
        assert set(first[~whole].unique().tolist()) == {0.0, 2.0}
        assert 0.3 < (first[~whole] == 0).float().mean() < 0.7
        wholes.append(whole)
    assert all(torch.equal(whole, wholes[0]) for whole in wholes)
    assert 8 < int(wholes[0].sum()) < 32


def test_strong_weak_leaves_unsure_pixels_out():
    """None is surer than 1: no loss, and no gradient by it."""
    step = make_step("strong-weak", threshold=1.1, supervised=0.0)
    losses = step.losses(batch_of(step.terms))
    assert losses["pseudo"].item() == 0
    assert parts_with_gradient(step, losses) == set()


def test_actions_pseudo_loss_counts_by_the_share_of_sure_pixels():
    found = [
        make_step("pseudo", threshold=t).losses(batch_of(STAGES["pseudo"]))["pseudo"].item()
        for t in (0.0, 0.36, 1.1)
    ]
    assert found[2] == 0
    assert found[0] >= found[1] >= 0
    assert found[0] > 0


@pytest.mark.parametrize(
    ("of_stage", "due"), [(0.0, math.exp(-5)), (0.2, math.exp(-1.25)), (0.4, 1), (0.9, 1)]
)
@pytest.mark.parametrize(("stage", "name"), [("mean-teacher", "consistency"), ("pseudo", "pseudo")])
def test_the_teachers_classes_count_more_and_more(stage, name, of_stage, due):
    """Over the first two fifths of a stage, wherever the stage lies in the training."""
    step, full = (
        make_step(stage, number=8, of_stage=part, threshold=0.0) for part in (of_stage, 0.9)
    )
    batch = batch_of(step.terms)
    ratio = step.losses(batch)[name] / full.losses(batch)[name]
    assert ratio.item() == pytest.approx(due, rel=1e-4)


@pytest.mark.parametrize("stage", ["supervised", "anatomical++"])
def test_masks_that_nobody_painted_cost_nothing(stage):
    step = make_step(stage, threshold=1.1)
    batch = batch_of(step.terms)
    batch.truth.fill_(255)
    losses = step.losses(batch)
    assert losses["supervised"].item() == 0
    assert losses.get("centres", torch.zeros(())).item() == 0
    assert all(loss.isfinite() for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()


def test_centres_are_as_many_as_classes_and_fixed():
    step = make_step("anatomical++")
    before = step.memory.centres.clone()
    losses = step.losses(batch_of(step.terms))
    torch.stack(list(losses.values())).sum().backward()
    assert step.memory.centres.shape[0] == CLASSES
    assert torch.equal(step.memory.centres, before)
    assert not list(step.memory.parameters())
    assert step.memory.assignment.seen.all()


def test_mixed_views_have_the_classes_of_their_pixels():
    """Each view's images are told apart by colour, and so are the classes of the teacher."""
    step = make_step("pseudo")
    views = torch.tensor([0.2, 0.8])[:, None, None, None].expand(2, 3, SIZE, SIZE).clone()
    logits = torch.full((2, CLASSES, SIZE, SIZE), -9.0)
    logits[0, 1, :, : SIZE // 2] = 9
    logits[0, 0, :, SIZE // 2 :] = 9
    logits[1, 2] = 9
    seen = copy.copy(step._seen_by_teacher(views))
    seen = type(seen)(seen.bottleneck, seen.decoder, logits)
    kinds = set()
    for _ in range(12):
        (mixed,), ((classes, sure),) = step._mixed((views,), seen)
        for b in range(2):
            dark = (mixed[b, 0] - 0.2).abs() < 1e-6
            known = classes[b] != 255
            of_first = dark & known
            of_second = ~dark & known
            assert set(classes[b][of_first].unique().tolist()) <= {0, 1}
            assert set(classes[b][of_second].unique().tolist()) <= {2}
            assert (sure[b][~known] == 0).all()
            kinds.add((bool(of_first.any()), bool(of_second.any()), bool((~known).any())))
    assert len(kinds) > 2  # of each kind of mixture


# -- stages --------------------------------------------------------------------------------------


def test_recipes_are_stages_in_order():
    assert parse_stages("action") == RECIPES["action"] == ("global", "local", "anatomical")
    assert parse_stages("action++")[-1] == "anatomical++"
    assert parse_stages(" local, anatomical ") == ("local", "anatomical")
    assert all(name in STAGES for names in RECIPES.values() for name in names)


@pytest.mark.parametrize("text", ["", "nonsense", "action,nonsense", "local,,anatomical"])
def test_unknown_stages_are_told(text):
    with pytest.raises(
        ValueError, match=r"is no stage; due are action, action\+\+, global, distillation, local"
    ):
        parse_stages(text)


def test_stages_have_their_parts_of_the_steps():
    """1, 2 and 14 parts of 17; beside a last stage alone, 1 of 15."""
    assert stage_ends(RECIPES["action"], 340) == (20, 60, 340)
    assert stage_ends(("distillation", "pseudo"), 300) == (20, 300)
    assert stage_ends(("supervised",), 7) == (7,)


@pytest.mark.parametrize("steps", [3, 4, 5, 7, 11])
def test_each_stage_has_a_step(steps):
    ends = (0, *stage_ends(RECIPES["action"], steps))
    assert ends[-1] == steps
    assert all(b > a for a, b in itertools.pairwise(ends))
    with pytest.raises(ValueError, match="2 steps for 3 stages; due is one of each at least"):
        stage_ends(RECIPES["action"], 2)
