"""Distances of surfaces: against all pairs of voxels, against MONAI, and what is empty."""

import math

import numpy as np
import pytest
from scipy import ndimage

from napari_medssl.backend.surface_distances import diagonal, surface, surface_distances


def blobs(seed, shape, level=0.4):
    """Return a random mask of smooth blobs, some at the edge of the array."""
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    return grain > level * grain.std()


def slow_surface(mask):
    """Return the places of a mask with a neighbour across a side that is not in it."""
    places = {tuple(place) for place in np.argwhere(mask)}
    steps = [sign * row for row in np.eye(mask.ndim, dtype=int) for sign in (1, -1)]
    return np.array(
        [p for p in sorted(places) if any(tuple(np.add(p, s)) not in places for s in steps)]
    )


def slow_distances(found, truth, spacing):
    """Return ASD and HD95 by all pairs of surface voxels."""
    first, second = slow_surface(found) * spacing, slow_surface(truth) * spacing
    pairs = np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=2))
    there, back = pairs.min(axis=1), pairs.min(axis=0)
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    return mean, max(np.percentile(there, 95), np.percentile(back, 95))


CASES = [
    ((17, 23), (1.0, 1.0)),
    ((17, 23), (0.5, 2.0)),
    ((5, 14, 11), (1.0, 1.0, 1.0)),
    ((5, 14, 11), (8.0, 1.25, 1.5)),
    ((1, 30), (1.0, 1.0)),
]


@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_of_all_pairs(shape, spacing, seed):
    found, truth = blobs(seed, shape), blobs(seed + 100, shape, 0.8)
    truth[(-1,) * truth.ndim] = True
    mean, most = slow_distances(found, truth, np.array(spacing))
    one = surface_distances(found, truth, spacing)
    assert (one.asd, one.hd95) == pytest.approx((mean, most))


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's, of itself
@pytest.mark.parametrize(("shape", "spacing"), CASES[:4])
def test_distances_are_those_of_monai(shape, spacing):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    found, truth = blobs(3, shape), blobs(4, shape)
    planes = [torch.from_numpy(mask)[None, None].float() for mask in (found, truth)]
    how = {"include_background": True, "spacing": list(spacing)}
    mean = compute_average_surface_distance(*planes, symmetric=True, **how)
    most = compute_hausdorff_distance(*planes, percentile=95, **how)
    one = surface_distances(found, truth, spacing)
    assert (one.asd, one.hd95) == pytest.approx((float(mean), float(most)), rel=1e-5)


def test_a_surface_ends_at_the_edge_of_the_array():
    whole = np.ones((4, 5), bool)
    edge = surface(whole)
    assert edge.sum() == 14
    assert not edge[1:3, 1:4].any()
    assert surface(np.ones((3, 3, 3), bool)).sum() == 26


def test_a_neighbour_across_a_corner_does_not_make_a_surface():
    mask = np.ones((5, 5), bool)
    mask[0, 0] = False
    assert not surface(mask)[1, 1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shifted_mask_is_as_far_as_its_shift(axis):
    mask = np.zeros((20, 20, 20), bool)
    mask[6:7, 6:7, 6:7] = True
    spacing = (5.0, 0.5, 0.25)
    moved = np.roll(mask, 3, axis=axis)
    one = surface_distances(moved, mask, spacing)
    assert one.asd == pytest.approx(3 * spacing[axis])
    assert one.hd95 == pytest.approx(3 * spacing[axis])


def test_both_ways_count():
    """A far crumb is seen from the side that it is on, whichever that is."""
    truth = np.zeros((40, 40), bool)
    truth[5:7, 5:7] = True
    crumbs = truth.copy()
    crumbs[38, 38] = True
    one, other = (
        surface_distances(*pair, (1.0, 1.0)) for pair in ((crumbs, truth), (truth, crumbs))
    )
    assert one == other
    assert one.hd95 > 30  # of 5 places one is far: more than 5 of 100
    assert one.asd == pytest.approx(math.hypot(32, 32) / 9)


def test_equal_masks_have_no_distance():
    mask = blobs(1, (9, 9))
    one = surface_distances(mask, mask, (2.0, 2.0))
    assert (one.asd, one.hd95) == (0, 0)


def test_nothing_found_is_the_diagonal_and_never_zero():
    """Released code scores an empty segmentation with ASD 0, the best there is."""
    truth, empty = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    truth[3, 3] = True
    one = surface_distances(empty, truth, (0.5, 0.5))
    assert one.asd == one.hd95 == pytest.approx(25)
    worst = np.zeros_like(truth)
    worst[-1, -1] = True
    corner = np.zeros_like(truth)
    corner[0, 0] = True
    assert surface_distances(worst, corner, (0.5, 0.5)).hd95 < one.hd95
    assert diagonal((1, 1), (1.0, 1.0)) > 0


@pytest.mark.parametrize("fill", [False, True])
def test_without_a_truth_there_is_no_distance(fill):
    found = np.full((6, 6), fill)
    one = surface_distances(found, np.zeros((6, 6), bool), (1.0, 1.0))
    assert math.isnan(one.asd)
    assert math.isnan(one.hd95)


@pytest.mark.parametrize(
    ("found", "truth", "spacing", "text"),
    [
        ((3, 3), (3, 4), (1, 1), "are not of one image"),
        ((3,), (3,), (1,), "have 1 axes; due are 2 or 3"),
        ((3, 3), (3, 3), (1,), "Spacing .* due are 2 numbers above 0"),
        ((3, 3), (3, 3), (1, 0), "Spacing .* due are 2 numbers above 0"),
        ((3, 3), (3, 3), (1, math.nan), "Spacing .* due are 2 numbers above 0"),
    ],
)
def test_what_has_no_distance_is_refused(found, truth, spacing, text):
    with pytest.raises(ValueError, match=text):
        surface_distances(np.ones(found, bool), np.ones(truth, bool), spacing)
