"""Densities and dots: what is drawn where, in which colour."""

import numpy as np
import pytest

from napari_medssl.backend.map_points import PointGrid
from napari_medssl.backend.map_raster import (
    SIZES,
    DotStyle,
    density_bounds,
    density_picture,
    density_size,
    dot_radius,
    dots_picture,
    has_dots,
)
from napari_medssl.backend.map_thumbnails import apart, picture_size, rows_with_pictures
from napari_medssl.backend.map_view import MapView

RED, BLUE = (255, 0, 0), (0, 0, 255)
VIEW = MapView(0, 0, 10, 100, 80)
STYLE = DotStyle(4.0, (0, 0, 0), outline_share=0.0)


def channels(picture):
    """Return premultiplied red, green, blue and opacity, shape (Y, X, 4)."""
    return np.stack([picture >> shift & 255 for shift in (16, 8, 0, 24)], axis=-1).astype(int)


def dots(xy, colors, shown=None, style=STYLE, view=VIEW):
    return channels(dots_picture(PointGrid(xy), np.array(colors, np.uint8), shown, view, style))


def test_a_dot_is_a_disc_of_its_radius_at_its_place():
    drawn = dots([(1, 1)], [RED])
    y, x = np.mgrid[:80, :100] + 0.5
    away = np.hypot(x - 60, y - 30)
    assert (drawn[away < 3.3] == (255, 0, 0, 255)).all()
    assert (drawn[away > 4.8] == 0).all()
    assert drawn[..., 3].sum() / 255 == pytest.approx(np.pi * 16, rel=0.03)


@pytest.mark.parametrize("radius", [0.9, 1.3, 2.5, 6.0])
def test_dots_stand_where_they_are_to_half_a_pixel(radius):
    for place in [(0.03, 0.02), (1.27, -2.71), (-3.33, 2.08)]:
        opacity = dots([place], [RED], style=DotStyle(radius, (0, 0, 0)))[..., 3]
        y, x = np.mgrid[:80, :100] + 0.5
        centre = [(each * opacity).sum() / opacity.sum() for each in (x, y)]
        np.testing.assert_allclose(centre, VIEW.to_screen(place), atol=0.5)


def test_the_later_row_lies_above():
    assert dots([(0, 0), (0, 0)], [RED, BLUE])[40, 50].tolist() == [0, 0, 255, 255]
    assert dots([(0, 0), (0, 0)], [BLUE, RED])[40, 50].tolist() == [255, 0, 0, 255]


def test_a_dot_is_cut_by_the_side_of_the_view_and_does_not_come_in_at_the_other():
    for place in [(-5.2, 0), (5.2, 0), (0, 4.2), (0, -4.2)]:
        drawn = dots([place], [RED])[..., 3]
        lines, columns = np.nonzero(drawn)
        assert len(lines)
        x, y = VIEW.to_screen(place)
        assert np.hypot(columns + 0.5 - x, lines + 0.5 - y).max() < 5


def test_hidden_rows_and_those_without_a_place_are_not_drawn():
    assert not dots([(0, 0), (np.nan, 0)], [RED, RED], np.array([False, True])).any()
    assert not dots(np.empty((0, 2)), np.empty((0, 3))).any()


def test_large_dots_have_an_outline():
    drawn = dots([(0, 0)], [RED], style=DotStyle(8.0, (0, 255, 0), outline_share=1.0))
    assert drawn[40, 50].tolist() == [255, 0, 0, 255]
    assert drawn[40, 50 + 7, 1] > 200


def test_a_density_puts_each_row_into_its_cell():
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(400, 2)).astype(np.float32)
    grid = PointGrid(xy)
    drawn = density_picture(grid, np.zeros((400, 3), np.uint8), None, 64)
    x0, y0, x1, _ = density_bounds(grid)
    cell = ((xy - (x0, y0)) * (64 / (x1 - x0))).astype(int)
    expected = np.zeros((64, 64), bool)
    expected[63 - cell[:, 1], cell[:, 0]] = True
    np.testing.assert_array_equal(drawn > 0, expected)


def test_a_density_is_more_opaque_where_more_rows_lie_and_has_their_mean_colour():
    xy = [(0, 0)] + [(1, 1)] * 20 + [(0, 1)] * 2
    colors = np.array([RED] + [RED] * 20 + [RED, BLUE], np.uint8)
    drawn = channels(density_picture(PointGrid(xy), colors, None, 4))
    assert 0 < drawn[3, 0, 3] < drawn[0, 3, 3] == 255
    red, green, blue, _ = drawn[0, 0]
    assert red == blue > 0 == green
    assert red == pytest.approx(drawn[0, 0, 3] * np.sqrt(0.5), abs=1)  # mean of the light


def test_a_density_of_some_rows_is_that_of_these_alone():
    rng = np.random.default_rng(1)
    xy = rng.normal(size=(50, 2))
    colors = rng.integers(0, 255, (50, 3), np.uint8)
    shown = np.arange(50) % 3 == 0
    grid = PointGrid(xy)
    masked = density_picture(grid, colors, shown, 256)
    hidden_away = np.where(shown[:, None], xy, np.nan)
    alone = density_picture(PointGrid(hidden_away), colors, None, 256)
    assert (masked > 0).sum() == (alone > 0).sum() == shown.sum()
    assert not density_picture(grid, colors, np.zeros(50, bool), 256).any()


def test_dots_come_with_nearness_and_grow():
    steps = np.arange(300) * 1.0
    grid = PointGrid(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2))
    assert not has_dots(grid, MapView(0, 0, 1.0, 100, 100))
    assert has_dots(grid, MapView(0, 0, 2.0, 100, 100))
    assert not has_dots(grid, MapView(0, 0, 2.0, 200, 200), ratio=2)
    radii = [dot_radius(grid, MapView(0, 0, scale, 100, 100)) for scale in (2, 5, 10, 20, 100)]
    assert radii == sorted(radii)
    assert radii[0] < radii[1] < radii[-1] <= 9


def test_a_density_has_about_a_cell_for_each_pixel():
    assert [density_size(pixels) for pixels in (10, 300, 700, 1500, 9999)] == [
        256,
        256,
        512,
        2048,
        2048,
    ]
    assert density_size(1e9) == SIZES[-1]


def test_kept_squares_do_not_overlap_and_all_others_would():
    rng = np.random.default_rng(2)
    centres = rng.uniform(-300, 300, (400, 2))
    kept = apart(centres, 50.0)

    def touches(one, other):
        return (np.abs(centres[one] - centres[other]) < 50).all()

    for place, one in enumerate(kept):
        assert not any(touches(one, other) for other in kept[:place])
    for one in set(range(400)) - set(kept):
        assert any(touches(one, other) for other in kept if other < one)


def test_pictures_come_when_few_rows_are_in_view_and_selected_ones_first():
    rng = np.random.default_rng(3)
    grid = PointGrid(rng.uniform(-5, 5, (300, 2)))
    selected = np.zeros(300, bool)
    selected[:5] = True
    far, near = MapView(0, 0, 20, 200, 200), MapView(0, 0, 80, 800, 800)
    assert rows_with_pictures(grid, far, None, None)[1] == 0
    rows, size = rows_with_pictures(grid, near, None, selected)
    assert size == picture_size(300, near) > 40
    assert selected[rows[0]]
    hidden = rows_with_pictures(grid, near, ~selected, None)[0]
    assert len(hidden)
    assert not selected[hidden].any()
