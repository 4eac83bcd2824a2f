"""The outline of a mask as a shape in pixels of level 0."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from napari_medssl._errors import UserError


def mask_outline(mask: NDArray[np.generic], downsample: float) -> BaseGeometry:
    """Return the areas where a mask is not 0, holes left out.

    The outline runs between the centres of pixels inside and outside, and is simplified by at most
    a quarter of a pixel of the mask.

    Parameters
    ----------
    mask
        Any type, shape (Y, X).
    downsample
        Level-0 pixels of a pixel of the mask.

    Raises
    ------
    UserError
        If nothing is inside.
    """
    from skimage.measure import find_contours

    inside = np.pad(np.asarray(mask) != 0, 1)
    if not inside.any():
        raise UserError("The mask is empty, so it has no outline. Paint in it first.")
    # A pixel of the mask covers `downsample` pixels; its centre lies at half of that.
    rings = [
        shapely.LinearRing((ring[:, ::-1] - 0.5) * downsample)
        for ring in find_contours(inside.astype(np.float32), 0.5)
        if len(ring) > 3
    ]
    # Rings do not cross, so being inside an odd number of them is being inside.
    shape = shapely.build_area(shapely.GeometryCollection(rings))
    simple = shapely.simplify(shape, 0.25 * downsample, preserve_topology=True)
    return simple if not simple.is_empty else shape
