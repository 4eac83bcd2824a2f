"""The losses of local discrimination against their equations, one number at a time."""

import math

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.averaging import (
    bell,
    cell_embeddings,
    centre_average,
    coarse_embeddings,
)
from napari_medssl.methods.local_discrimination.collapse import cluster_report
from napari_medssl.methods.local_discrimination.losses import (
    LossWeights,
    area_penalty,
    assignment_entropy,
    hypersphere_mixup,
    patch_discrimination,
    region_discrimination,
    region_embeddings,
)


def unit(*shape, seed=1, dim=-1):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.double), dim=dim)


def soft(*shape, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.double).softmax(dim=1)


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def length_one(a):
    size = math.sqrt(dot(a, a))
    return [p / size for p in a]


def slow_patch_discrimination(first, second, t):
    """Equations 1 and 2."""
    v = first.tolist() + second.tolist()
    n, half = len(v), len(first)

    def p(i, j):
        below = sum(math.exp(dot(v[i], v[k]) / t) for k in range(n) if k != i)
        return math.exp(dot(v[i], v[j]) / t) / below

    total = 0.0
    for i in range(n):
        twin = (i + half) % n
        total += math.log(p(i, twin))
        total += sum(math.log(1 - p(i, j)) for j in range(n) if j not in (i, twin))
    return -total / n


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_patch_discrimination_is_equation_2(temperature):
    first, second = unit(7, 5, seed=1), unit(7, 5, seed=2)
    came = patch_discrimination(first, second, temperature).item()
    assert came == pytest.approx(slow_patch_discrimination(first, second, temperature), abs=1e-9)


def test_keys_of_patch_discrimination_carry_no_gradient():
    """The slope is that of the queries alone, by finite differences with the keys held."""
    first, second = unit(3, 4, seed=1), unit(3, 4, seed=2)
    keys = torch.cat([first, second])

    def loss_with_keys_held(queries):
        logits = queries @ keys.T / 0.1
        itself = torch.eye(6, dtype=torch.bool)
        p = logits.masked_fill(itself, -math.inf).softmax(dim=1)
        twin = itself.roll(3, dims=1)
        return -(p[twin].log() + (1 - p).log().where(~(twin | itself), 0).sum(1)).mean()

    queries = keys.clone().requires_grad_()
    loss_with_keys_held(queries).backward()
    cells = keys.clone().requires_grad_()
    patch_discrimination(*cells.chunk(2)).backward()
    assert torch.allclose(cells.grad, queries.grad, atol=1e-8)


def test_patch_discrimination_stays_finite_where_another_cell_is_the_twin():
    """The worst there is: every cell lies on its neighbour and opposite to its twin."""
    first = torch.tensor([[1.0, 0], [1.0, 0]], requires_grad=True)
    loss = patch_discrimination(first, -first.detach(), temperature=0.01)
    loss.backward()
    assert loss.isfinite()
    assert first.grad.isfinite().all()


def test_hypersphere_mixup_is_equation_3():
    mixed, first, second = (unit(2, 4, 5, seed=seed) for seed in (1, 2, 3))
    share = torch.tensor([0.3, 0.7], dtype=torch.double)
    targets = [
        length_one([s * p + (1 - s) * q for p, q in zip(a, b, strict=True)])
        for one, other, s in zip(first.tolist(), second.tolist(), share.tolist(), strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    due = slow_patch_discrimination(
        mixed.flatten(0, 1), torch.tensor(targets, dtype=torch.double), 0.1
    )
    assert hypersphere_mixup(mixed, first, second, share).item() == pytest.approx(due, abs=1e-9)


def test_the_target_of_mixup_stays_put():
    mixed, first, second = (unit(1, 4, 5, seed=seed).requires_grad_() for seed in (1, 2, 3))
    hypersphere_mixup(mixed, first, second, torch.tensor([0.5]).double()).backward()
    assert first.grad is None
    assert second.grad is None
    assert mixed.grad.abs().sum() > 0


def test_region_embeddings_are_equation_4():
    v, a = unit(2, 3, 4, 5, dim=1), soft(2, 6, 4, 5)
    came = region_embeddings(v, a)
    for n in range(2):
        for k in range(6):
            mean = [
                sum(a[n, k, y, x].item() * v[n, d, y, x].item() for y in range(4) for x in range(5))
                / 20
                for d in range(3)
            ]
            assert came[n, k].tolist() == pytest.approx(length_one(mean), abs=1e-9)


def test_region_discrimination_is_equation_5():
    t = unit(3, 4, 5)
    prototypes = [
        length_one([sum(t[n, k, d].item() for n in range(3)) / 3 for d in range(5)])
        for k in range(4)
    ]
    total = 0.0
    for n in range(3):
        for k in range(4):
            scores = [math.exp(dot(t[n, k].tolist(), p) / 0.2) for p in prototypes]
            total += math.log(scores[k] / sum(scores))
    assert region_discrimination(t).item() == pytest.approx(-total / 12, abs=1e-9)


def test_prototypes_carry_gradient():
    """Two images: the second one's regions get a slope through the prototypes they share."""
    t = unit(2, 3, 4).requires_grad_()
    logits_of_first = region_discrimination(torch.cat([t[:1], t[1:].detach()]))
    whole = region_discrimination(t)
    (slope,) = torch.autograd.grad(whole, t)
    (part,) = torch.autograd.grad(logits_of_first, t)
    assert not torch.allclose(slope[1], part[1])
    assert whole.item() == pytest.approx(logits_of_first.item())


def test_assignment_entropy_is_equation_6():
    a = soft(2, 3, 4, 5)
    total = sum(-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in a.flatten().tolist())
    assert assignment_entropy(a).item() == pytest.approx(total / a.numel(), abs=1e-9)
    half = torch.full((1, 2, 3, 3), 0.5)
    assert assignment_entropy(half).item() == pytest.approx(1)


def test_assignment_entropy_of_certain_pixels_has_a_finite_slope():
    a = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    loss = assignment_entropy(a)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-4)
    assert a.grad.isfinite().all()


def test_area_penalty_is_equation_7_and_has_its_limits():
    a = soft(2, 3, 4, 5)
    areas = [a[:, k].mean().item() for k in range(3)]
    due = 3 * sum((area - 1 / 3) ** 2 for area in areas)
    assert area_penalty(a).item() == pytest.approx(due, abs=1e-9)
    one_has_all = torch.zeros(1, 4, 3, 3)
    one_has_all[:, 0] = 1
    assert area_penalty(one_has_all).item() == pytest.approx(3)
    assert area_penalty(torch.full((1, 4, 3, 3), 0.25)).item() == pytest.approx(0)


def test_the_published_weights_are_the_defaults():
    weights = LossWeights()
    assert (weights.patch, weights.mix, weights.region, weights.entropy) == (1, 1, 10, 0.1)
    assert weights.area == 0


@pytest.mark.parametrize("size", [4, 5])
def test_a_bell_is_a_gaussian_and_flat_without_sigma(size):
    middle = (size - 1) / 2
    raw = [math.exp(-(((k - middle) / size) ** 2) / (2 * 0.25**2)) for k in range(size)]
    assert bell(size, 0.25).tolist() == pytest.approx([r / sum(raw) for r in raw])
    assert bell(size, None).tolist() == pytest.approx([1 / size] * size)


@pytest.mark.parametrize("sigma", [None, 0.2])
def test_cells_are_weighted_averages_of_their_pixels(sigma):
    v = unit(2, 3, 8, 12, dim=1)
    came = cell_embeddings(v, grid=4, sigma=sigma)
    down, across = bell(2, sigma).tolist(), bell(3, sigma).tolist()
    for cell in range(16):
        y0, x0 = cell // 4 * 2, cell % 4 * 3
        total = [
            sum(
                down[y] * across[x] * v[1, d, y0 + y, x0 + x].item()
                for y in range(2)
                for x in range(3)
            )
            for d in range(3)
        ]
        assert came[1, cell].tolist() == pytest.approx(length_one(total), abs=1e-6)


def test_a_bell_hears_the_middle_of_a_cell():
    v = torch.zeros(1, 2, 9, 9)
    v[:, 0] = 1
    v[:, :, 4, 4] = torch.tensor([0.0, 1.0])
    flat, centred = (cell_embeddings(v, grid=1, sigma=s)[0, 0, 1] for s in (None, 0.15))
    assert centred > 3 * flat


@pytest.mark.parametrize("sigma", [None, 0.25])
def test_the_average_around_a_pixel_is_of_its_window(sigma):
    v = unit(1, 3, 6, 7, dim=1)
    came = centre_average(v, 5, sigma)
    weights = bell(5, sigma).tolist()
    for y, x in ((3, 3), (0, 6)):
        total = [
            sum(
                weights[i] * weights[j] * v[0, d, y + i - 2, x + j - 2].item()
                for i in range(5)
                for j in range(5)
                if 0 <= y + i - 2 < 6 and 0 <= x + j - 2 < 7
            )
            for d in range(3)
        ]
        assert came[0, :, y, x].tolist() == pytest.approx(length_one(total), abs=1e-6)


def test_coarse_embeddings_are_flat_cells():
    v = unit(1, 3, 8, 8, dim=1)
    coarse = coarse_embeddings(v, 2)
    assert torch.allclose(coarse.flatten(2).mT, cell_embeddings(v, 4, None), atol=1e-6)
    assert coarse_embeddings(unit(1, 3, 7, 5, dim=1), 2).shape == (1, 3, 4, 3)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="due are two of"):
        patch_discrimination(unit(3, 4), unit(2, 4))
    with pytest.raises(ValueError, match="not of the same pixels"):
        region_embeddings(unit(1, 2, 4, 4), soft(1, 2, 4, 5))
    with pytest.raises(ValueError, match="no 8 x 8 even cells"):
        cell_embeddings(unit(1, 2, 12, 16))
    with pytest.raises(ValueError, match="due is an odd number"):
        centre_average(unit(1, 2, 12, 16), 4)
    with pytest.raises(ValueError, match="due are more than 0"):
        bell(3, 0.0)


def regions_of(owner, count):
    """Return certain assignments, shape (1, K, H, W), of a map of owners."""
    return F.one_hot(torch.as_tensor(owner), count).permute(2, 0, 1)[None].float()


def test_healthy_regions_have_nothing_to_report():
    report = cluster_report(regions_of(torch.arange(64).view(8, 8) % 4, 4))
    assert report.areas == (0.25,) * 4
    assert (report.used, report.dead, report.shared, report.lines()) == (4, (), (), ())


def test_a_dead_region_is_told():
    report = cluster_report(regions_of(torch.arange(64).view(8, 8) % 3, 4))
    assert report.dead == (3,)
    assert report.lines() == ("1 of 4 regions own no pixels: 3.",)
    assert not report.has_collapsed


def test_a_collapse_is_told():
    report = cluster_report(regions_of(torch.zeros(8, 8, dtype=torch.long), 4))
    assert report.has_collapsed
    assert report.lines()[0] == "The regions have collapsed: one of them takes every pixel."


def test_regions_that_share_their_pixels_are_told():
    """Regions 0 and 1 both have half of the left side, region 2 has the right one."""
    shares = torch.zeros(1, 3, 8, 8)
    shares[:, 0, :, :4] = torch.linspace(0.45, 0.55, 8)[:, None]
    shares[:, 1, :, :4] = 1 - shares[:, 0, :, :4]
    shares[:, 2, :, 4:] = 1
    report = cluster_report(shares)
    assert report.shared == ((0, 1),)
    assert report.lines() == ("Regions share their pixels: 0 and 1.",)
