"""Crops hold every pixel that a box touches, without loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box
from napari_medssl.io.crops import pixel_edges, save_crops
from napari_medssl.io.images import read_image

IMAGE = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_crops_are_the_pixels_rounded_outward(tmp_path):
    files = save_crops(IMAGE, [Box(10.4, 5.6, 20.2, 9.0, label="a")], tmp_path / "new", "fig")
    assert [file.name for file in files] == ["fig_01_a.png"]
    np.testing.assert_array_equal(read_image(files[0]), IMAGE[5:9, 10:21])


def test_crops_are_clamped_and_boxes_outside_give_none(tmp_path):
    boxes = [Box(-5, -5, 8, 7), Box(70, 0, 90, 10), Box(50, 30, 99, 99)]
    first, last = save_crops(IMAGE, boxes, tmp_path, "a/b")
    assert (first.name, last.name) == ("a_b_01.png", "a_b_03.png")
    np.testing.assert_array_equal(read_image(first), IMAGE[:7, :8])
    np.testing.assert_array_equal(read_image(last), IMAGE[30:, 50:])


def test_letter_cannot_lead_out_of_the_folder(tmp_path):
    (file,) = save_crops(IMAGE, [Box(0, 0, 5, 5, label="../../x")], tmp_path / "in", "fig")
    assert file.parent == tmp_path / "in"
    assert file.is_file()


def test_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(UserError, match="Cannot make the folder"):
        save_crops(IMAGE, [Box(0, 0, 5, 5)], tmp_path / "f", "fig")


@given(st.tuples(*[st.floats(-100, 200)] * 4))
def test_edges_hold_the_box_and_at_most_a_pixel_more(values):
    x0, x1 = sorted(values[:2])
    y0, y1 = sorted(values[2:])
    edges = pixel_edges(Box(x0, y0, x1, y1), 60, 40)
    if edges is None:
        return
    left, top, right, bottom = edges
    assert 0 <= left < right <= 60
    assert 0 <= top < bottom <= 40
    assert left <= max(x0, 0) + 1e-6 < left + 1 + 1e-5
    assert right >= min(x1, 60) - 1e-6 > right - 1 - 1e-5
