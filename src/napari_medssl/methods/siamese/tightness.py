"""How tight the tiles of a class lie on a map: the picture that papers show, as a number.

Gildenblat and Klaiman (arXiv 1905.08139) show that tumour tiles lie together on a UMAP. Here that
is, for a class c of an embedding or of a map,

    tightness(c) = median distance of two tiles of c on different slides
                   / median distance of any two tiles on different slides

1 says that a class lies no closer than all tiles do; smaller is tighter. Pairs within a slide are
left out: they lie together for the slide's colours alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist


def tightness(
    places: NDArray[np.floating], classes: NDArray[np.integer], slides: NDArray[np.integer]
) -> dict[int, float]:
    """Return the tightness of each class; NaN where it has no two tiles on different slides.

    Parameters
    ----------
    places
        Of the tiles, shape (N, D); D is 2 on a map.
    classes, slides
        Numbers, shape (N,).
    """
    distance = cdist(places.astype(np.float64), places.astype(np.float64))
    is_pair = np.triu(slides[:, None] != slides[None, :], 1)
    every = float(np.median(distance[is_pair])) if is_pair.any() else 0.0
    found = {}
    for label in np.unique(classes):
        is_own = is_pair & (classes[:, None] == label) & (classes[None, :] == label)
        own = distance[is_own]
        found[int(label)] = float(np.median(own)) / every if len(own) and every else float("nan")
    return found
