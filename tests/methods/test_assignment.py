"""Task-aligned assignment against a slow version written from its description."""

from __future__ import annotations

import torch

from napari_medssl.methods.simcfs.assignment import assign
from napari_medssl.methods.simcfs.losses import box_iou


def make_cells(size: int = 64, stride: int = 8) -> torch.Tensor:
    steps = torch.arange(stride / 2, size, stride)
    return torch.tensor([[float(x), float(y), float(stride)] for y in steps for x in steps])


def slow_assign(scores, boxes, cells, targets, top, alpha, beta):
    """Panel and quality of every cell, by plain loops."""
    count, panels = len(cells), len(targets)
    metric = [[0.0] * count for _ in range(panels)]
    iou = [[0.0] * count for _ in range(panels)]
    for m, (x0, y0, x1, y1) in enumerate(targets.tolist()):
        inside = [n for n, (x, y, _) in enumerate(cells.tolist()) if x0 < x < x1 and y0 < y < y1]
        if not inside:
            cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
            inside = [
                min(range(count), key=lambda n: (cells[n, 0] - cx) ** 2 + (cells[n, 1] - cy) ** 2)
            ]
        for n in inside:
            iou[m][n] = box_iou(boxes[n], targets[m]).item()
            metric[m][n] = scores[n].item() ** alpha * iou[m][n] ** beta
    panel = [-1] * count
    for n in range(count):
        best = -1.0
        for m in range(panels):
            ranked = sorted(range(count), key=lambda k: -metric[m][k])[:top]
            if n in ranked and metric[m][n] > 1e-12 and iou[m][n] > best:
                panel[n], best = m, iou[m][n]
    quality = [0.0] * count
    for m in range(panels):
        mine = [n for n in range(count) if panel[n] == m]
        if mine:
            highest = max(metric[m][n] for n in mine)
            widest = max(iou[m][n] for n in mine)
            for n in mine:
                quality[n] = metric[m][n] * widest / (highest + 1e-12)
    return panel, quality


def test_assignment_equals_the_slow_version():
    generator = torch.Generator().manual_seed(0)
    cells = make_cells()
    for _ in range(5):
        scores = torch.rand(len(cells), generator=generator)
        corner = cells[:, :2] - torch.rand(len(cells), 2, generator=generator) * 25
        boxes = torch.cat(
            (corner, corner + 10 + torch.rand(len(cells), 2, generator=generator) * 40), 1
        )
        targets = torch.tensor(
            [[2.0, 2, 30, 60], [34.0, 4, 62, 30], [20.0, 20, 50, 50], [41.0, 57, 43, 59]]
        )
        fast = assign(scores, boxes, cells, targets, top=4)
        panel, quality = slow_assign(scores, boxes, cells, targets, 4, 0.5, 6.0)
        assert fast.panel.tolist() == panel
        assert torch.allclose(fast.quality, torch.tensor(quality), atol=1e-5)


def test_without_panels_nothing_is_assigned():
    cells = make_cells()
    given = assign(torch.rand(len(cells)), torch.zeros(len(cells), 4), cells, torch.zeros(0, 4))
    assert (given.panel == -1).all()
    assert (given.quality == 0).all()


def test_a_panel_smaller_than_a_cell_keeps_its_nearest_cell():
    cells = make_cells()
    boxes = torch.tensor([[9.0, 9.0, 11.0, 11.0]]).repeat(len(cells), 1)
    given = assign(
        torch.full((len(cells),), 0.5), boxes, cells, torch.tensor([[9.0, 9.0, 11.0, 11.0]])
    )
    assert (given.panel >= 0).sum() == 1
    assert cells[given.panel.argmax()].tolist() == [12.0, 12.0, 8.0]
