"""Histograms that are evened out."""

import numpy as np

from napari_medssl.backend.histogram import even_out


def test_a_grey_value_becomes_the_share_of_pixels_up_to_it():
    grey = np.random.default_rng(0).gamma(2.0, 20.0, (64, 48)).clip(0, 255).astype(np.uint8)
    even = even_out(grey)
    for value in (3, 20, 60, 120):
        share = (grey <= value).mean() * 255
        assert np.abs(even[grey == value] - share).max(initial=0) <= 1
    assert np.array_equal(even_out(grey[..., None]), even[..., None])
    darker = (grey * 0.5 + 10).astype(np.uint8)
    assert np.abs(even_out(darker).astype(int) - even).mean() < 4  # exposure no longer tells


def test_colours_keep_their_hue_and_black_stays_black():
    colours = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    colours[:10] = 0
    even = even_out(colours)
    assert even.dtype == np.uint8
    assert np.ptp(even[:10]) == 0
    value, evened = colours[10:].max(axis=2), even[10:].max(axis=2)
    assert np.array_equal(evened, even_out(colours.max(axis=2))[10:])
    due = colours[10:] / value[..., None] * evened[..., None]
    assert np.abs(even[10:] - due).max() <= 0.5001


def test_an_image_of_one_value_stays_one():
    assert np.ptp(even_out(np.full((8, 8), 7, np.uint8))) == 0
