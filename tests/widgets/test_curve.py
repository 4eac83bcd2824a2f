"""What the curve of a training says of values that are next to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medssl.widgets._curve import LossCurve

pytestmark = pytest.mark.gui


@pytest.fixture
def curve(qtbot):
    curve = LossCurve()
    qtbot.addWidget(curve)
    curve.begin({"loss": "all losses", "pseudo": "its own guesses"})
    return curve


def test_each_curve_has_the_height_of_its_own_maximum(curve):
    for step, (loss, pseudo) in enumerate([(0.8, 0.0), (0.4, 0.002)], start=1):
        curve.add(step, 2, {"loss": loss, "pseudo": pseudo})
    assert curve.top("loss") == 0.8
    assert curve.words("loss") == "all losses 0.76"  # the running mean
    curve.grab()


def test_noise_about_nothing_lies_at_the_foot_and_is_not_told_in_powers_of_ten(curve):
    curve.add(1, 2, {"pseudo": 0.0})
    assert curve.words("pseudo") == "its own guesses 0"
    curve.add(2, 2, {"pseudo": 1.4e-8})
    assert curve.top("pseudo") == 0.001
    assert curve.words("pseudo") == "its own guesses < 0.001"
    curve.grab()


def test_a_long_training_is_drawn_of_few_points_that_lie_evenly(curve):
    """Thousands take Qt so long to draw that the window stands still."""
    steps = 10_000
    for step in range(1, steps + 1):
        curve.add(step, steps, {"loss": 1.0 + step % 7})
    drawn = np.array([step for step, _ in curve.points("loss")])
    assert (drawn[0], drawn[-1]) == (1, steps)
    assert len(drawn) <= 202
    assert np.diff(drawn).max() <= 2 * steps / 200
    curve.grab()


def test_steps_beyond_those_that_were_told_do_not_add_up(curve):
    """A training that is given minutes learns how many steps it has."""
    for step in range(1, 5001):
        curve.add(step, max(100, 2 * step), {"loss": 1.0})
    drawn = [step for step, _ in curve.points("loss")]
    assert (drawn[0], drawn[-1]) == (1, 5000)
    assert drawn == sorted(drawn)
    assert len(drawn) <= 400
