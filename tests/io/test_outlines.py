"""Outlines of masks lie where the mask is."""

import numpy as np
import pytest
import shapely

from napari_medssl._errors import UserError
from napari_medssl.io.outlines import mask_outline


def test_a_block_with_a_hole_has_its_area_and_place():
    mask = np.zeros((60, 80), bool)
    mask[10:50, 20:70] = True
    mask[25:35, 40:50] = False
    shape = mask_outline(mask, 4.0)
    assert shape.area == pytest.approx(mask.sum() * 16, rel=0.01)
    assert shape.bounds == pytest.approx((80, 40, 280, 200), abs=2.1)
    assert shape.contains(shapely.Point(100, 60))
    assert not shape.contains(shapely.Point(180, 120))
    assert shape.is_valid


def test_pieces_stay_apart_and_the_border_counts():
    mask = np.zeros((40, 40), np.uint8)
    mask[:10, :10] = 1
    mask[20:, 20:] = 3
    shape = mask_outline(mask, 2.0)
    assert shape.geom_type == "MultiPolygon"
    assert len(shape.geoms) == 2
    assert shape.area == pytest.approx((100 + 400) * 4, rel=0.03)
    assert min(shape.bounds) >= -0.01


def test_an_empty_mask_is_refused():
    with pytest.raises(UserError, match="mask is empty"):
        mask_outline(np.zeros((5, 5)), 1.0)
