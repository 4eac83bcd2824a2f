"""What segments vessels without training: intensity, ridge filters, darkness.

Frangi et al., MICCAI 1998, and Sato et al., Medical Image Analysis 1998, by scikit-image; k-means
on intensity. All look at the same flattened channel and field of view as shape-guided models do.
Filters give no classes, so each gets the one threshold that is best on the very images it is
scored by: their figures are better than what can be had without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medssl.backend.flat_pictures import FlatPicture
from napari_medssl.backend.segmentation_scores import dice

FITTED = "one threshold fitted on these images"

_SIGMAS = (1.5, 2.5, 3.5, 5.0)  # pixels, of ridge filters
_REACH = 12.0  # pixels, of the background that darkness is measured against
_GRID = np.linspace(0.70, 0.99, 30)  # quantiles that are tried as thresholds

Response = Callable[[FlatPicture], NDArray[np.float32]]


def darkness(flat: FlatPicture) -> NDArray[np.float32]:
    """Return how much darker each pixel is than the blurred background, shape (Y, X)."""
    plane = ndimage.gaussian_filter(flat.plane.astype(np.float32), 1.0)
    return np.asarray(ndimage.gaussian_filter(plane, _REACH) - plane)


def frangi(flat: FlatPicture) -> NDArray[np.float32]:
    """Return Frangi's vesselness of dark ridges, shape (Y, X)."""
    from skimage.filters import frangi as vesselness

    found = vesselness(flat.plane / 255.0, sigmas=_SIGMAS, black_ridges=True)
    return np.asarray(found, np.float32)


def sato(flat: FlatPicture) -> NDArray[np.float32]:
    """Return Sato's tubeness of dark ridges, shape (Y, X)."""
    from skimage.filters import sato as tubeness

    return np.asarray(tubeness(flat.plane / 255.0, sigmas=_SIGMAS, black_ridges=True), np.float32)


def k_means(flat: FlatPicture) -> NDArray[np.bool_]:
    """Return the darker of two clusters of intensity inside the field of view, shape (Y, X)."""
    from skimage.filters import threshold_otsu

    values = flat.plane[flat.inside]
    # Otsu's threshold is where 2-means of one-dimensional data comes to rest at its best.
    level = threshold_otsu(values) if values.size and values.min() < values.max() else 0
    return np.asarray(flat.inside & (flat.plane <= level))


FILTERS: dict[str, Response] = {"Frangi": frangi, "Sato": sato, "darkness": darkness}


def best_threshold(
    responses: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.bool_]]
) -> float:
    """Return the one threshold of responses with the best mean DSC, 1 where there is nothing.

    Parameters
    ----------
    responses
        Of each image, shape (Y, X); minus infinity outside the field of view.
    truths
        Masks of the same shapes.
    """
    inside = np.concatenate([one[np.isfinite(one)][::7] for one in responses])
    levels = np.unique(np.quantile(inside, _GRID))
    means = [
        np.mean(
            [
                dice(one > level, truth, both_empty=1.0)
                for one, truth in zip(responses, truths, strict=True)
            ]
        )
        for level in levels
    ]
    return float(levels[int(np.argmax(means))])
