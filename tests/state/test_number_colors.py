"""Colours of points by a number."""

from __future__ import annotations

import numpy as np

from napari_medssl.state.number_colors import NumberColors, number_colors


def test_the_ends_have_the_first_and_last_colour() -> None:
    found = number_colors(np.array([0.0, 1.0, -5.0, 9.0]), 0.0, 1.0)
    assert found.dtype == np.uint8
    assert (found[0] == found[2]).all()
    assert (found[1] == found[3]).all()
    assert found[0].tolist() == [68, 1, 84]
    assert found[1].tolist() == [253, 231, 37]


def test_brightness_grows_with_the_number() -> None:
    found = number_colors(np.linspace(0, 1, 50), 0.0, 1.0).astype(float)
    brightness = found @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > 0).all()


def test_what_is_no_number_is_grey_and_one_outlier_does_not_take_all_colours() -> None:
    values = np.concatenate([np.linspace(0, 1, 999), [1e9]])
    values[0] = np.nan
    colors = NumberColors(values)
    found = colors.colors()
    assert found[0].tolist() == [128, 128, 128]
    assert len(np.unique(found[1:-1], axis=0)) > 200
    assert colors.shown().all()


def test_equal_numbers_and_none_have_a_colour() -> None:
    assert NumberColors(np.full(4, 3.0)).colors().shape == (4, 3)
    assert NumberColors(np.full(4, np.nan)).colors().tolist() == [[128] * 3] * 4
    assert NumberColors(np.zeros(0)).colors().shape == (0, 3)
