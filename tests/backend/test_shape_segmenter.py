"""What lies along the border of the field of view alone is no shape."""

import numpy as np
import pytest

from napari_medssl.backend.shape_segmenter import without_rim

SIDE = 200


def disc(radius, side=SIDE):
    rows, columns = np.indices((side, side)) - side / 2 + 0.5
    return np.hypot(rows, columns) < radius


@pytest.mark.parametrize("part", [1, 2])
def test_specks_along_the_border_go_and_what_goes_inwards_stays(part):
    inside = disc(95 // part, SIDE // part)  # the field may be smaller than the mask
    found = np.zeros((SIDE, SIDE), bool)
    found[100:102, 7:10] = True  # wholly in the band of 3 % of 190
    found[100:103, 150:194] = True  # from the middle to the border
    found[60:63, 90:93] = True
    due = found.copy()
    due[100:102, 7:10] = False
    assert (without_rim(found, inside) == due).all()


def test_pieces_joined_at_a_corner_are_one():
    found = np.zeros((SIDE, SIDE), bool)
    for step in range(20):
        found[100 + step, 7 + step] = True
    assert without_rim(found, disc(95)).sum() == 20


def test_edges_of_a_picture_are_no_border():
    found = np.zeros((SIDE, SIDE), bool)
    found[0:3, 90:93] = True
    assert (without_rim(found, np.ones((SIDE, SIDE), bool)) == found).all()
    half = np.zeros((SIDE, SIDE), bool)
    half[:, 50:] = True  # a border at the left only
    assert (without_rim(found, half) == found).all()


def test_an_empty_field_and_an_empty_mask_are_left_as_they_are():
    nothing = np.zeros((SIDE, SIDE), bool)
    assert not without_rim(nothing, disc(95)).any()
    assert (without_rim(disc(20), nothing) == disc(20)).all()
