"""Find the point of an image that looks like a landmark of the template.

Source: Chen et al., arXiv 2108.09440, whose code for it is not released: the similarity of a
landmark and a pixel is the cosine of their embeddings, each averaged around its middle by a bell.

    published   M(p) = < normalise(sum_d W(d) v(p + d)), normalise(sum_d W(d) s(t + d)) >
    window      M(p) = sum_d W(d) < v(p + d), s(t + d) >

We differ: `similarity_maps` is the second form. The first forgets how its window is laid out, the
second compares pixel with pixel; `centre_average` and a window of one pixel give the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.local_discrimination.averaging import bell
from napari_medssl.methods.local_discrimination.registration import centres, sample


@dataclass(frozen=True, slots=True)
class Peak:
    """A place that is like the landmark.

    Attributes
    ----------
    x, y
        Place in widths of the image, x right, y down; a pixel's middle is at its index plus .5.
    score
        Height of the peak: what was searched, such as a cosine less what the distance costs.
    """

    x: float
    y: float
    score: float


def landmark_windows(maps: Tensor, points: Tensor, window: int) -> Tensor:
    """Return the embeddings around points of the template, shape (N, D, window, window).

    Parameters
    ----------
    maps
        Embeddings of the template, of unit length, shape (D, H, W).
    points
        (x, y) in widths of the template, shape (N, 2).
    window
        Side in cells of the map, odd.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"A window of {window} cells has no middle; due is an odd number.")
    steps = (torch.arange(window).to(points) - window // 2) / maps.shape[2]
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    around = torch.stack([columns, rows], dim=2).reshape(1, -1, 2) + points[:, None]
    found = sample(maps, around.reshape(-1, 2)).reshape(len(points), window, window, -1)
    return found.permute(0, 3, 1, 2)


def similarity_maps(windows: Tensor, maps: Tensor, sigma: float | None = 0.3) -> Tensor:
    """Return how like each landmark every cell of an image is, shape (N, H, W), at most 1.

    Parameters
    ----------
    windows
        Of `landmark_windows`, shape (N, D, S, S).
    maps
        Embeddings of the image, of unit length, shape (D, H, W).
    sigma
        Width of the bell, as a part of the side S; None weights all of the window alike.
    """
    side = windows.shape[2]
    weights = bell(side, sigma).to(windows)
    kernels = windows * weights[:, None] * weights
    reach = side // 2
    padded = F.pad(maps[None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(padded, kernels)[0]


def pulled(similarity: Tensor, place: Tensor, pull: float, most: float = float("inf")) -> Tensor:
    """Return similarity maps (N, H, W) less what the distance from a place (N, 2) costs.

    Parameters
    ----------
    similarity
        Of `similarity_maps`.
    place
        Where each landmark is expected, (x, y) in widths, such as `registration.place_of` gives.
    pull
        What a distance of a whole width costs; it grows with the square.
    most
        What any distance costs at most, so that a place expected wrongly can be overruled.
    """
    cells = centres(similarity)
    squares = (place[:, None] - cells[None]).square().sum(dim=2)
    return similarity - (pull * squares.reshape(similarity.shape)).clamp(max=most)


def find_peaks(score: Tensor, count: int, apart: float = 0.05) -> list[Peak]:
    """Return the highest places of a map, the highest first, between cells.

    Parameters
    ----------
    score
        Shape (H, W).
    count
        Most peaks.
    apart
        Least distance between two of them, in widths of the image; nothing nearer to a higher one
        is a peak.
    """
    width = score.shape[1]
    cells = centres(score[None])
    is_top = score >= F.max_pool2d(score[None], 3, stride=1, padding=1)[0]  # not a mere slope
    left = score.masked_fill(~is_top, -torch.inf).flatten()
    found: list[Peak] = []
    for _ in range(count):
        best = int(left.argmax())
        if not torch.isfinite(left[best]):
            break
        row, column = divmod(best, width)
        down, up = _vertex(score[:, column], row)
        right, across = _vertex(score[row], column)
        peak = float(score[row, column]) + up + across
        found.append(Peak((column + 0.5 + right) / width, (row + 0.5 + down) / width, peak))
        near = (cells - cells[best]).square().sum(dim=1) < apart**2
        left[near] = -torch.inf
        left[best] = -torch.inf
    return found


def _vertex(line: Tensor, middle: int) -> tuple[float, float]:
    """Return where beside the middle the parabola through three values is highest, and how far up.

    At the border, and where the middle is not the highest, it is the middle itself.
    """
    if not 0 < middle < len(line) - 1:
        return 0.0, 0.0
    before, here, after = (float(value) for value in line[middle - 1 : middle + 2])
    bend = before - 2 * here + after
    if bend >= 0 or here < max(before, after):
        return 0.0, 0.0
    shift = (before - after) / (2 * bend)
    return shift, (before - after) * shift / -4
