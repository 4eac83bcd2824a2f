"""The rectangle in which two masks differ, and whether one is again as it was."""

import numpy as np
import pytest

from napari_medssl.state import mask_boxes
from napari_medssl.state.mask_before import MaskBefore
from napari_medssl.state.mask_items import MaskImage


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


@pytest.mark.parametrize("seed", range(3))
def test_a_mask_is_as_before_when_no_pixel_differs(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, (9, 12)).astype(np.uint8)
    before, held = MaskBefore(MaskImage("a", "/a.png"), first.copy()), first.copy()
    for turn in range(40):
        now = first.copy() if turn % 7 == 6 else held.copy()
        place = rng.integers(0, (9, 12), (4, 2))
        now[tuple(place.T)] = first[tuple(place.T)] if turn % 2 else 1
        box = mask_boxes.changed_box(now, held)
        if box is None:
            continue
        assert before.note(box, held[box], now[box]) == (now == first).all()
        assert before.different == np.count_nonzero(now != first)
        held = now
