"""Find tissue on a low level of a slide: colour against the glass, then a flood along edges.

The glass is fitted as a smooth surface, so uneven light and tinted glass cancel. What has colour
and texture is surely tissue, what has neither surely glass, and a watershed on the gradient shares
out the rest: a halo of washed-out stain has colour but no edge and goes to the glass, a smooth
cortex is closed in by its edge and goes to the tissue. Grey things (bubbles, cover-slip edges,
shadows, dust) absorb all colours alike and are no candidates. Pen is found by `io.pen_marks`.

Limits: tissue without any colour (silver stains, unstained sections) is not found, and tissue
under a pen mark is lost with the mark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.local_filters import opened, texture
from napari_medssl.io.pen_marks import pen_marks
from napari_medssl.io.slides.protocol import Pixels

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]
Planes = NDArray[np.float32]  # red, green, blue: (3, Y, X)

WORKING_MPP = 8.0
"""Microns per pixel at which tissue is looked for; finer pictures are averaged down to it."""

MIN_AREA_UM2 = 10_000.0
"""Specks below this are dropped: a fragment of 100 x 100 microns."""

MAX_HOLE_UM2 = 40_000.0
"""Holes below this are filled: fat cells, small vessels and glands belong to the tissue."""

_CLOSING_UM = 40.0  # joins the walls of fat cells, which are about 80 microns wide
_FAINT = 0.03  # optical density: 7 grey levels of 240
_STRONG = 0.25  # more colour than washed-out stain ever has
_QUIET = 0.007  # most standard deviation of optical density in a window of glass
_ROUGH = (0.008, 0.02)  # least of tissue, in pale and in strong sections
_GLASS_UM = 104.0  # glass is quiet over squares of this side, loose tissue is not
_LEAST_GLASS = 0.005  # part of the picture; below it the picture is all tissue


@dataclass(frozen=True, slots=True)
class _Seen:
    """Natural optical density against the glass, shape (3, Y, X).

    `tint` is the noise of its colour in the glass, `grain` the texture of the glass.
    """

    density: Planes
    tint: float
    grain: float


def tissue_mask(
    rgb: Pixels,
    mpp: float | None,
    *,
    min_area_um2: float = MIN_AREA_UM2,
    max_hole_um2: float = MAX_HOLE_UM2,
) -> Mask:
    """Return where a low level of a slide shows tissue.

    Parameters
    ----------
    rgb
        uint8, shape (Y, X, 3); best at 4 to 16 microns per pixel.
    mpp
        Microns per pixel of `rgb`. None is taken as 8, so that the areas below are then counted
        in pixels of 64 square microns.
    min_area_um2
        Connected pieces of less area are dropped, in square microns.
    max_hole_um2
        Holes of less area are filled, in square microns; those that are pen or black are not.

    Returns
    -------
    bool, shape (Y, X).

    Raises
    ------
    UserError
        If `rgb` is no picture or `mpp` no size of a pixel.
    """
    _check(rgb, mpp)
    work, factor = _shrink(rgb, WORKING_MPP if mpp is None else mpp)
    step = (WORKING_MPP if mpp is None else mpp) * factor
    void = _black_fill(work, step)
    seen = _against_glass(work, void, step)
    if seen is None:
        found, banned = _bright_on_dark(work), void
    else:
        banned = void | pen_marks(seen.density, step)
        found = _flood(seen, banned)
    found = _tidy(found, banned, (min_area_um2 / step**2, max_hole_um2 / step**2), step)
    return _enlarge(found, factor, rgb.shape[:2])


def _check(rgb: Pixels, mpp: float | None) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise UserError(
            f"Tissue is looked for in a picture of shape {rgb.shape} and type {rgb.dtype}; due is "
            "uint8 RGB of shape (Y, X, 3)."
        )
    if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
        raise UserError(f"mpp is {mpp!r}; due are microns per pixel, such as 8.")


def _shrink(rgb: Pixels, mpp: float) -> tuple[Planes, int]:
    """Return the means of blocks of pixels near the working size, (3, y, x), and their side.

    An incomplete last block is filled up with its last pixels.
    """
    factor = max(1, round(WORKING_MPP / mpp))
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    if factor == 1:
        return planes.astype(np.float32), 1
    height, width = rgb.shape[:2]
    padded = np.pad(planes, ((0, 0), (0, -height % factor), (0, -width % factor)), mode="edge")
    blocks = padded.reshape(3, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor)
    return blocks.mean(axis=(2, 4), dtype=np.float32), factor


def _enlarge(mask: Mask, factor: int, shape: tuple[int, int]) -> Mask:
    if factor == 1:
        return mask
    big = np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)
    return np.ascontiguousarray(big[: shape[0], : shape[1]])


def _black_fill(work: Planes, step: float) -> Mask:
    """Return where a scanner has filled what it did not scan with black."""
    from scipy import ndimage

    core = opened(work.max(axis=0) <= 16, max(3, round(80 / step)))
    return np.asarray(ndimage.binary_dilation(core, iterations=2)) if core.any() else core


def _against_glass(work: Planes, void: Mask, step: float) -> _Seen | None:
    """Return what the picture absorbs more than its glass, None if the ground is dark."""
    logs = np.log(np.maximum(work, 4.0))
    luma, highest = work.mean(axis=0), work.max(axis=0)
    rough = texture(logs.mean(axis=0))
    quiet = (rough < _QUIET) & ~void
    tint = (highest - work.min(axis=0)) / np.maximum(highest, 1)
    clear = opened(quiet & (luma > 100) & (tint < 0.2), max(3, round(_GLASS_UM / step)))
    if clear.sum() < max(16, _LEAST_GLASS * (~void).sum()):
        dark = int((quiet & (luma < 60)).sum() + void.sum())
        if dark > 0.05 * luma.size and luma.mean() < 110:
            return None
        return _Seen(np.float32(math.log(245.0)) - logs, 0.0, 0.0)
    # The commonest colour of what is clear; more than 25 % darker is no shading but something.
    common = np.median(logs[:, clear & (luma > _mode(luma[clear]) - 6)], axis=1)
    apart = logs - common[:, None, None]
    clear &= (np.abs(apart).max(axis=0) < 0.3) & (_spread(apart) < 0.1)
    surface = _fit_glass(logs, clear)
    density = np.asarray(surface - logs, np.float32)
    return _Seen(
        density,
        tint=1.4826 * float(np.median(_spread(density)[clear])),
        grain=float(np.median(rough[clear])),
    )


def _mode(values: Plane) -> float:
    counts, edges = np.histogram(values, bins=128, range=(0.0, 256.0))
    return float(edges[int(np.argmax(counts))])


def _fit_glass(logs: Planes, clear: Mask) -> Planes:
    """Fit a surface of second order to each channel, dropping what lies off it, four times."""
    height, width = clear.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    places = np.flatnonzero(clear)
    places = places[:: max(1, len(places) // 20_000)]
    at, values = terms.reshape(6, -1)[:, places].T, logs.reshape(3, -1)[:, places].T
    kept = np.ones(len(at), bool)
    for _ in range(4):
        factors = np.linalg.lstsq(at[kept], values[kept], rcond=None)[0]
        left = np.abs(values - at @ factors).max(axis=1)
        kept = left <= max(0.01, 3 * 1.4826 * float(np.median(left[kept])))
    surface = np.tensordot(factors.T.astype(np.float32), terms, axes=1)
    # Where no glass was seen the surface is a guess: hold it within what was seen.
    low, high = values[kept].min(axis=0) - 0.02, values[kept].max(axis=0) + 0.02
    return np.asarray(np.clip(surface, low[:, None, None], high[:, None, None]), np.float32)


def _flood(seen: _Seen, banned: Mask) -> Mask:
    """Grow sure tissue and sure glass towards each other; they meet on the edges."""
    from scipy import ndimage
    from skimage.segmentation import watershed

    density = ndimage.gaussian_filter(seen.density, (0, 0.7, 0.7))
    colour, mean = _spread(density), density.mean(axis=0)
    faint = max(_FAINT, 3 * seen.tint)
    roughness = texture(seen.density.mean(axis=0))
    # Grey is what absorbs all colours alike, however dark.
    grey = colour < 0.12 * mean
    # The window of the texture reaches over the edge: only its darker side is tissue.
    is_inner = mean >= ndimage.uniform_filter(mean, 5)
    candidate = (colour > 1.5 * faint) & ~grey & ~banned
    least = _least_texture(mean[candidate], seen.grain)
    is_tissue = candidate & (((roughness > least) & is_inner) | (colour > _STRONG))
    if not is_tissue.any():
        return np.asarray(is_tissue)
    is_glass = (colour < faint) & (roughness < min(_QUIET, max(least / 2, 2 * seen.grain)))
    marks = np.zeros(colour.shape, np.int8)
    marks[is_glass | grey | banned], marks[is_tissue] = 1, 2
    slope = np.hypot(ndimage.sobel(mean, 0), ndimage.sobel(mean, 1))
    open_field = ndimage.binary_dilation(marks == 0, np.ones((3, 3)))  # the rest is decided
    flooded = watershed(slope, marks, mask=open_field)
    found = (np.where(open_field, flooded, marks) == 2) & (mean > faint / 2)
    # A halo beside its tissue has no edge between; drain what is smooth and open to the outside.
    smooth = (ndimage.maximum_filter(roughness, 3) < least / 2) & (colour < _STRONG)
    drained = ndimage.binary_propagation(~found, mask=~found | smooth)
    return np.asarray(found & ~drained)


def _least_texture(densities: Plane, grain: float) -> float:
    """Return how much texture is surely tissue: less where the whole section is pale.

    Beside strong tissue the halo and the artefacts of JPEG have more texture than a pale section.
    """
    strong = float(np.percentile(densities, 90)) if densities.size else 0.0
    return max(float(np.clip(0.06 * strong, *_ROUGH)), 4 * grain)


def _bright_on_dark(work: Planes) -> Mask:
    """Return what shines on a dark ground: fluorescence, or a section cut out on black."""
    from skimage.filters import threshold_otsu

    luma = work.mean(axis=0)
    ground = float(np.median(luma[luma <= np.percentile(luma, 20)]))
    above = np.asarray(luma > ground + 8)
    if not above.any() or above.all():
        return above
    # A third of the way: Otsu alone loses the dim parts of what is bright.
    limit = ground + max(8.0, (float(threshold_otsu(luma)) - ground) / 3)
    return np.asarray(luma > limit)


def _tidy(found: Mask, banned: Mask, areas: tuple[float, float], step: float) -> Mask:
    """Close thin gaps, fill small holes, drop specks; areas are in pixels."""
    from scipy import ndimage

    closing = _disk(_CLOSING_UM / step)
    reach = len(closing) // 2
    closed = ndimage.binary_closing(np.pad(found, reach, mode="edge"), closing)
    joined = closed[reach:-reach, reach:-reach] if reach else closed
    # What touches the border may go on beyond it: no hole.
    filled = ~_without_small(~joined, areas[1], keep_border=True)
    return _without_small(filled & ~banned, areas[0])


def _without_small(mask: Mask, least: float, *, keep_border: bool = False) -> Mask:
    """Drop the connected pieces of fewer than `least` pixels."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= least
    if keep_border:
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[edge] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _spread(planes: Planes) -> Plane:
    """Return the range of the channels, shape (Y, X): how far a colour is from grey."""
    return np.asarray(planes.max(axis=0) - planes.min(axis=0))


def _disk(radius: float) -> Mask:
    reach = int(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(x * x + y * y <= radius * radius)
