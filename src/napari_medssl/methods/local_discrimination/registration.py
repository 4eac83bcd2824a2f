"""Where each cell of a template lies in another image, from the embeddings of both.

One point alone is easily taken for another of the same look; all of an image together are not. So
before a landmark is searched for, the whole template is laid over the image: first by an affine
map, then by a smooth field. The published method has no such step and takes the best match of the
whole image.

Source: the coupled convex search of Heinrich, Papiez, Schnabel and Handels, *Non-parametric
Discrete Registration with Convex Optimisation*, WBIR 2014, equations 3 and 4: in turns, each cell
takes the place that is most alike but not far from the field, and the field is smoothed. We
differ: a cell takes the mean of all places weighted by how alike they are, cells that are alike
count more in the smoothing, and an affine map comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.averaging import bell


@dataclass(frozen=True, slots=True)
class Registration:
    """How a template is laid over an image.

    Attributes
    ----------
    pulls
        Of each turn, what a distance of a whole width of the image costs in cosine, growing.
    affine_turns
        Of these turns, the first so many give an affine map; the others a smooth field.
    sharpness
        Inverse temperature of the mean over places, per unit of cosine.
    smoothness
        Width of the Gaussian that smooths the field, in cells.
    """

    pulls: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 60.0, 100.0)
    affine_turns: int = 2
    sharpness: float = 40.0
    smoothness: float = 2.5


def register(template: Tensor, image: Tensor, how: Registration | None = None) -> Tensor:
    """Return where each cell of a template lies in an image, shape (H, W, 2).

    Places are (x, y) in widths of the image: x from 0 to 1, y from 0 to height / width. Sides of
    cells may differ between both.

    Parameters
    ----------
    template, image
        Coarse embeddings of unit length, shapes (D, H, W) and (D, H', W').
    how
        See `Registration`.

    Notes
    -----
    With H W and H' W' cells it takes memory and time of their product: some hundred each are meant.
    """
    how = how or Registration()
    height, width = template.shape[1:]
    cells, places = centres(template), centres(image)
    alike = template.flatten(1).T @ image.flatten(1)  # (cells, places)
    stretch = (image.shape[1] / image.shape[2]) / (height / width)
    field = cells * cells.new_tensor([1.0, stretch])
    for turn, pull in enumerate(how.pulls):
        # |f - p|^2 without |f|^2, which is the same for all places and falls out of the softmax:
        # a product of matrices takes a third of the time of all the differences.
        nearness = torch.addmm(-places.square().sum(dim=1), field, places.T, alpha=2)
        shares = torch.softmax((alike + pull * nearness) * how.sharpness, dim=1)
        wanted = shares @ places
        trust = (shares * alike).sum(dim=1).clamp(min=1e-3).square()
        field = _affine(cells, wanted, trust)
        if turn >= how.affine_turns:
            rest = (wanted - field).T.reshape(2, height, width)
            weights = trust.reshape(1, height, width)
            smooth = _smoothed(rest * weights, how.smoothness) / _smoothed(weights, how.smoothness)
            field = field + smooth.flatten(1).T
    return field.reshape(height, width, 2)


def centres(maps: Tensor) -> Tensor:
    """Return the middles of the cells of maps (D, H, W), in rows, (x, y) in widths: (H * W, 2)."""
    height, width = maps.shape[1:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=maps.device),
        torch.arange(width, device=maps.device),
        indexing="ij",
    )
    return (torch.stack([columns.flatten(), rows.flatten()], dim=1) + 0.5).to(maps) / width


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Return the values of maps (D, H, W) at points (N, 2), (x, y) in widths: shape (N, D).

    Between the middles of cells they are interpolated; beyond the outermost they stay.
    """
    height, width = maps.shape[1:]
    grid = points * points.new_tensor([2.0, 2.0 * width / height]) - 1
    found = F.grid_sample(maps[None], grid[None, None], align_corners=False, padding_mode="border")
    return found[0, :, 0].T


def place_of(field: Tensor, points: Tensor) -> Tensor:
    """Return where points (N, 2) of the template lie in the image, by the field of `register`."""
    return sample(field.permute(2, 0, 1), points)


def _affine(cells: Tensor, wanted: Tensor, trust: Tensor) -> Tensor:
    """Return the places of cells under the affine map that fits best; without any, none moves."""
    ones = cells.new_ones(len(cells), 1)
    source = torch.cat([cells, ones], dim=1)  # (N, 3)
    # A little faith in no change at all: cells in one line leave the map open.
    faith = torch.diag(cells.new_tensor([1e-4, 1e-4, 1e-6])) * trust.sum()
    same = cells.new_tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    weighted = trust[:, None] * source
    matrix: Tensor = torch.linalg.solve(
        source.T @ weighted + faith, weighted.T @ wanted + faith @ same
    )
    return source @ matrix


def _smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Return maps (D, H, W) smoothed by a Gaussian; the outermost cells go on beyond it."""
    reach = max(1, round(2 * sigma))
    side = 2 * reach + 1
    weights = bell(side, sigma / side).to(maps)
    planes = maps[:, None]
    across = F.pad(planes, (reach, reach, 0, 0), mode="replicate")
    across = F.conv2d(across, weights.view(1, 1, 1, -1))
    down = F.pad(across, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(down, weights.view(1, 1, -1, 1))[:, 0]
