"""Class centres, their assignment and the contrast towards them, and annealed temperatures."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.action.class_centres import (
    CentreAssignment,
    class_centres,
    spreading_loss,
    supervised_anatomical_contrast,
)
from napari_medssl.methods.action.temperature import annealed_temperature


def draw(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double)


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def cosines(centres):
    return (centres @ centres.T)[~torch.eye(len(centres), dtype=torch.bool)]


@pytest.mark.parametrize("count", [2, 3, 4, 9, 32])
@pytest.mark.parametrize("more", [-1, 0, 96])
def test_centres_are_a_regular_simplex(count, more):
    """In C - 1 dimensions and in more: all cosines are -1 / (C - 1)."""
    centres = class_centres(count, count + more)
    assert centres.shape == (count, count + more)
    assert torch.allclose(centres.norm(dim=1), torch.ones(count), atol=1e-6)
    assert torch.allclose(cosines(centres), torch.tensor(-1 / (count - 1)), atol=1e-6)
    assert centres.sum(dim=0).abs().max() < 1e-5


def test_the_simplex_is_a_minimum_of_equation_1():
    """No slope along the sphere, and more anywhere else."""
    centres = class_centres(4, 6).double().requires_grad_()
    loss = spreading_loss(F.normalize(centres, dim=1), 0.5)
    slope = torch.autograd.grad(loss, centres)[0]
    assert slope.abs().max() < 1e-5
    for seed in range(20):
        moved = F.normalize(centres.detach() + 0.1 * draw(4, 6, seed=seed), dim=1)
        assert spreading_loss(moved, 0.5) > loss


def test_equation_1_is_what_is_printed():
    rows = class_centres(5, 3).double()
    due = sum(
        math.log(sum(math.exp(dot(a, b) / 0.3) for b in rows.tolist())) for a in rows.tolist()
    )
    assert spreading_loss(rows, 0.3).item() == pytest.approx(due, abs=1e-9)


@pytest.mark.parametrize("count", [4, 5, 7])
def test_centres_on_a_circle_are_a_regular_polygon(count):
    centres = class_centres(count, 2)
    angles = torch.atan2(centres[:, 1], centres[:, 0]).sort().values
    gaps = torch.diff(angles, append=angles[:1] + 2 * math.pi)
    assert torch.allclose(gaps, torch.tensor(2 * math.pi / count), atol=1e-4)


def test_six_centres_in_space_are_an_octahedron():
    found = sorted(cosines(class_centres(6, 3)).tolist())
    assert found == pytest.approx([-1.0] * 6 + [0.0] * 24, abs=1e-3)


def test_many_centres_in_few_dimensions_keep_apart():
    """32 in 8 dimensions: each nearest other is further than 60 degrees, as random ones are not."""
    centres = class_centres(32, 8)
    assert cosines(centres).max() < 0.5
    assert cosines(F.normalize(draw(32, 8), dim=1)).max() > 0.6


def test_one_centre_is_of_unit_length():
    assert class_centres(1, 5).norm().item() == pytest.approx(1)
    assert class_centres(2, 1).flatten().abs().tolist() == [1, 1]


@pytest.mark.parametrize("dim", [8, 3])
def test_the_same_seed_gives_the_same_centres(dim):
    assert torch.equal(class_centres(6, dim), class_centres(6, dim))
    assert not torch.equal(class_centres(6, dim), class_centres(6, dim, seed=1))
    with torch.inference_mode(False), torch.no_grad():
        assert not class_centres(6, dim).requires_grad


def test_centres_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="0 centres in 4 dimensions"):
        class_centres(0, 4)


def slow_assignment(means, centres):
    """Equation 3 by trying all permutations."""
    count = len(centres)
    return max(
        itertools.permutations(range(count)),
        key=lambda pi: sum(dot(means[c], centres[pi[c]]) for c in range(count)),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_assignment_is_the_best_of_all_permutations(count):
    for seed in range(10):
        module = CentreAssignment(class_centres(count, 4))
        module.update(draw(60, 4, seed=seed), torch.arange(60) % count)
        due = slow_assignment(module.means.tolist(), module.centres.tolist())
        assert tuple(module.assignment().tolist()) == due


def test_means_move_as_equation_2():
    module, means = CentreAssignment(class_centres(3, 4), momentum=0.7), {}
    for seed, shown in enumerate(((0, 1), (1,), (0, 1, 2), (2, 0))):
        vectors = 3 * draw(30, 4, seed=seed)
        classes = torch.tensor(shown)[torch.arange(30) % len(shown)]
        classes[:5] = 255
        module.update(vectors.float(), classes)
        for c in shown:
            rows = [v for v, k in zip(vectors.tolist(), classes.tolist(), strict=True) if k == c]
            rows = [[p / math.sqrt(dot(v, v)) for p in v] for v in rows]
            fresh = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            old = means.get(c, fresh)
            means[c] = [0.7 * p + 0.3 * q for p, q in zip(old, fresh, strict=True)]
        for c, due in means.items():
            assert module.means[c].tolist() == pytest.approx(due, abs=1e-6)
        assert module.seen.tolist() == [c in means for c in range(3)]


def test_classes_never_seen_get_the_centres_that_are_left():
    module = CentreAssignment(class_centres(5, 4))
    assert module.assignment().tolist() == [0, 1, 2, 3, 4]
    module.update(module.centres[[0, 2]], torch.tensor([3, 1]))
    assert module.assignment().tolist() == [1, 2, 3, 0, 4]


def test_a_batch_of_ignored_pixels_moves_nothing():
    module = CentreAssignment(class_centres(3, 4))
    module.update(draw(6, 4), torch.full((6,), 255))
    module.update(draw(0, 4), torch.zeros(0, dtype=torch.int64))
    assert not module.seen.any()
    assert not module.means.any()


def test_a_resumed_assignment_goes_on_exactly():
    given = (draw(20, 4).bfloat16().requires_grad_(), torch.arange(20) % 3)
    module, other = (CentreAssignment(class_centres(4, 4, seed=s)) for s in (0, 1))
    module.update(*given)
    other.load_state_dict(module.state_dict())
    for each in (module, other):
        each.update(draw(20, 4, seed=2), torch.arange(20) % 4)
    assert torch.equal(module.means, other.means)
    assert torch.equal(module.assignment(), other.assignment())


def slow_contrast(vectors, classes, centres, assignment, temperature, pull):
    """Equations 4 to 6."""
    pixels = [(v, c) for v, c in zip(vectors.tolist(), classes.tolist(), strict=True) if c != 255]
    pixels = [([p / math.sqrt(dot(v, v)) for p in v], c) for v, c in pixels]
    contrast, away = {}, {}
    for i, (v, c) in enumerate(pixels):
        others = [(w, k) for j, (w, k) in enumerate(pixels) if j != i]
        below = sum(math.exp(dot(v, w) / temperature) for w, _ in others)
        terms = [math.log(math.exp(dot(v, w) / temperature) / below) for w, k in others if k == c]
        if terms and len({k for _, k in pixels}) > 1:
            contrast.setdefault(c, []).append(-sum(terms) / len(terms))
        below = sum(math.exp(dot(v, m) / temperature) for m in centres.tolist())
        near = math.exp(dot(v, centres[assignment[c]].tolist()) / temperature)
        away.setdefault(c, []).append(-math.log(near / below))

    def mean(of):
        return sum(sum(v) / len(v) for v in of.values()) / max(1, len(of))

    return mean(contrast) + pull * mean(away)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 2, 255), (1,), (0, 0, 0, 0, 0, 1)])
def test_supervised_contrast_is_equation_6(numbers, temperature):
    vectors = 2 * draw(13, 5)
    classes = torch.tensor(numbers)[torch.arange(13) % len(numbers)]
    centres, assignment = class_centres(4, 5).double(), torch.tensor([2, 0, 3, 1])
    given = (vectors, classes, centres, assignment, temperature, 0.3)
    came = supervised_anatomical_contrast(*given).item()
    assert came == pytest.approx(slow_contrast(*given), abs=1e-9)


def test_a_class_of_one_pixel_is_pulled_alone():
    """It has no pair; the others have it below their line."""
    vectors, classes = draw(6, 5), torch.tensor([0, 0, 0, 0, 0, 1])
    centres, assignment = class_centres(2, 5).double(), torch.tensor([1, 0])
    given = (vectors, classes, centres, assignment, 0.2, 0.4)
    assert supervised_anatomical_contrast(*given).item() == pytest.approx(
        slow_contrast(*given), abs=1e-9
    )
    only = supervised_anatomical_contrast(vectors[4:], classes[4:], *given[2:5], pull=0)
    assert only.item() == 0


def test_the_published_pull_is_the_default():
    vectors, classes, centres = draw(8, 5), torch.arange(8) % 2, class_centres(2, 5)
    given = (vectors, classes, centres, torch.arange(2), 0.5)
    assert supervised_anatomical_contrast(*given) == supervised_anatomical_contrast(*given, 0.2)


def test_copies_of_a_frequent_class_do_not_change_the_pull():
    """The mean is of each class first."""
    vectors, centres = draw(4, 5), class_centres(3, 5).double()
    classes = torch.tensor([0, 1, 1, 1])
    pulls = []
    for repeats in (1, 50):
        rows = torch.tensor([0, *[1, 2, 3] * repeats])
        both = [
            supervised_anatomical_contrast(
                vectors[rows], classes[rows], centres, torch.arange(3), 0.5, pull
            )
            for pull in (0.0, 1.0)
        ]
        pulls.append((both[1] - both[0]).item())
    assert pulls[0] == pytest.approx(pulls[1], abs=1e-9)


@pytest.mark.parametrize("count", [0, 6])
def test_supervised_contrast_of_no_pixel_is_zero(count):
    vectors = draw(count, 5).requires_grad_()
    classes = torch.full((count,), 255)
    loss = supervised_anatomical_contrast(
        vectors, classes, class_centres(2, 5), torch.arange(2), 0.5
    )
    loss.backward()
    assert loss.item() == 0
    assert (vectors.grad == 0).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_slopes_are_finite_and_none_goes_into_the_centres(count):
    vectors = torch.ones(count, 5, requires_grad=True)
    centres = class_centres(3, 5).requires_grad_()
    classes = torch.arange(count) % 3
    supervised_anatomical_contrast(vectors, classes, centres, torch.arange(3), 0.01).backward()
    assert vectors.grad.isfinite().all()
    assert centres.grad is None


def test_descent_brings_classes_to_their_centres():
    """Classes that begin anywhere end at the centres that they are assigned."""
    vectors = draw(30, 6).requires_grad_()
    classes, centres = torch.arange(30) % 3, class_centres(3, 6).double()
    assignment = torch.tensor([1, 2, 0])
    for _ in range(200):
        loss = supervised_anatomical_contrast(vectors, classes, centres, assignment, 1.0, 1.0)
        slope = torch.autograd.grad(loss, vectors)[0]
        vectors = F.normalize(vectors.detach() - 5 * slope, dim=1).requires_grad_()
    near = F.cosine_similarity(vectors, centres[assignment[classes]])
    assert near.min() > 0.9999


def test_supervised_contrast_of_half_precision_is_computed_in_full():
    vectors, classes = draw(9, 5).bfloat16(), torch.arange(9) % 3
    rest = (classes, class_centres(3, 5), torch.arange(3), 0.1)
    came = supervised_anatomical_contrast(vectors, *rest)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = supervised_anatomical_contrast(vectors.float(), *rest)
    assert came.dtype == torch.float32
    assert came == supervised_anatomical_contrast(vectors.float(), *rest) == cast


def test_inputs_that_do_not_fit_are_told():
    centres = class_centres(3, 5)
    with pytest.raises(ValueError, match=r"due are \(N, d\), \(N,\) and \(C, d\)"):
        supervised_anatomical_contrast(
            draw(9, 4), torch.arange(9) % 3, centres, torch.arange(3), 0.1
        )
    with pytest.raises(ValueError, match=r"classes of \(3,\)"):
        CentreAssignment(centres).update(draw(9, 5), torch.arange(3))
    with pytest.raises(ValueError, match="Momentum 2 came"):
        CentreAssignment(centres, momentum=2)


def test_the_temperature_falls_and_rises():
    """Closed form at the quarters; symmetric about the middle; never outside."""
    assert [annealed_temperature(t, 1000) for t in (0, 250, 500, 750, 1000)] == pytest.approx(
        [1.0, 0.55, 0.1, 0.55, 1.0]
    )
    course = [annealed_temperature(t, 77, 0.2, 0.6) for t in range(78)]
    assert course == pytest.approx(course[::-1])
    assert min(course) >= 0.2
    assert max(course) <= 0.6
    assert course[:39] == sorted(course[:39], reverse=True)
    assert annealed_temperature(3, 10, 0.3, 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("step", [-1, 11])
def test_a_step_outside_the_training_is_told(step):
    with pytest.raises(ValueError, match=f"Step {step} of 10 came"):
        annealed_temperature(step, 10)
    with pytest.raises(ValueError, match=r"Temperatures 0\.5 to 0\.1 came"):
        annealed_temperature(1, 10, 0.5, 0.1)
