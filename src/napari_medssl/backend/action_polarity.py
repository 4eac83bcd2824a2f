"""Whether a training shows negatives: its images have light grounds and dark ones.

Where nuclei glow on black in some images and are stained on white in others, a network that was
shown masks of one kind alone finds nothing in the other: it has learnt which side of an edge is the
object. In a negative (intensity inversion, a usual augmentation) the sides are swapped. Where all
images are of one kind that says something about them, so negatives are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.pixels import thin_out

INVERT = ("auto", "always", "never")
INVERT_HELP = (
    "Show negatives too, so that dark objects on a light ground are found where light ones on a "
    "dark ground were painted, and the reverse: auto does if there are images of both kinds."
)
_SHARE = 0.2  # of strong views
_HALF = 128  # of 255


def inverted_share(asked: str, images: Iterable[NDArray[np.uint8]]) -> float:
    """Return the chance with which a strong view is a negative.

    Parameters
    ----------
    asked
        One of `INVERT`.
    images
        All that a training sees, labelled or not, uint8, each of shape (Y, X) or (Y, X, C).
    """
    if asked == "auto":
        return _SHARE if len({_is_light(pixels) for pixels in images}) > 1 else 0.0
    return _SHARE if asked == "always" else 0.0


def _is_light(pixels: NDArray[np.uint8]) -> bool:
    """Return whether more than half of the values are in the upper half."""
    return bool((np.asarray(thin_out(pixels), np.uint8) >= _HALF).mean() > 0.5)
