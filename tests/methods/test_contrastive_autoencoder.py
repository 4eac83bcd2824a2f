"""Contrastive autoencoder: its equations by slow oracles, and that it has none of the known faults.

The faults are those of the code that the paper's authors released: see the docs page.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_medssl.methods.contrastive_autoencoder.choosing import (
    choose_clusters,
    find_elbow,
    k_means,
)
from napari_medssl.methods.contrastive_autoencoder.latents import LatentGaussians, path_between
from napari_medssl.methods.contrastive_autoencoder.losses import nt_xent, reconstruction_error
from napari_medssl.methods.contrastive_autoencoder.network import (
    ContrastiveAutoencoder,
    NetworkConfig,
)
from napari_medssl.methods.contrastive_autoencoder.prototypes import Prototypes
from napari_medssl.methods.contrastive_autoencoder.views import (
    Sampling,
    draw_batch,
    make_views,
    step_generator,
)
from napari_medssl.methods.local_discrimination.coloring import Coloring

PLAIN = Coloring(0, 0, 0, 0, 0)
SMALL = NetworkConfig(channels=1, size=32, widths=(8, 16), dim=6)


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def network_of(config=SMALL):
    torch.manual_seed(0)
    return ContrastiveAutoencoder(config)


def images_of(count=6, config=SMALL, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, config.channels, config.size, config.size, generator=generator)


def test_nt_xent_is_its_equation():
    """Number by number: 2 N terms, each of one positive and 2 N - 2 negatives."""
    first, second = torch.randn(4, 3), torch.randn(4, 3)
    views = [v / math.sqrt(sum(x * x for x in v)) for v in [*first.numpy(), *second.numpy()]]
    total = 0.0
    for i, z in enumerate(views):
        others = [j for j in range(8) if j != i]
        assert len([j for j in others if j != (i + 4) % 8]) == 2 * 4 - 2
        bottom = sum(math.exp(float(z @ views[j]) / 0.3) for j in others)
        total -= math.log(math.exp(float(z @ views[(i + 4) % 8]) / 0.3) / bottom)
    assert float(nt_xent(first, second, 0.3)) == pytest.approx(total / 8, rel=1e-5)


def test_nt_xent_knows_its_limits():
    """All embeddings alike: chance. Pairs alike and all else opposite: nearly nothing."""
    alike = torch.ones(5, 3)
    assert float(nt_xent(alike, alike)) == pytest.approx(math.log(2 * 5 - 1))
    apart = torch.tensor([[1.0, 0], [-1, 0]])
    assert float(nt_xent(apart, apart, 0.05)) < 1e-6
    assert float(nt_xent(3 * apart, 0.1 * apart, 0.05)) < 1e-6  # the length says nothing


@pytest.mark.parametrize(
    ("first", "second", "temperature", "text"),
    [
        (torch.ones(3, 2), torch.ones(4, 2), 0.5, r"due are two of \(N, D\)"),
        (torch.ones(1, 2), torch.ones(1, 2), 0.5, "N at least 2"),
        (torch.ones(3, 2), torch.ones(3, 2), 0.0, "due is one above 0"),
    ],
)
def test_nt_xent_refuses_what_is_no_batch_of_pairs(first, second, temperature, text):
    with pytest.raises(ValueError, match=text):
        nt_xent(first, second, temperature)


def test_the_mean_image_costs_one():
    images = images_of(50)
    variance = float(images.var(dim=0, correction=0).mean())
    mean = images.mean(dim=0, keepdim=True).expand_as(images)
    assert float(reconstruction_error(mean, images, variance)) == pytest.approx(1, rel=1e-5)
    assert float(reconstruction_error(images, images, variance)) == 0
    with pytest.raises(ValueError, match="for views of"):
        reconstruction_error(mean[:1], images, variance)


def test_shares_are_the_softmax_of_cosines_of_h_with_prototypes():
    """Prototypes live where h lives; the projector has no say in clusters."""
    network = network_of().eval()
    network.add_clusters(3 * unit(4, 6))
    images = images_of()
    h, came = network(images).embeddings.detach(), network(images).shares.detach()
    for row in range(len(images)):
        powers = [math.exp(float(h[row] @ unit(4, 6)[k]) / 0.1) for k in range(4)]
        due = [power / sum(powers) for power in powers]
        assert came[row].tolist() == pytest.approx(due, rel=1e-3)
    with torch.no_grad():
        for weight in network.projector.parameters():
            weight.zero_()
    assert torch.equal(network(images).shares, came)
    assert torch.allclose(h.norm(dim=1), torch.ones(6), atol=1e-5)


def test_beginning_clusters_changes_no_image():
    network = network_of().eval()
    before = network(images_of()).decoded
    network.add_clusters(unit(4, 6))
    assert torch.allclose(network(images_of()).decoded, before, atol=1e-5)


def test_the_cluster_changes_the_image():
    """In the released code the condition is computed and not used."""
    network = network_of().eval()
    network.add_clusters(unit(3, 6))
    rest = torch.zeros(3, 6)
    images = network.decode_rest(rest, torch.eye(3))
    assert (images[0] - images[1]).abs().max() > 1e-3
    assert (images[1] - images[2]).abs().max() > 1e-3


def test_c_has_a_slope_in_the_image():
    network = network_of().eval()
    network.add_clusters(unit(3, 6))
    shares = torch.full((1, 3), 1 / 3, requires_grad=True)
    network.decode_rest(torch.zeros(1, 6), shares).sum().backward()
    assert shares.grad.abs().min() > 0


def test_all_of_a_decoded_image_is_drawn():
    network = network_of().eval()
    came = network(images_of(), 2)
    assert came.decoded.shape == (2, 1, 32, 32)
    assert came.embeddings.shape == came.projected.shape == (6, 6)
    assert came.decoded.min() > 0
    assert came.decoded.max() < 1
    assert came.shares is None
    with pytest.raises(ValueError, match="no clusters yet"):
        network.assign(came.embeddings)
    with pytest.raises(ValueError, match="no clusters yet"):
        network.decode_rest(came.embeddings, came.embeddings)
    with pytest.raises(ValueError, match="due is a multiple of 8"):
        ContrastiveAutoencoder(NetworkConfig(size=36, widths=(8, 16)))


def test_prototypes_move_with_momentum():
    """In the released code one batch replaces them."""
    start, seen = unit(2, 3, seed=1), unit(5, 3, seed=2)
    prototypes = Prototypes(start, 0.1)
    nearest = (seen @ start.T).argmax(dim=1)
    assert set(nearest.tolist()) == {0, 1}
    assert prototypes.update(seen, 0.7, 99) == 0
    for k in range(2):
        mean = torch.stack([h for h, n in zip(seen, nearest, strict=True) if n == k]).mean(dim=0)
        moved = 0.7 * start[k] + 0.3 * mean
        assert torch.allclose(prototypes.centres[k], moved / moved.norm(), atol=1e-6)


def test_an_empty_cluster_is_revived_where_an_image_fits_worst():
    """In the released code it stays where it is for ever."""
    prototypes = Prototypes(torch.tensor([[1.0, 0, 0], [-1, 0, 0]]), 0.1)
    seen = F.normalize(torch.tensor([[1.0, 0, 0], [1, 0.1, 0], [0.5, 0, 1]]), dim=1)
    assert [prototypes.update(seen, 1.0, 3) for _ in range(3)] == [0, 0, 1]
    assert torch.allclose(prototypes.centres[1], seen[2])
    assert prototypes.idle.tolist() == [0, 0]
    assert int(prototypes.revived) == 1
    assert prototypes.update(seen, 1.0, 3) == 0
    assert prototypes(seen).argmax(dim=1).tolist() == [0, 0, 1]


def test_no_more_clusters_are_revived_than_there_are_images():
    prototypes = Prototypes(torch.tensor([[1.0, 0]] * 5), 0.1)
    assert prototypes.update(torch.tensor([[1.0, 0], [0, 1]]), 0.9, 1) == 2


def test_k_means_finds_what_is_there():
    rng = np.random.default_rng(0)
    centres = np.eye(4, 8, dtype=np.float32)
    points = np.repeat(centres, 30, axis=0) + rng.normal(0, 0.05, (120, 8)).astype(np.float32)
    found, distortion = k_means(points, 4, 1)
    assert np.abs(found[found.argmax(axis=0)[:4]] - centres).max() < 0.05
    assert distortion == pytest.approx(8 * 0.05**2, rel=0.2)
    assert np.array_equal(k_means(points, 4, 1)[0], found)
    chosen = choose_clusters(points, 9, 1)
    assert (chosen.clusters, chosen.is_found, len(chosen.distortions)) == (4, True, 9)


def test_there_is_no_elbow_in_noise():
    rng = np.random.default_rng(0)
    chosen = choose_clusters(rng.normal(0, 1, (200, 8)).astype(np.float32), 12, 1)
    assert (chosen.clusters, chosen.is_found) == (7, False)  # the middle of 2 to 12


def test_an_elbow_is_where_the_fall_ends():
    assert find_elbow([9, 5, 1, 0.9, 0.8, 0.7]).clusters == 3
    assert find_elbow([1, 1, 1, 1]) == find_elbow([1.0] * 4)
    assert not find_elbow([1, 1, 1, 1]).is_found
    with pytest.raises(ValueError, match="due are at least 3"):
        find_elbow([2, 1])


def test_points_in_few_places_give_as_many_centres():
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    found, distortion = k_means(points, 5, 1)
    assert sorted(found.tolist()) == sorted(np.eye(3).tolist())
    assert distortion == 0


def test_gaussians_are_those_of_all_and_of_each_cluster():
    points, nearest = unit(40, 5), torch.arange(40) % 2
    nearest[39] = 2
    latents = LatentGaussians(4, 5)
    latents.fit(points, nearest, unit(4, 5, seed=9))
    assert latents.counts.tolist() == [40, 20, 19, 1, 0]
    assert torch.allclose(latents.mean[0], points.mean(dim=0))
    assert torch.allclose(latents.std[1], points[nearest == 0].std(dim=0))
    assert torch.equal(latents.mean[3], points[39])
    assert torch.equal(latents.mean[4], unit(4, 5, seed=9)[3])
    one = latents.draw(3, torch.Generator().manual_seed(4), cluster=0)
    assert torch.equal(one, latents.draw(3, torch.Generator().manual_seed(4), cluster=0))
    assert torch.allclose(one.norm(dim=1), torch.ones(3))
    many = latents.draw(4000, torch.Generator().manual_seed(4))
    due = F.normalize(latents.mean[0] + latents.std[0] * torch.randn(4000, 5), dim=1)
    assert torch.allclose(many.mean(dim=0), due.mean(dim=0), atol=0.05)


def test_a_path_goes_along_the_sphere_in_equal_steps():
    first, last = unit(2, 7)
    path = path_between(first, last, 9)
    assert torch.allclose(path[0], first, atol=1e-6)
    assert torch.allclose(path[-1], last, atol=1e-6)
    assert torch.allclose(path.norm(dim=1), torch.ones(9), atol=1e-6)
    steps = (path[1:] * path[:-1]).sum(dim=1)
    assert torch.allclose(steps, steps[:1].expand(8), atol=1e-6)
    back = path_between(last, first, 9).flip(0)
    assert torch.allclose(path, back, atol=1e-6)
    across = path_between(first, -first, 5)
    assert torch.allclose(across.norm(dim=1), torch.ones(5), atol=1e-6)
    assert torch.allclose(across[-1], -first, atol=1e-6)
    assert torch.allclose(path_between(first, first, 3), first.expand(3, 7), atol=1e-6)
    with pytest.raises(ValueError, match="at least 2"):
        path_between(first, last, 1)


def test_each_image_is_drawn_once_in_an_epoch():
    epochs = [[draw_batch(11, 3, 5, step) for step in range(e, e + 3)] for e in (0, 3)]
    for epoch in epochs:
        assert len(torch.cat(epoch).unique()) == 9
    assert torch.cat(epochs[0]).tolist() != torch.cat(epochs[1]).tolist()
    assert torch.equal(draw_batch(11, 3, 5, 4), draw_batch(11, 3, 5, 4))
    assert not torch.equal(draw_batch(11, 3, 6, 4), draw_batch(11, 3, 5, 4))
    with pytest.raises(ValueError, match="3 of 2 images"):
        draw_batch(2, 3, 1, 0)


def test_a_view_without_changes_is_the_image():
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    how = Sampling(crop=1, flip_x=0, flip_y=0, rotation=0, colors=PLAIN)
    came = make_views(images, how, step_generator(1, 0, 0))
    assert torch.allclose(came, images / 255, atol=1e-5)
    mirrored = Sampling(crop=1, flip_x=1, flip_y=0, rotation=0, colors=PLAIN)
    came = make_views(images, mirrored, step_generator(1, 0, 0))
    assert torch.allclose(came, (images / 255).flip(3), atol=1e-5)
    turned = Sampling(crop=1, flip_x=1, flip_y=1, rotation=0, colors=PLAIN)
    came = make_views(images, turned, step_generator(1, 0, 0))
    assert torch.allclose(came, (images / 255).flip(2, 3), atol=1e-5)


def test_views_show_a_part_of_their_image_and_follow_from_the_seed():
    ramp = torch.arange(64.0).mul(4).to(torch.uint8).expand(40, 1, 64, 64)
    how = Sampling(crop=0.25, flip_x=0, flip_y=0, rotation=0, colors=PLAIN)
    came = make_views(ramp, how, step_generator(3, 0, 1))
    width = (came[..., -1] - came[..., 0]).mean(dim=(1, 2)) * 255 / 4 + 1  # columns that it shows
    assert 31 < width.min() < width.max() < 65
    assert (width**2).mean() == pytest.approx(0.625 * 64**2, rel=0.15)
    assert torch.equal(came, make_views(ramp, how, step_generator(3, 0, 1)))
    assert not torch.equal(came, make_views(ramp, how, step_generator(3, 0, 2)))


def test_a_turn_beyond_the_border_shows_no_black():
    white = torch.full((8, 1, 32, 32), 255, dtype=torch.uint8)
    how = Sampling(rotation=180, colors=PLAIN)
    assert make_views(white, how, step_generator(1, 0, 0)).min() > 0.999
