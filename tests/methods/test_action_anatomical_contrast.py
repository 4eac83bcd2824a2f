"""Anatomical contrast against its equations, its drawing against the chances that are due."""

import math

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.action import anatomical_contrast as module
from napari_medssl.methods.action.anatomical_contrast import (
    AnatomicalContrast,
    anatomical_contrast,
    class_means,
    contrast_of,
    draw_negatives,
    negative_chances,
)


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.double)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def slow_cosine(a, b):
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return dot / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))


def slow_contrast(queries, positive, negatives, temperature, picks=None):
    """The inner mean of equation 1, of lists."""
    total = 0.0
    for n, q in enumerate(queries):
        near = math.exp(slow_cosine(q, positive) / temperature)
        rows = range(len(negatives)) if picks is None else picks[n]
        far = sum(math.exp(slow_cosine(q, negatives[k]) / temperature) for k in rows)
        total -= math.log(near / (near + far))
    return total / len(queries)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("count", [1, 6])
def test_contrast_is_equation_1(count, temperature):
    queries, positive, negatives = draw(count, 4), draw(4, seed=2), draw(9, 4, seed=3)
    picks = torch.randint(0, 9, (count, 5), generator=seeded())
    given = (queries.tolist(), positive.tolist(), negatives.tolist(), temperature)
    came = contrast_of(queries, positive, negatives, temperature)
    assert came.item() == pytest.approx(slow_contrast(*given), abs=1e-9)
    came = contrast_of(queries, positive, negatives, temperature, picks)
    assert came.item() == pytest.approx(slow_contrast(*given, picks.tolist()), abs=1e-9)


def test_the_slope_of_contrast_is_that_of_the_queries_alone():
    queries, positive, negatives = (draw(3, 4, seed=s).requires_grad_() for s in (1, 2, 3))
    contrast_of(queries, positive[0], negatives, 0.5).backward()
    assert positive.grad is negatives.grad is None
    assert queries.grad.abs().sum() > 0


def test_without_queries_contrast_is_zero():
    assert contrast_of(draw(0, 4), draw(4), draw(3, 4), 0.5).item() == 0


def test_class_means_are_means_of_the_valid_pixels():
    vectors, classes = draw(2, 3, 4, 5), torch.randint(0, 4, (2, 4, 5), generator=seeded())
    classes[classes == 2] = 1
    valid = torch.rand(2, 4, 5, generator=seeded(1)) < 0.6
    means, pixels = class_means(vectors, classes, valid, 4)
    for c in range(4):
        rows = [
            vectors[b, :, y, x].tolist()
            for b in range(2)
            for y in range(4)
            for x in range(5)
            if valid[b, y, x] and classes[b, y, x] == c
        ]
        due = [sum(column) / len(rows) for column in zip(*rows, strict=True)] or [0.0] * 3
        assert means[c].tolist() == pytest.approx(due)
        assert pixels[c] == len(rows)
    assert pixels[2] == 0


def test_chances_of_negatives_are_equation_3():
    means = draw(4, 5)
    came = negative_chances(3 * means, 0.5)
    rows = means.tolist()
    for c in range(4):
        powers = [math.exp(slow_cosine(rows[c], m) / 0.5) for m in rows]
        powers[c] = 0.0
        assert came[c].tolist() == pytest.approx([p / sum(powers) for p in powers])
    assert negative_chances(draw(2, 5), 0.5).tolist() == [[0, 1], [1, 0]]


def test_negatives_come_by_the_chance_of_their_class_and_alike_inside_it():
    """Within five standard deviations of what is due, of every row; a class of chance 0 never."""
    chances, sizes = torch.tensor([0.6, 0.0, 0.3, 0.1]), torch.tensor([3, 4, 1, 6])
    picks = draw_negatives(chances, sizes, (100, 700), seeded())
    assert picks.shape == (100, 700)
    found = torch.bincount(picks.flatten(), minlength=14)
    due = (chances / sizes).repeat_interleave(sizes) * 70_000
    assert len(found) == 14
    assert ((found - due).abs() <= 5 * due.sqrt()).all()


def test_the_last_draw_of_a_class_stays_in_it(monkeypatch):
    """A draw next to 1 is the last row of its class, not the first of the next."""
    nearly = torch.ones(6).nextafter(torch.zeros(6))
    monkeypatch.setattr(module.torch, "rand", lambda *_, **__: nearly)
    for size in (1, 3, 4095, 4096, 4097, 16383, 16384, 16385, 1_000_003):
        picks = draw_negatives(torch.tensor([1.0, 0.0]), torch.tensor([size, 9]), (2, 3), seeded())
        assert (picks == size - 1).all()


def scene(*, seed=1, count=3, images=2, side=4, dim=5):
    vectors = draw(images, dim, side, side, seed=seed)
    classes = torch.randint(0, count, (images, side, side), generator=seeded(seed))
    valid = torch.rand(images, side, side, generator=seeded(seed + 1)) < 0.8
    shares = draw(images, count, side, side, seed=seed + 2).softmax(dim=1)
    return vectors, classes, valid, shares


def places_of(classes, valid):
    """Pixels of each class, in the order of images, rows and columns."""
    found = {}
    for b, image in enumerate(classes.tolist()):
        for y, row in enumerate(image):
            for x, c in enumerate(row):
                if valid[b, y, x] and c != 255:
                    found.setdefault(c, []).append((b, y, x))
    return found


def slow_anatomical(vectors, classes, valid, shares, how, generator, keys=None):
    """Equations 1 to 3 with as many queries and pixels as there are: only negatives are drawn."""
    keys = vectors if keys is None else keys
    places = places_of(classes, valid)
    present = sorted(places)
    rows = {c: [keys[b, :, y, x].tolist() for b, y, x in places[c]] for c in present}
    means = {c: [sum(v) / len(rows[c]) for v in zip(*rows[c], strict=True)] for c in present}
    pool = [row for c in present for row in rows[c]]
    sizes = torch.tensor([len(rows[c]) for c in present])
    total = 0.0
    for c in present:
        hard = [p for p in places[c] if shares[p[0], c, p[1], p[2]] < how.hard_below]
        if not hard:
            continue
        powers = [
            0.0 if k == c else math.exp(slow_cosine(means[c], means[k]) / how.temperature)
            for k in present
        ]
        chances = torch.tensor([p / sum(powers) for p in powers], dtype=torch.double)
        picks = draw_negatives(chances, sizes, (len(hard), how.negatives), generator)
        queries = [vectors[b, :, y, x].tolist() for b, y, x in hard]
        total += slow_contrast(queries, means[c], pool, how.temperature, picks.tolist())
    return total / len(present)


@pytest.mark.parametrize("has_keys", [False, True])
@pytest.mark.parametrize("hard_below", [0.4, 0.97, 1.1])
@pytest.mark.parametrize("images", [1, 2])
def test_anatomical_contrast_is_the_sum_over_its_classes(images, hard_below, has_keys):
    vectors, classes, valid, shares = scene(images=images)
    classes[0, 0] = 255
    keys = draw(*vectors.shape, seed=9) if has_keys else None
    how = AnatomicalContrast(temperature=0.3, hard_below=hard_below, negatives=7)
    came = anatomical_contrast(vectors, classes, valid, shares, seeded(), how, keys)
    due = slow_anatomical(vectors, classes, valid, shares, how, seeded(), keys)
    assert came.item() == pytest.approx(due, abs=1e-9)
    assert due > 0


def test_a_class_without_pixels_changes_nothing():
    vectors, classes, valid, shares = scene()
    wider = torch.cat([shares, torch.zeros(2, 2, 4, 4)], dim=1)
    assert anatomical_contrast(vectors, classes, valid, shares, seeded()) == anatomical_contrast(
        vectors, classes, valid, wider, seeded()
    )


def test_only_hard_valid_pixels_have_a_slope():
    vectors, classes, valid, shares = scene(side=8)
    vectors.requires_grad_()
    anatomical_contrast(
        vectors, classes, valid, shares, seeded(), AnatomicalContrast(hard_below=0.3)
    ).backward()
    own = shares.gather(1, classes[:, None])[:, 0]
    is_query = valid & (own < 0.3)
    slopes = vectors.grad.abs().sum(dim=1)
    assert (slopes[is_query] > 0).all()
    assert (slopes[~is_query] == 0).all()


def test_no_more_queries_are_drawn_than_asked_for():
    vectors, classes, valid, shares = scene(side=16)
    vectors.requires_grad_()
    how = AnatomicalContrast(hard_below=1.1, queries=5)
    anatomical_contrast(vectors, classes, valid, shares, seeded(), how).backward()
    moved = vectors.grad.abs().sum(dim=1) > 0
    assert [(moved & (classes == c)).sum().item() for c in range(3)] == [5, 5, 5]


def test_queries_are_drawn_from_all_hard_pixels_alike():
    vectors, classes, valid, shares = scene(side=6)
    vectors.requires_grad_()
    how = AnatomicalContrast(hard_below=1.1, queries=4, negatives=2)
    times = torch.zeros(2, 6, 6)
    for seed in range(300):
        loss = anatomical_contrast(vectors, classes, valid, shares, seeded(seed), how)
        times += torch.autograd.grad(loss, vectors)[0].abs().sum(dim=1) > 0
    for c in range(3):
        members = valid & (classes == c)
        due = 300 * 4 / members.sum()
        assert ((times[members] - due).abs() < 5 * due.sqrt()).all()
        assert (times[~valid] == 0).all()


def test_the_pool_is_drawn_from_large_classes_alone(monkeypatch):
    """A class of few pixels has all of them in the pool, another as many as its part."""
    monkeypatch.setattr(module, "_POOL", 20)
    drawn = []
    monkeypatch.setattr(module, "contrast_of", lambda *given: drawn.append(given) or given[0].sum())
    vectors, classes, valid, shares = scene(side=12, count=2)
    classes[:] = 0
    classes[0, 0, :3] = 1
    valid[0, 0, :3] = True
    how = AnatomicalContrast(negatives=6)
    anatomical_contrast(vectors, classes, valid, shares, seeded(), how)
    queries, _, pool, _, picks = drawn[0]
    assert len(pool) == 10 + 3
    assert torch.equal(pool[10:], vectors[0, :, 0, :3].T)
    assert picks.shape == (len(queries), 6)
    assert picks.min() >= 10  # of class 0, all negatives are of class 1
    rows = vectors.permute(0, 2, 3, 1)[valid & (classes == 0)]
    assert all((rows == key).all(dim=1).any() for key in pool[:10])


@pytest.mark.parametrize("case", ["one class", "no valid pixel", "all ignored", "no image"])
def test_contrast_needs_two_classes(case):
    vectors, classes, valid, shares = scene(images=0 if case == "no image" else 2)
    vectors.requires_grad_()
    if case == "one class":
        classes[:] = 1
    if case == "all ignored":
        classes[:] = 255
    if case == "no valid pixel":
        valid[:] = False
    loss = anatomical_contrast(vectors, classes, valid, shares, seeded())
    loss.backward()
    assert loss.item() == 0
    assert (vectors.grad == 0).all()


def test_where_nothing_is_hard_contrast_is_zero():
    vectors, classes, valid, shares = scene()
    vectors.requires_grad_()
    shares = F.one_hot(classes, 3).permute(0, 3, 1, 2).double()
    loss = anatomical_contrast(vectors, classes, valid, shares, seeded())
    loss.backward()
    assert loss.item() == 0
    assert (vectors.grad == 0).all()


def test_a_pixel_at_the_threshold_is_not_hard():
    vectors, classes, valid, shares = scene()
    how = AnatomicalContrast(hard_below=0.25)
    for share, is_hard in ((0.25, False), (0.2499, True)):
        shares = torch.full_like(shares, share)
        loss = anatomical_contrast(vectors, classes, valid, shares, seeded(), how).item()
        assert (loss > 0) == is_hard


def test_classes_far_apart_cost_less_than_classes_that_are_alike():
    _, classes, valid, shares = scene(side=8)
    apart = F.one_hot(classes, 5).permute(0, 3, 1, 2).double()
    how = AnatomicalContrast(hard_below=1.1, temperature=0.1)
    alike = torch.ones_like(apart)
    losses = [
        anatomical_contrast(v, classes, valid, shares, seeded(), how).item() for v in (apart, alike)
    ]
    assert losses[0] == pytest.approx(math.log(1 + 512 * math.exp(-10)), abs=1e-9)
    assert losses[1] == pytest.approx(math.log(513), abs=1e-9)


def test_teacher_student_and_probabilities_of_half_precision_are_computed_in_full():
    vectors, classes, valid, shares = scene(side=8)
    half, sure, keys = vectors.bfloat16(), shares.bfloat16(), (2 * vectors).bfloat16()
    came = anatomical_contrast(half, classes, valid, sure, seeded(), keys=keys)
    wide = (half.float(), classes, valid, sure.float(), seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = anatomical_contrast(*wide[:-1], seeded(), keys=keys.float())
    due = anatomical_contrast(*wide, keys=keys.float())
    assert came.dtype == cast.dtype == torch.float32
    assert came == due == cast


def test_keys_and_probabilities_have_no_gradient():
    vectors, classes, valid, shares = scene()
    keys = draw(*vectors.shape, seed=9).requires_grad_()
    vectors.requires_grad_()
    shares.requires_grad_()
    anatomical_contrast(vectors, classes, valid, shares, seeded(), keys=keys).backward()
    assert keys.grad is shares.grad is None
    assert vectors.grad.abs().sum() > 0


def test_the_same_generator_draws_the_same():
    given = scene(side=16)
    how = AnatomicalContrast(queries=5, negatives=9)
    losses = [anatomical_contrast(*given, seeded(s), how).item() for s in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_inputs_that_do_not_fit_are_told():
    vectors, classes, valid, shares = scene()
    with pytest.raises(ValueError, match=r"classes of \(1, 4, 4\)"):
        anatomical_contrast(vectors, classes[:1], valid, shares, seeded())
    with pytest.raises(ValueError, match=r"keys of \(2, 2, 4, 4\)"):
        anatomical_contrast(vectors, classes, valid, shares, seeded(), keys=vectors[:, :2])
    with pytest.raises(ValueError, match="0 queries and 512 negatives"):
        AnatomicalContrast(queries=0)
