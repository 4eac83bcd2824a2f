"""Lines and strips that the pixels suggest."""

from __future__ import annotations

import numpy as np

from napari_medssl.io.boxes import Box
from napari_medssl.state.snapping import blank_strips, ink_lines


def two_panels() -> np.ndarray:
    ink = np.zeros((60, 100), bool)
    ink[10:50, 5:40] = True
    ink[10:50, 46:95] = True
    return ink


def test_lines_are_where_ink_begins_and_ends():
    assert ink_lines(two_panels(), Box(0, 12, 100, 40), "x") == [5, 40, 46, 95]
    assert ink_lines(two_panels(), Box(0, 12, 100, 40), "y") == [10, 50]


def test_lines_reach_the_border_of_the_image():
    assert ink_lines(np.ones((8, 9), bool), Box(2, 2, 4, 4), "x") == [0, 9]


def test_blank_strip_is_the_gutter_and_not_the_margin():
    assert blank_strips(two_panels(), Box(0, 0, 100, 60), "x") == [(40, 46)]
    assert blank_strips(two_panels(), Box(0, 0, 100, 60), "y") == []


def test_specks_do_not_count_as_ink():
    ink = np.zeros((1000, 20), bool)
    ink[3, 10] = True
    assert ink_lines(ink, Box(0, 0, 20, 1000), "x") == []
