"""Find pen on a slide by colours that no stain has, in strokes that are wide and even.

Stains absorb green the most (eosin, haematoxylin) or blue (DAB); of the ratios of the optical
densities red / green / blue, eosin has .07/.99/.11, haematoxylin .65/.70/.29, DAB .27/.57/.78 and
AEC .27/.68/.68. Blue and green ink absorb red the most; red ink absorbs green and blue alike and
no red; black ink absorbs all alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_STROKE_UM = 120.0  # narrower than any felt tip, wider than what looks like ink in tissue
_GROW_UM = 120.0  # how far the pale rim of a stroke reaches


def pen_marks(density: NDArray[np.float32], mpp: float) -> Mask:
    """Return where a slide was written on.

    Parameters
    ----------
    density
        Natural optical density against the glass, red, green, blue, shape (3, Y, X).
    mpp
        Microns per pixel, about 8.

    Returns
    -------
    bool, shape (Y, X), the pale rims of the strokes included.
    """
    from scipy import ndimage

    red, green, blue = density
    least, mean = density.min(axis=0), density.mean(axis=0)
    spread = density.max(axis=0) - least
    cool = (red > 1.25 * green + 0.05) & (red > 0.35)
    warm = (green > 1.0) & (blue > 0.75 * green) & (red < 0.3 * green)
    black = (least > 1.0) & (spread < 0.2 * mean)
    rims = {
        "cool": (red > 1.1 * green) & (red > 0.08),
        "warm": (green > 0.15) & (blue > 0.7 * green) & (red < 0.35 * green),
        "black": (mean > 0.15) & (spread < 0.3 * mean),
    }
    found = np.zeros(red.shape, bool)
    stroke = max(2, round(_STROKE_UM / mpp))
    for name, colour in (("cool", cool), ("warm", warm), ("black", black)):
        core = opened(colour, stroke)
        if core.any():
            core = ndimage.binary_dilation(core, iterations=2, mask=colour | rims[name])
            steps = max(1, round(_GROW_UM / mpp))
            grown = ndimage.binary_dilation(core, iterations=steps, mask=colour | rims[name])
            found |= ndimage.binary_dilation(grown, iterations=2)
    return found


def opened(mask: Mask, side: int) -> Mask:
    """Return the part of `mask` (Y, X) that squares of `side` pixels cover from inside."""
    from scipy import ndimage

    if side < 2 or not mask.any():
        return mask
    # Filters by rows, then columns: ten times as fast as a structuring element of that size.
    cored = ndimage.minimum_filter(mask.view(np.uint8), side, mode="nearest")
    shift = -((side + 1) % 2)  # an even square has no middle: go back the way it came
    return np.asarray(ndimage.maximum_filter(cored, side, mode="nearest", origin=shift), dtype=bool)
