"""When the classes that are found stay the same, and the way down that follows."""

import math

import pytest
import torch

from napari_medssl.methods.action.settling import LOOKS, Settling, changed, ending_rate

SIDE = 20


def square(side, shift=0, number=1):
    """Return one image with a square of a class, shape (1, 20, 20)."""
    classes = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    classes[:, 2 : 2 + side, 2 + shift : 2 + shift + side] = number
    return classes


def looked(pictures, losses):
    """Return the settling after looks, and what the last one returned."""
    settling = Settling(1, SIDE)
    change = None
    for picture, loss in zip(pictures, losses, strict=True):
        for part in (0.5, 1.5):  # the mean counts
            settling.add_loss(loss * part)
        change = settling.look(picture)
    return settling, change


def test_changed_pixels_are_counted_among_those_where_something_is_found():
    """A square of 10 x 10 moved by one: 20 pixels of 110, however large the picture."""
    assert changed(square(10), square(10)) == 0
    assert changed(square(10), square(10, shift=1)) == pytest.approx(20 / 110)
    assert changed(square(10), square(10, number=2)) == 1
    assert changed(square(10), square(0)) == 1


def test_nothing_found_has_not_settled():
    """A network that calls all the rest has yet to begin."""
    settling, change = looked([square(0)] * LOOKS, [1.0] * LOOKS)
    assert change == 1
    assert not settling.has_settled(change)


def test_four_alike_have_settled_and_three_have_not():
    for looks in range(1, LOOKS + 2):
        settling, change = looked([square(10)] * looks, [1.0] * looks)
        assert change == (0 if looks >= LOOKS else None)
    assert settling.has_settled(change)


def test_slow_drift_is_change():
    """The newest is compared with each of the last three, not with the one before alone."""
    settling, change = looked([square(10, shift) for shift in range(4)], [1.0] * 4)
    assert change == pytest.approx(60 / 130)
    assert not settling.has_settled(change)


@pytest.mark.parametrize(("last", "settled"), [(0.85, False), (0.95, True), (1.2, True)])
def test_a_loss_that_falls_is_waited_for(last, settled):
    settling, change = looked([square(10)] * 4, [1.0, 1.0, 1.0, last])
    assert float(settling.losses[0]) == pytest.approx(last)
    assert settling.has_settled(change) == settled


def test_its_state_goes_on_in_another():
    """As after a resume, in the middle of the steps between two looks."""
    one, _ = looked([square(10), square(10, 1), square(10)], [3.0, 2.0, 1.0])
    one.add_loss(2.0)
    other = Settling(1, SIDE)
    other.load_state_dict(one.state_dict())
    made = []
    for settling in (one, other):
        settling.add_loss(4.0)
        made.append((settling.look(square(10)), float(settling.losses[0])))
    assert made[0] == made[1]
    assert made[0] == (pytest.approx(20 / 110), 3.0)


def test_the_way_down_is_half_a_cosine():
    assert ending_rate(30, 30, 40, 1.0, 0.02) == 1
    assert ending_rate(35, 30, 40, 1.0, 0.02) == pytest.approx(0.51)
    assert ending_rate(40, 30, 40, 1.0, 0.02) == pytest.approx(0.02)
    due = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * 0.7))
    assert ending_rate(37, 30, 40, 1.0, 0.02) == pytest.approx(due)
