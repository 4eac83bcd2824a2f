"""Laying a template over an image, and finding a landmark in it, on planted maps."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.averaging import bell
from napari_medssl.methods.local_discrimination.matching import (
    find_peaks,
    landmark_windows,
    pulled,
    similarity_maps,
)
from napari_medssl.methods.local_discrimination.registration import (
    centres,
    place_of,
    register,
    sample,
)


def smooth_maps(dim: int, height: int, width: int, seed: int, grain: int = 4) -> torch.Tensor:
    """Maps of unit length that change over `grain` cells."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(1, dim, height // grain + 2, width // grain + 2, generator=generator)
    maps = F.interpolate(rough, size=(height, width), mode="bicubic", align_corners=False)
    return F.normalize(maps[0], dim=0)


def warped(maps: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Maps whose place M x + s holds what was at x, both in widths."""
    places = (centres(maps) - shift) @ torch.linalg.inv(matrix).T
    return F.normalize(sample(maps, places).T.reshape(maps.shape), dim=0)


def test_places_are_in_widths():
    maps = torch.zeros(1, 2, 4)
    assert torch.equal(centres(maps)[0], torch.tensor([0.125, 0.125]))
    assert torch.equal(centres(maps)[-1], torch.tensor([0.875, 0.375]))
    field = centres(maps).reshape(2, 4, 2)
    points = torch.tensor([[0.3, 0.2], [0.7, 0.3]])
    assert torch.allclose(place_of(field, points), points, atol=1e-6)


def test_an_affine_map_is_found():
    maps = smooth_maps(16, 26, 24, seed=1)
    turn = math.radians(6)
    matrix = 0.92 * torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    shift = torch.tensor([0.07, 0.03])
    field = register(maps, warped(maps, matrix, shift))
    inner = centres(maps).reshape(26, 24, 2)[6:-6, 6:-6].reshape(-1, 2)
    error = (place_of(field, inner) - (inner @ matrix.T + shift)).norm(dim=1)
    assert error.max() < 0.5 / 24  # half a cell


def test_a_bend_is_followed():
    maps = smooth_maps(16, 24, 24, seed=2)
    places = centres(maps)
    bent = places + 0.04 * torch.sin(2 * math.pi * places.flip(1))
    image = F.normalize(
        sample(maps, bent).T.reshape(maps.shape), dim=0
    )  # holds at p what was at b(p)
    field = register(image, maps).reshape(-1, 2)
    inner = ((places - 0.5).abs() < 0.3).all(dim=1)
    error = (field - bent).norm(dim=1)[inner]
    still = (places - bent).norm(dim=1)[inner]
    assert error.mean() < 0.35 * still.mean()


def test_images_of_other_heights_start_at_the_same_relative_place():
    flat = torch.zeros(4, 12, 12)
    flat[0] = 1  # everything looks alike: only the start is left
    tall = F.pad(flat, (0, 0, 0, 12), mode="replicate")
    field = register(flat, tall)
    assert field[..., 1].max() > 1.2 * field[..., 0].max()


def test_similarity_is_that_of_the_equation():
    template, image = smooth_maps(5, 9, 8, seed=3, grain=2), smooth_maps(5, 7, 8, seed=4, grain=2)
    point = torch.tensor([[3.5 / 8, 4.5 / 8]])  # the middle of cell (row 4, column 3)
    found = similarity_maps(landmark_windows(template, point, 3), image, sigma=0.4)[0]
    weights = bell(3, 0.4)
    for row in range(7):
        for column in range(8):
            total = 0.0
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    y, x = min(max(row + i, 0), 6), min(max(column + j, 0), 7)
                    cosine = float(image[:, y, x] @ template[:, 4 + i, 3 + j])
                    total += float(weights[i + 1] * weights[j + 1]) * cosine
            assert found[row, column] == pytest.approx(total, abs=1e-5)


def test_a_landmark_is_found_between_cells():
    template = smooth_maps(16, 24, 24, seed=5)
    shift = torch.tensor([0.37 / 24, -0.22 / 24]) + torch.tensor([3 / 24, 2 / 24])
    image = warped(template, torch.eye(2), shift)
    point = torch.tensor([[10.5 / 24, 11.5 / 24]])
    found = similarity_maps(landmark_windows(template, point, 3), image)
    peak = find_peaks(found[0], 1)[0]
    due = point[0] + shift
    assert math.hypot(peak.x - due[0], peak.y - due[1]) < 0.15 / 24
    assert 0.9 < peak.score <= 1.001


def test_a_window_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="no middle"):
        landmark_windows(torch.zeros(2, 8, 8), torch.zeros(1, 2), 4)


def test_the_expected_place_decides_between_two_alike():
    similarity = torch.zeros(1, 10, 10)
    similarity[0, 2, 2] = similarity[0, 7, 7] = 0.8
    near = pulled(similarity, torch.tensor([[0.7, 0.7]]), 1.0)
    first, second = find_peaks(near[0], 2)
    assert (first.x, first.y) == (pytest.approx(0.75, abs=0.01), pytest.approx(0.75, abs=0.01))
    assert (second.x, second.y) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.25, abs=0.01))
    assert first.score == pytest.approx(0.8 - 2 * 0.05**2, abs=0.01)


def test_peaks_are_apart_and_no_more_than_there_are():
    score = torch.zeros(6, 6)
    score[3, 3], score[3, 4], score[0, 0] = 1.0, 0.9, 0.5
    peaks = find_peaks(score, 50, apart=0.4)
    assert [p.score for p in peaks[:2]] == pytest.approx([1.0, 0.5], abs=0.1)
    assert all(
        math.hypot(a.x - b.x, a.y - b.y) > 0.2 for n, a in enumerate(peaks) for b in peaks[:n]
    )
    assert len(peaks) < 12
    assert len(find_peaks(score, 3, apart=0.0)) == 3


def test_a_slope_is_no_peak():
    columns = torch.arange(30.0).expand(5, 30)
    assert len(find_peaks(1 - columns / 30, 5, apart=0.1)) <= 2  # only its foot, where it is flat


@pytest.mark.parametrize("offset", [-0.4, -0.1, 0.0, 0.3])
def test_the_vertex_of_a_parabola_is_exact(offset):
    columns = torch.arange(7.0)
    score = (1 - 0.1 * (columns - 3 - offset) ** 2).expand(5, 7).clone()
    score -= 0.05 * (torch.arange(5.0)[:, None] - 2) ** 2
    peak = find_peaks(score, 1)[0]
    assert peak.x == pytest.approx((3.5 + offset) / 7, abs=1e-5)
    assert peak.y == pytest.approx(2.5 / 7, abs=1e-5)
    assert peak.score == pytest.approx(1.0, abs=1e-5)


def test_a_place_expected_wrongly_is_overruled_by_a_clear_likeness():
    similarity = torch.zeros(1, 20, 20)
    similarity[0, 2, 3], similarity[0, 15, 16] = 0.5, 0.2
    expected = torch.tensor([[0.8, 0.8]])  # beside the lower one
    (held,) = find_peaks(pulled(similarity, expected, 2.0)[0], 1)
    (free,) = find_peaks(pulled(similarity, expected, 2.0, most=0.18)[0], 1)
    assert (round(held.x * 20 - 0.5), round(held.y * 20 - 0.5)) == (16, 15)
    assert (round(free.x * 20 - 0.5), round(free.y * 20 - 0.5)) == (3, 2)
    assert free.score == pytest.approx(0.5 - 0.18, abs=0.02)
