"""Views differ as they should, and the whitening is that of its equation, one number at a time."""

import math

import pytest
import torch

from napari_medssl.methods.view_whitening.views import ViewRange, Views
from napari_medssl.methods.view_whitening.whitening import fit_view_whitening


def features(views=3, count=12, size=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randn(1, count, size, generator=generator)
    return (pictures + 0.3 * torch.randn(views, count, size, generator=generator)).double()


def test_the_whitening_is_that_of_its_equation():
    given, shrinkage = features(), 0.7
    views, count, size = given.shape
    found = fit_view_whitening(given, dim=4, shrinkage=shrinkage)
    # Projected values, standardised by hand.
    standard = torch.empty_like(given)
    for place in range(size):
        column = given[:, :, place].flatten().tolist()
        mean = sum(column) / len(column)
        scale = math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) + 1e-6
        standard[:, :, place] = (given[:, :, place] - mean) / scale
    projected = standard @ found.components
    kept = found.components.shape[1]
    within = [[0.0] * kept for _ in range(kept)]
    for picture in range(count):
        middle = [
            sum(float(projected[view, picture, p]) for view in range(views)) / views
            for p in range(kept)
        ]
        for view in range(views):
            off = [float(projected[view, picture, p]) - middle[p] for p in range(kept)]
            for p in range(kept):
                for q in range(kept):
                    within[p][q] += off[p] * off[q] / (count * (views - 1))
    ridge = shrinkage * sum(within[p][p] for p in range(kept)) / kept + 1e-6
    for p in range(kept):
        within[p][p] += ridge
    product = found.whitening @ found.whitening.T @ torch.tensor(within, dtype=torch.float64)
    assert torch.allclose(product, torch.eye(kept, dtype=torch.float64), atol=1e-9)
    # The components are the principal directions of the pictures' means.
    means = standard.mean(dim=0)
    values, vectors = torch.linalg.eigh((means - means.mean(0)).T @ (means - means.mean(0)))
    for p in range(kept):
        due = vectors[:, size - 1 - p]
        assert abs(float(due @ found.components[:, p])) == pytest.approx(1, abs=1e-9)
    assert (values[1:] > values[:-1]).all()


def test_embeddings_are_of_unit_length_around_the_middle():
    given = features()
    found = fit_view_whitening(given, dim=4)
    embeddings = found.apply(given.mean(dim=0))
    assert embeddings.shape == (12, 4)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(12, dtype=torch.float64))


def test_what_views_change_counts_less():
    generator = torch.Generator().manual_seed(1)
    kind = torch.arange(40) % 2 * 2.0 - 1
    light = torch.randn(6, 40, generator=generator) * 3
    noise = 0.1 * torch.randn(6, 40, 3, generator=generator)
    given = torch.stack([kind.expand(6, 40), light, -light], dim=2) + noise
    found = fit_view_whitening(given, dim=3, shrinkage=0.01)
    seen = found.apply(given[0].double())  # one view: its light is still in it
    plain = ((given[0].double() - found.mean) / found.scale) @ found.components

    def parted(rows):
        """Return how far apart the kinds are, in units of their spread."""
        apart = (rows[kind > 0].mean(0) - rows[kind < 0].mean(0)).norm()
        spread = sum(rows[kind == sign].std(dim=0).square().sum() for sign in (1, -1)).sqrt()
        return float(apart / spread)

    assert parted(seen) > 2 * parted(plain)


@pytest.mark.parametrize(("views", "count"), [(1, 5), (5, 1)])
def test_one_view_or_one_picture_is_refused(views, count):
    with pytest.raises(ValueError, match=f"{views} views of {count} pictures came"):
        fit_view_whitening(features(views, count))


def test_no_more_components_than_there_are():
    assert fit_view_whitening(features(count=3)).components.shape[1] == 2


def test_the_first_four_views_are_the_picture_and_its_mirror_images():
    pixels = torch.rand(2, 3, 8, 8) * 2 - 1
    views, numbers = Views(2, ViewRange()), torch.arange(2)
    made = [views.make(pixels, numbers, view) for view in range(4)]
    assert torch.equal(made[0], pixels)
    assert torch.equal(made[1], pixels.flip(3))
    assert torch.equal(made[2], pixels.flip(2))
    assert torch.equal(made[3], pixels.flip(2, 3))


def test_a_drawn_view_follows_from_seed_and_number_alone():
    pixels = torch.rand(3, 3, 16, 16) * 2 - 1
    views = Views(9, ViewRange(), seed=4)
    numbers = torch.tensor([7, 2, 5])
    together = views.make(pixels, numbers, 5)
    for place in range(3):
        alone = Views(9, ViewRange(), seed=4).make(pixels[[place]], numbers[[place]], 5)
        assert torch.allclose(together[[place]], alone, atol=1e-6)
    assert not torch.allclose(together, views.make(pixels, numbers, 6))
    assert together.abs().max() <= 1


def test_nothing_to_change_changes_nothing():
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    still = ViewRange(area=1, turn=0, contrast=0, brightness=0, tint=0)
    made = Views(2, still).make(pixels, torch.arange(2), 4)
    for came, given in zip(made, pixels, strict=True):
        mirrored = given.flip(2)
        assert min(float((came - p).abs().max()) for p in (given, mirrored)) < 1e-5


def test_light_and_colour_change_as_said():
    grey = torch.zeros(40, 3, 4, 4)
    how = ViewRange(contrast=0.3, brightness=0.2, tint=0.1)
    made = Views(40, how).make(grey, torch.arange(40), 4)[..., 0, 0]
    assert made.abs().max() <= 0.3 + 1e-6
    assert (made.amax(1) - made.amin(1)).max() <= 0.2 + 1e-6
    assert made.std() > 0.05
