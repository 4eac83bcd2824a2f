"""Words over any ground have the contrast that can be had."""

import numpy as np
import pytest

from napari_medssl.widgets.separation.text_color import (
    ENOUGH,
    contrast,
    luminance,
    readable_color,
)


def plain(*rgb):
    return np.full((20, 30, 3), rgb, np.uint8)


def test_luminance_and_contrast_are_those_of_the_standard():
    np.testing.assert_allclose(luminance(np.array([[255, 255, 255], [0, 0, 0]], np.uint8)), [1, 0])
    assert contrast("#000000", np.array([1.0])) == pytest.approx(21)
    assert contrast("#767676", np.array([1.0])) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    "rgb",
    [
        (255, 255, 255),
        (0, 0, 0),
        (128, 128, 128),
        (200, 120, 170),  # eosin
        (110, 60, 130),  # haematoxylin
        (150, 90, 50),  # DAB
        (200, 30, 30),
    ],
)
def test_any_plain_ground_gives_enough_contrast(rgb):
    ground = plain(*rgb)
    assert contrast(readable_color(ground), luminance(ground.reshape(-1, 3))) >= ENOUGH


def test_a_few_dark_nuclei_do_not_turn_the_colour():
    ground = plain(230, 190, 215)
    ground[::5, ::5] = (60, 20, 80)
    assert readable_color(ground) in ("#8f0052", "#000000")


def test_no_pixels_are_taken():
    assert readable_color(np.zeros((0, 4, 3), np.uint8)).startswith("#")
