"""Losses of the panel detector against slow versions written from their equations."""

from __future__ import annotations

import math

import pytest
import torch

from napari_medssl.methods.simcfs import losses
from napari_medssl.methods.simcfs.detector import LossWeights, detection_loss, propose
from napari_medssl.methods.simcfs.network import NetworkConfig, PanelNetwork, boxes_of


def random_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + 4 + torch.rand(count, 2, generator=generator) * 40), dim=1)


def slow_side_loss(p: list[float], g: list[float], unit_x: float, unit_y: float) -> float:
    return (
        max(0.0, g[0] - p[0]) / unit_x
        + max(0.0, g[1] - p[1]) / unit_y
        + max(0.0, p[2] - g[2]) / unit_x
        + max(0.0, p[3] - g[3]) / unit_y
    )


@pytest.mark.parametrize("stride", [8.0, 16.0, 32.0])
def test_side_loss_is_the_published_sum_in_grid_cells(stride):
    predicted, target = random_boxes(50, 0), random_boxes(50, 1)
    fast = losses.side_loss(predicted, target, torch.full((50, 1), stride))
    slow = [
        slow_side_loss(p, g, stride, stride)
        for p, g in zip(predicted.tolist(), target.tolist(), strict=True)
    ]
    assert torch.allclose(fast, torch.tensor(slow), atol=1e-5)


def test_side_loss_in_panel_sizes_does_not_change_with_scale():
    predicted, target = random_boxes(50, 2), random_boxes(50, 3)
    once = losses.side_loss(predicted, target, target[:, 2:] - target[:, :2])
    thrice = losses.side_loss(3 * predicted, 3 * target, 3 * (target[:, 2:] - target[:, :2]))
    assert torch.allclose(once, thrice, atol=1e-5)


def test_side_loss_costs_nothing_inside_the_panel():
    inside, panel = torch.tensor([[2.0, 2, 8, 8]]), torch.tensor([[0.0, 0, 9, 9]])
    assert losses.side_loss(inside, panel, torch.ones(1, 1)).item() == 0
    assert losses.side_loss(panel, inside, torch.ones(1, 1)).item() == 6


def slow_iou(a: list[float], b: list[float]) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union


def slow_complete_iou(a: list[float], b: list[float]) -> float:
    iou = slow_iou(a, b)
    distance = ((a[0] + a[2]) / 2 - (b[0] + b[2]) / 2) ** 2 + (
        (a[1] + a[3]) / 2 - (b[1] + b[3]) / 2
    ) ** 2
    diagonal = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    angle = math.atan((b[2] - b[0]) / (b[3] - b[1])) - math.atan((a[2] - a[0]) / (a[3] - a[1]))
    v = 4 / math.pi**2 * angle**2
    return iou - distance / diagonal - v * v / (1 - iou + v)


def test_complete_iou_loss_follows_its_equation():
    predicted, target = random_boxes(60, 4), random_boxes(60, 5)
    fast = losses.complete_iou_loss(predicted, target)
    pairs = zip(predicted.tolist(), target.tolist(), strict=True)
    slow = [1 - slow_complete_iou(a, b) for a, b in pairs]
    assert torch.allclose(fast, torch.tensor(slow), atol=1e-4)


def test_complete_iou_loss_of_the_same_box_is_zero():
    boxes = random_boxes(10, 6)
    assert losses.complete_iou_loss(boxes, boxes).abs().max() < 1e-5


def test_side_distribution_loss_follows_its_equation():
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(20, 4, 9, generator=generator)
    distance = torch.rand(20, 4, generator=generator) * 7.9
    fast = losses.side_distribution_loss(logits, distance)
    for n in range(20):
        total = 0.0
        for side in range(4):
            p = torch.softmax(logits[n, side], 0)
            y = float(distance[n, side])
            low = math.floor(y)
            total -= (low + 1 - y) * math.log(p[low]) + (y - low) * math.log(p[low + 1])
        assert fast[n].item() == pytest.approx(total / 4, abs=1e-4)


def test_score_loss_is_binary_cross_entropy():
    logits, quality = torch.tensor([0.3, -2.0]), torch.tensor([0.8, 0.0])
    slow = 0.0
    for x, q in zip(logits.tolist(), quality.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        slow -= q * math.log(p) + (1 - q) * math.log(1 - p)
    assert losses.score_loss(logits, quality).item() == pytest.approx(slow, abs=1e-5)


def test_boxes_of_a_certain_distribution_are_exact():
    sides = torch.full((1, 1, 4, 8), -50.0)
    for side, distance in enumerate((1, 2, 3, 4)):
        sides[0, 0, side, distance] = 50.0
    box = boxes_of(sides, torch.tensor([[40.0, 40.0, 8.0]]))
    assert box.tolist() == [[[32.0, 24.0, 64.0, 72.0]]]


@pytest.fixture
def network() -> PanelNetwork:
    torch.manual_seed(0)
    return PanelNetwork(NetworkConfig(width=8, depth=1, bins=12))


def test_the_network_gives_a_score_and_a_box_for_every_cell(network):
    scores, sides, cells = network(torch.zeros(2, 3, 96, 64))
    count = 12 * 8 + 6 * 4 + 3 * 2
    assert scores.shape == (2, count)
    assert sides.shape == (2, count, 4, 12)
    assert cells.shape == (count, 3)
    assert cells[0].tolist() == [4.0, 4.0, 8.0]
    assert cells[-1].tolist() == [48.0, 80.0, 32.0]


@pytest.mark.parametrize("unit", ["off", "cell", "panel"])
def test_loss_is_finite_and_reaches_every_weight(network, unit):
    targets = [torch.tensor([[4.0, 4, 60, 40], [4, 50, 60, 90]]), torch.zeros(0, 4)]
    loss, values = detection_loss(
        network, torch.rand(2, 3, 96, 64), targets, LossWeights(side_unit=unit)
    )
    loss.backward()
    assert math.isfinite(values["loss"])
    assert (values["side"] > 0) == (unit != "off")
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_batch_without_any_panel_trains_the_scores_alone(network):
    loss, values = detection_loss(
        network, torch.rand(1, 3, 64, 64), [torch.zeros(0, 4)], LossWeights()
    )
    assert values["box"] == values["distribution"] == values["side"] == 0
    assert loss.item() > 0


def test_an_unknown_side_unit_is_refused(network):
    with pytest.raises(ValueError, match="'grid' is none of 'off', 'cell', 'panel'"):
        detection_loss(
            network, torch.zeros(1, 3, 32, 32), [torch.zeros(0, 4)], LossWeights(side_unit="grid")
        )


def test_the_detector_learns_one_figure(network):
    """A few steps on one figure with two panels find both: loss, assignment and boxes agree."""
    image = torch.ones(1, 3, 96, 128)
    targets = torch.tensor([[8.0, 8, 56, 88], [72.0, 8, 120, 88]])
    for x0, y0, x1, y1 in targets.int().tolist():
        image[0, :, y0:y1, x0:x1] = torch.rand(3, y1 - y0, x1 - x0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(60):
        loss, _ = detection_loss(network, image, [targets], LossWeights())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    boxes, scores = propose(network, image[0], score=0.3)
    assert len(scores)
    overlap = losses.box_iou(torch.from_numpy(boxes)[:, None], targets[None])
    assert (overlap.amax(dim=0) > 0.8).all()


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="width 12 is not a multiple of 8"):
        NetworkConfig(width=12)
