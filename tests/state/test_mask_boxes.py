"""The rectangle in which two masks differ."""

import numpy as np
import pytest

from napari_medssl.state import mask_boxes


@pytest.mark.parametrize("seed", range(3))
def test_the_rectangle_that_changed_is_found_in_bands(seed, monkeypatch):
    monkeypatch.setattr(mask_boxes, "_BAND", 70)
    rng = np.random.default_rng(seed)
    held = rng.integers(0, 3, (23, 17)).astype(np.uint8)
    pixels = held.copy()
    assert mask_boxes.changed_box(pixels, held) is None
    places = rng.integers(0, (23, 17), (3, 2))
    pixels[tuple(places.T)] += 1
    low, high = places.min(axis=0), places.max(axis=0) + 1
    due = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    assert mask_boxes.changed_box(pixels, held) == due
