"""One number for how undecided a mask is: empty background does not count."""

import numpy as np
import pytest

from napari_medssl.backend.mask_uncertainty import mask_uncertainty


def disk(side, radius):
    y, x = np.ogrid[:side, :side]
    return ((y - side // 2) ** 2 + (x - side // 2) ** 2 < radius**2).astype(np.uint8)


def test_background_does_not_dilute_it():
    values = []
    for side in (64, 512):
        classes = disk(side, 12)
        values.append(mask_uncertainty(np.float32(0.4) * disk(side, 24), classes))
    assert values == pytest.approx([0.4, 0.4])


def test_an_undecided_outline_is_worse_than_a_sure_one():
    classes = disk(128, 20)
    rim = disk(128, 24) - disk(128, 17)
    sure = np.full(classes.shape, 0.02, np.float32)
    assert mask_uncertainty(sure, classes) == pytest.approx(0.02, abs=1e-6)
    assert mask_uncertainty(sure + np.float32(0.6) * rim, classes) > 0.2


def test_what_may_have_been_missed_counts_far_from_what_was_found():
    classes = disk(128, 8)
    entropy = np.zeros(classes.shape, np.float32)
    entropy[:20, :20] = 0.9
    assert mask_uncertainty(entropy, classes) > 0.4


def test_an_empty_mask_is_judged_by_its_most_undecided_pixels():
    empty = np.zeros((100, 100), np.uint8)
    entropy = np.zeros(empty.shape, np.float32)
    entropy[0] = 0.3  # 1 % of the pixels
    assert mask_uncertainty(entropy, empty) == pytest.approx(0.3)
    assert mask_uncertainty(np.ones((1, 1), np.float32), empty[:1, :1]) == 1.0
