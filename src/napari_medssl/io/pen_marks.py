"""Find pen on a slide by colours that no stain has, in strokes that are wide and even.

Stains absorb green the most (eosin, haematoxylin) or blue (DAB); of the ratios of the optical
densities red / green / blue, eosin has .07/.99/.11, haematoxylin .65/.70/.29, DAB .27/.57/.78 and
AEC .27/.68/.68. Blue and green ink absorb red the most; red ink absorbs green and blue alike and
no red; black ink absorbs all alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.local_filters import opened, texture

Mask = NDArray[np.bool_]

_STROKE_UM = 120.0  # narrower than any felt tip, wider than what looks like ink in tissue
_EVEN = 0.01  # standard deviation of density in 3 x 3 pixels; bone has 0.03
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

    even = texture(density.mean(axis=0)) < _EVEN
    density = ndimage.gaussian_filter(density, (0, 1, 1))  # dark ink is noisy in its logarithm
    red, green, blue = density
    least, mean = density.min(axis=0), density.mean(axis=0)
    spread = density.max(axis=0) - least
    cool = (red > 1.25 * green + 0.05) & (red > 0.35)
    # Bone and muscle in strong eosin are as red as some ink, but never as pure nor as even.
    is_pure = (red < 0.12 * green) | ((red < 0.3 * green) & even)
    warm = (green > 1.0) & (blue > 0.7 * green) & is_pure
    black = (least > 1.0) & (spread < 0.2 * mean)
    rims = {
        "cool": (red > 1.1 * green) & (red > 0.08),
        "warm": (green > 0.15) & (blue > 0.65 * green) & (red < 0.35 * green),
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
