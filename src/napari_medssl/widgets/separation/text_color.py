"""Which colour words need to be read on a part of an image: stained tissue, plots, black scans.

No single colour does on all of them, and napari draws words without a halo or a plate. So the
colour follows the pixels underneath, by the contrast ratio of WCAG 2.2 (relative luminance).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Unlike the black and white letters of publications, as long as these can be read.
_WANTED = ("#8f0052", "#ffe14d")
_ELSE = ("#000000", "#ffffff")
ENOUGH = 4.5  # WCAG level AA for normal text
_HARDEST = 20  # percentile of the contrasts under a word that has to do
_MOST_PIXELS = 500
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the relative luminance of pixels (N, 3) in sRGB, shape (N,), 0 to 1."""
    values = pixels.astype(float) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    found: NDArray[np.float64] = linear @ _WEIGHTS
    return found


def contrast(color: str, ground: NDArray[np.float64]) -> float:
    """Return the contrast ratio of a colour "#rrggbb" that most of a ground reaches, 1 to 21."""
    rgb = np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)]], np.uint8)
    own = luminance(rgb)[0]
    ratios = (np.maximum(own, ground) + 0.05) / (np.minimum(own, ground) + 0.05)
    return float(np.percentile(ratios, _HARDEST))


def readable_color(pixels: NDArray[np.uint8]) -> str:
    """Return the colour for words over pixels (Y, X, 3); the first wanted one without pixels."""
    flat = pixels.reshape(-1, 3)
    if not len(flat):
        return _WANTED[0]
    ground = luminance(flat[:: 1 + len(flat) // _MOST_PIXELS])
    for color in _WANTED:
        if contrast(color, ground) >= ENOUGH:
            return color
    return max((*_ELSE, *_WANTED), key=lambda color: contrast(color, ground))
