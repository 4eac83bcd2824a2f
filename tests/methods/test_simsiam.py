"""SimSiam: its loss by a slow oracle, where slopes go, and that collapse is seen."""

import math

import pytest
import torch

from napari_medssl.methods.siamese.trunk import EfficientNetLite0, normalise_pixels
from napari_medssl.methods.simsiam.losses import negative_cosine, simsiam_loss, spread
from napari_medssl.methods.simsiam.network import SimSiam


def rows(seed, count=5, dim=3):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def cosine(one, other):
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def test_the_loss_is_its_equation():
    """Number by number: each prediction beside the other view of the same image."""
    p1, p2, z1, z2 = (rows(seed).tolist() for seed in range(4))
    total = 0.0
    for image in range(5):
        total -= cosine(p1[image], z2[image]) / 2 + cosine(p2[image], z1[image]) / 2
    came = simsiam_loss((rows(0), rows(1)), (rows(2), rows(3)))
    assert float(came) == pytest.approx(total / 5, rel=1e-5)


def test_the_loss_is_symmetric_and_minds_no_length():
    p, z = (rows(0), rows(1)), (rows(2), rows(3))
    assert torch.equal(simsiam_loss(p, z), simsiam_loss(p[::-1], z[::-1]))
    assert float(simsiam_loss((3 * p[0], p[1]), (z[0], 0.1 * z[1]))) == pytest.approx(
        float(simsiam_loss(p, z)), rel=1e-5
    )
    assert float(negative_cosine(p[0], p[0])) == pytest.approx(-1)
    assert float(negative_cosine(p[0], -p[0])) == pytest.approx(1)


def test_no_slope_goes_through_the_projections():
    predicted, projected = rows(0).requires_grad_(), rows(1).requires_grad_()
    negative_cosine(predicted, projected).backward()
    assert predicted.grad.abs().sum() > 0
    assert projected.grad is None


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"due are two of \(B, D\)"):
        negative_cosine(rows(0), rows(1, dim=4))


def test_spread_is_one_of_even_embeddings_and_nothing_of_collapsed_ones():
    assert float(spread(rows(0, 4000, 64))) == pytest.approx(1, abs=0.02)
    assert float(spread(torch.ones(10, 64))) == 0
    assert float(spread(torch.ones(10, 64) + 0.01 * rows(0, 10, 64))) < 0.05
    one = rows(0, 7, 3)
    unit = torch.tensor([[v / math.sqrt(sum(x * x for x in r)) for v in r] for r in one.tolist()])
    assert float(spread(one)) == pytest.approx(float(unit.std(dim=0).mean()) * math.sqrt(3))


def test_without_its_stop_the_loss_would_have_a_slope_to_one_embedding():
    """What the stop is for: at p = z all slope is in the projections that it cuts off."""
    z1, z2 = rows(2).requires_grad_(), rows(3).requires_grad_()
    simsiam_loss((z1, z2), (z1, z2)).backward()
    stopped = z1.grad.clone()
    z1.grad = None
    (-torch.nn.functional.cosine_similarity(z1, z2, dim=1).mean()).backward()
    assert torch.allclose(2 * stopped, z1.grad, atol=1e-6)  # half of it went through each side


def test_the_heads_lie_on_the_trunk_of_the_baseline():
    torch.manual_seed(0)
    network = SimSiam(EfficientNetLite0(), dim=16).eval()
    views = torch.rand(3, 3, 32, 32)
    p, z = network(views)
    assert p.shape == z.shape == (3, 16)
    embedded = network.trunk(normalise_pixels(views * 255))
    assert torch.equal(z, network.projector(embedded))
    assert network.predictor[0].out_features == 4  # a quarter


def test_running_statistics_can_follow_batches():
    torch.manual_seed(0)
    trunk = EfficientNetLite0().train()
    trunk.follow_batches(1.0)
    pixels = torch.randn(4, 3, 32, 32)
    out = trunk.stem[0](pixels)
    trunk(pixels)
    assert torch.allclose(trunk.stem[1].running_mean, out.mean(dim=(0, 2, 3)), atol=1e-5)
