"""Centre-sensitive averaging: the embeddings around a point, weighted by a bell around it.

Source: Chen et al., arXiv 2108.09440, whose code for it is not released. A cell of training and
the window of matching are averaged alike, so an embedding learns to tell the middle of its
surroundings.

    v'(p) = normalise( sum over q in window(p) of W(q - p) v(q) ),   W(d) = exp(-|d|^2 / (2 s^2))

We differ: the paper prints neither the bell nor its width; ours is a Gaussian, and s is given as a
part of the window's side. Without s the average is flat.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def bell(size: int, sigma: float | None) -> Tensor:
    """Return weights along one side of a window, shape (size,), that add up to 1.

    The bell of a window is the outer product of two: a Gaussian falls apart into its axes.

    Parameters
    ----------
    size
        Pixels of the side; the middle lies between two of them if it is even.
    sigma
        Width of the bell as a part of the side; None for a flat window.
    """
    if size < 1 or (sigma is not None and sigma <= 0):
        raise ValueError(f"A window of {size} pixels and sigma {sigma!r}; due are more than 0.")
    if sigma is None:
        return torch.full((size,), 1 / size)
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
    weights = torch.exp(-place.square() / (2 * sigma**2))
    return (weights / weights.sum()).float()


def cell_embeddings(embeddings: Tensor, grid: int = 8, sigma: float | None = 0.25) -> Tensor:
    """Return one embedding of unit length for each cell of a grid, shape (B, G * G, D).

    Parameters
    ----------
    embeddings
        Map of pixels, shape (B, D, H, W); both sides are multiples of `grid`.
    grid
        Cells along a side, G; cells are in rows, as pixels are.
    sigma
        As for `bell`, of the side of a cell.
    """
    batch, dim, height, width = embeddings.shape
    if height % grid or width % grid:
        raise ValueError(f"A map of {height} x {width} pixels has no {grid} x {grid} even cells.")
    rows, columns = height // grid, width // grid
    down = bell(rows, sigma).to(embeddings)
    across = bell(columns, sigma).to(embeddings)
    cells = embeddings.view(batch, dim, grid, rows, grid, columns)
    averages = torch.einsum("bdgrhc,r,c->bghd", cells, down, across)
    return F.normalize(averages.reshape(batch, grid * grid, dim), dim=2)


def centre_average(embeddings: Tensor, window: int, sigma: float | None = 0.25) -> Tensor:
    """Return the average around every pixel, of unit length, shape (B, D, H, W).

    Beyond the border there is nothing: there the average is of the pixels that are.

    Parameters
    ----------
    embeddings
        Map of pixels, shape (B, D, H, W).
    window
        Side of the window in pixels of the map; an odd number, so that it has a middle.
    sigma
        As for `bell`, of the side of the window.
    """
    if window % 2 == 0:
        raise ValueError(f"A window of {window} pixels has no middle; due is an odd number.")
    dim = embeddings.shape[1]
    weights = bell(window, sigma).to(embeddings).expand(dim, 1, 1, window)
    across = F.conv2d(embeddings, weights, padding=(0, window // 2), groups=dim)
    both = F.conv2d(across, weights.transpose(2, 3), padding=(window // 2, 0), groups=dim)
    return F.normalize(both, dim=1)


def coarse_embeddings(embeddings: Tensor, factor: int) -> Tensor:
    """Return the embeddings at a coarser scale, shape (B, D, H/f, W/f), sides rounded up.

    They are flat averages of unit length: what patch discrimination trains, so nothing else needs
    to be learnt for a search from coarse to fine.

    Parameters
    ----------
    embeddings
        Map of pixels, shape (B, D, H, W).
    factor
        Pixels of the map to one of the coarser one, along a side, f.
    """
    return F.normalize(F.avg_pool2d(embeddings, factor, ceil_mode=True), dim=1)
