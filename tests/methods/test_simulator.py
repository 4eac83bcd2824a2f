"""The figure simulator: deterministic, true boxes, every layout."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medssl.methods.simcfs.layout import draw_layout, in_reading_order
from napari_medssl.methods.simcfs.pool import Pool, made_textures
from napari_medssl.methods.simcfs.simulator import Simulator, SimulatorConfig
from napari_medssl.methods.simcfs.suppress import intersection


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(made_textures(seed=1, per_class=2, size=96))


@pytest.fixture(scope="module")
def figures(pool):
    simulator = Simulator(pool)
    return [simulator.figure(seed) for seed in range(120)]


def test_a_seed_gives_the_same_figure(pool):
    one, other = Simulator(pool).figure(5), Simulator(pool).figure(5)
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.boxes, other.boxes)
    assert one.letters == other.letters


def test_textures_are_the_same_for_a_seed():
    one, other = made_textures(3, 1, 32), made_textures(3, 1, 32)
    assert all(np.array_equal(one[name][0], other[name][0]) for name in one)


def test_boxes_lie_in_the_image_and_have_a_size(figures):
    for figure in figures:
        height, width = figure.image.shape[:2]
        assert figure.image.dtype == np.uint8
        assert len(figure.boxes) == len(figure.letters) > 0
        assert (figure.boxes[:, :2] >= 0).all()
        assert (figure.boxes[:, 2] <= width).all()
        assert (figure.boxes[:, 3] <= height).all()
        assert (figure.boxes[:, 2:] - figure.boxes[:, :2] >= 6).all()


def test_panels_do_not_overlap(figures):
    for figure in figures:
        area = np.prod(figure.boxes[:, 2:] - figure.boxes[:, :2], axis=1)
        share = intersection(figure.boxes, figure.boxes) / area[:, None]
        np.fill_diagonal(share, 0)
        assert share.max() < 0.2


def test_all_kinds_of_figures_occur(figures):
    counts = np.array([len(f.boxes) for f in figures])
    assert 0.1 < (counts == 1).mean() < 0.35
    assert counts.max() > 12
    assert any(f.image[0, 0].sum() < 100 for f in figures)
    assert any(f.letters[0] for f in figures)
    assert any(not f.letters[0] for f in figures)


def test_most_panels_is_kept(pool):
    simulator = Simulator(pool, SimulatorConfig(most_panels=3, single=0.0))
    assert max(len(simulator.figure(seed).boxes) for seed in range(30)) <= 3


def test_without_intra_class_no_photographs_touch(pool):
    """The ablation's switch: with it off, neighbouring panels always leave a gap."""
    simulator = Simulator(pool, SimulatorConfig(single=0.0, intra_class=False))
    for seed in range(40):
        boxes = simulator.figure(seed).boxes
        if len(boxes) > 1:
            same_row = np.abs(boxes[:, None, 1] - boxes[None, :, 1]) < 2
            gap = boxes[None, :, 0] - boxes[:, None, 2]
            assert not (same_row & (np.abs(gap) < 0.3)).any()


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match="holds no image"):
        Simulator(Pool({}))


@pytest.mark.parametrize("kind", ["grid", "rows", "columns", "irregular", "nested"])
@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_cells_of_a_layout_do_not_overlap(kind, count):
    for seed in range(10):
        layout = draw_layout(np.random.default_rng(seed), kind, 800.0, count, 6.0)
        cells = np.array(layout.cells)
        assert count - 1 <= len(cells) <= count + 8
        assert (cells[:, 2:] > cells[:, :2]).all()
        shared = intersection(cells, cells)
        np.fill_diagonal(shared, 0)
        assert shared.max() < 1e-6


def test_panels_of_a_row_share_their_height():
    layout = draw_layout(np.random.default_rng(0), "rows", 800.0, 9, 10.0)
    tops = {round(cell[1], 3) for cell in layout.cells}
    for top in tops:
        heights = {round(c[3] - c[1], 3) for c in layout.cells if round(c[1], 3) == top}
        assert len(heights) == 1


def test_reading_order_is_by_rows():
    cells = ((100, 0, 190, 90), (0, 100, 90, 190), (0, 2, 90, 92))
    assert in_reading_order(cells) == ((0, 2, 90, 92), (100, 0, 190, 90), (0, 100, 90, 190))
