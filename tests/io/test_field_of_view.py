"""Where a picture shows something, even light inside it, and shapes that stand out."""

import numpy as np
import pytest
from scipy import ndimage

from napari_medssl.io.field_of_view import (
    field_of_view,
    flatten_light,
    small_field_of_view,
    wide_blur,
)
from napari_medssl.io.shape_planes import branch_widths, dark_parts, shape_planes, without_parts


def disc(side=120, radius=50):
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(rows, columns) < radius


def test_the_disc_of_a_camera_is_found_with_its_dark_vessels():
    rng = np.random.default_rng(0)
    picture = np.where(disc(), 100, 3) + rng.integers(0, 4, (120, 120))
    picture[:, 60:63] = np.where(disc()[:, 60:63], 10, picture[:, 60:63])
    found = field_of_view(picture.astype(np.uint8))
    overlap = (found & disc()).sum() / (found | disc()).sum()
    assert overlap > 0.97


@pytest.mark.parametrize("side", [120, 1200])
def test_white_paper_around_a_disc_lies_outside(side):
    """Transparent pixels are laid on white; the step to it is no vessel."""
    large = np.kron(disc(), np.ones((side // 120,) * 2, bool))
    picture = np.dstack([np.where(large, level, 255) for level in (180, 90, 40)]).astype(np.uint8)
    found = small_field_of_view(picture)
    assert found.mean() == pytest.approx(disc().mean(), rel=0.06)
    assert not found[0].any()


@pytest.mark.parametrize("fill", [0, 90, 255])
def test_a_full_frame_is_all_inside(fill):
    assert field_of_view(np.full((50, 60, 3), fill, np.uint8)).all()


def test_the_field_of_a_large_picture_is_found_on_a_small_copy():
    large = np.kron(np.where(disc(), 100, 3), np.ones((10, 10))).astype(np.uint8)
    found = small_field_of_view(large[..., None])
    assert found.shape == (512, 512)
    assert found.mean() == pytest.approx(disc().mean(), rel=0.03)


def test_flattening_takes_the_slope_and_keeps_the_line():
    plane = np.tile(np.linspace(40, 200, 160), (160, 1))
    plane[78:82] -= 20
    rng = np.random.default_rng(0)
    noisy = (plane + rng.normal(0, 3, plane.shape)).clip(0, 255).astype(np.uint8)
    flat = flatten_light(noisy, np.ones((160, 160), bool), 10.0).astype(float)
    assert abs(flat[20:60, 20:50].mean() - flat[20:60, 110:140].mean()) < 4
    assert flat[79:81].mean() < flat[20:60].mean() - 40


def test_nothing_stands_out_outside():
    flat = flatten_light(np.full((120, 120), 90, np.uint8), disc(), 8.0)
    assert (flat[~disc()] == 128).all()


def test_a_rim_where_light_falls_off_is_no_dark_line():
    rows, columns = np.mgrid[:160, :160] - 79.5
    radius = np.hypot(rows, columns)
    rng = np.random.default_rng(0)
    plane = 200 - 1.5 * radius + rng.normal(0, 4, radius.shape)
    flat = flatten_light(plane.clip(0, 255).astype(np.uint8), radius < 74, 8.0).astype(float)
    rim, middle = flat[(radius > 70) & (radius < 74)], flat[(radius > 30) & (radius < 50)]
    assert rim.mean() > middle.mean() - 0.8 * middle.std()


@pytest.mark.parametrize("sigma", [3.0, 20.0])
def test_a_wide_blur_is_that_of_the_whole_grid(sigma):
    rng = np.random.default_rng(0)
    values = rng.random((130, 97)).astype(np.float32)
    due = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3.0)
    assert np.abs(wide_blur(values, sigma) - due).max() < 0.03


def test_planes_of_a_bar_hold_its_width_and_depth():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 20:27] = True
    inside, width, depth = shape_planes(mask).astype(float)
    assert (inside.astype(bool) == mask).all()
    assert width[30, 23] == pytest.approx(7, abs=1)
    assert depth[30, 23] == 1
    assert 0 < depth[30, 20] < 0.5
    assert (width[~mask] == 0).all()
    assert np.median(branch_widths(mask)) == pytest.approx(7, abs=1)


def test_narrow_branches_can_be_left_out():
    mask = np.zeros((60, 60), bool)
    mask[:, 10:18] = True
    mask[:, 40:42] = True
    kept = shape_planes(mask, 4.0)[0] > 0
    assert kept[30, 12]
    assert not kept[30, 40:42].any()
    assert not shape_planes(mask, 20.0).any()


def test_the_dark_line_is_the_dark_part_and_can_be_filled():
    rng = np.random.default_rng(0)
    flat = (128 + rng.normal(0, 8, (100, 100))).astype(np.uint8)
    flat[:, 50:55] = 60
    everywhere = np.ones((100, 100), bool)
    found = dark_parts(flat, everywhere, 0.05, 8.0)
    assert found[10:90, 51:54].mean() > 0.9
    assert found[:, :40].mean() < 0.05
    filled = without_parts(flat, found, everywhere, rng).astype(float)
    assert abs(filled[:, 50:55].mean() - 128) < 6
    assert filled[:, 50:55].std() > 3  # with grain, as elsewhere
