"""A mask put into a Labels layer is one step of napari's undo, and a small one."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_medssl.widgets.segmentation.mask_step import put_as_step

SIZE = (40, 60)


def random_mask(seed):
    return np.random.default_rng(seed).integers(0, 4, SIZE).astype(np.uint8)


@pytest.fixture
def layer():
    return Labels(random_mask(0))


def test_undo_takes_a_mask_back_among_strokes_and_redo_brings_it_again(layer):
    states = [layer.data.copy()]
    steps = (
        lambda: layer.paint((10, 10), 3),
        lambda: put_as_step(layer, random_mask(1)),
        lambda: layer.paint_polygon([(2, 2), (2, 50), (30, 20)], 1),
        lambda: put_as_step(layer, np.zeros(SIZE, np.uint8)),
        lambda: layer.fill((0, 0), 2),
        lambda: layer.data_setitem((np.array([5, 6]), np.array([7, 8])), 1),
    )
    for step in steps:
        step()
        states.append(layer.data.copy())
    for due in states[-2::-1]:
        layer.undo()
        assert (layer.data == due).all()
    layer.undo()  # there is nothing left
    assert (layer.data == states[0]).all()
    for due in states[1:]:
        layer.redo()
        assert (layer.data == due).all()


def test_the_step_is_the_rectangle_that_changed(layer):
    former, mask = layer.data.copy(), layer.data.copy()
    mask[3:7, 20:31] += 1
    put_as_step(layer, mask)
    ((box, before, now),) = layer._undo_history[-1]
    assert box == (slice(3, 7), slice(20, 31))
    assert (before == former[box]).all()
    assert (now == mask[box]).all()
    mask[...] = 9  # the history has pixels of its own
    layer.undo()
    layer.redo()
    assert (layer.data[box] == former[box] + 1).all()


def test_what_a_layer_shows_already_is_no_step(layer):
    put_as_step(layer, layer.data.copy())
    assert not layer._undo_history


def test_a_mask_that_comes_during_a_stroke_goes_with_it(layer):
    former = layer.data.copy()
    with layer.block_history():
        layer.paint((10, 10), 3)
        put_as_step(layer, random_mask(1))
        layer.paint((20, 20), 2)
    layer.undo()
    assert (layer.data == former).all()


def test_others_hear_of_it_as_of_any_stroke(layer):
    heard = []
    layer.events.paint.connect(lambda event: heard.append(layer.data.copy()))
    put_as_step(layer, random_mask(1))
    (seen,) = heard
    assert (seen == random_mask(1)).all()


class OtherHistory:
    """A layer as of a napari that keeps its history in another way."""

    def __init__(self) -> None:
        self.data = random_mask(0)

    def data_setitem(self, indices, value):
        self.data[indices] = value


def test_where_napari_keeps_its_history_otherwise_its_public_way_is_used():
    layer = OtherHistory()
    put_as_step(layer, random_mask(1))
    assert (layer.data == random_mask(1)).all()


def test_an_unsigned_mask_fits_a_layer_of_larger_numbers():
    layer = Labels(random_mask(0).astype(np.int32))
    put_as_step(layer, random_mask(1))
    assert layer.data.dtype == np.int32
    layer.undo()
    assert (layer.data == random_mask(0)).all()
