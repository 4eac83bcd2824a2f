"""One slice of a NIfTI file as a picture: what "heart.nii.gz#page=3" names.

It is the slice, and has the line to 8 bits, that `medssl segment heart.nii.gz` sees.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.volumes import open_volume
from napari_medssl.io.volumes.volume import Volume


def read_slice(path: Path, page: int | None) -> NDArray[np.uint8]:
    """Return slice `page` (from 1) as uint8 RGB, shape (Y, X, 3); None: the only one."""
    with open_volume(path) as volume:
        return volume.picture(_index(volume, page))


def slice_size(path: Path, page: int | None) -> tuple[int, int]:
    """Return (width, height) of what `read_slice` gives, from the header alone."""
    with open_volume(path) as volume:
        _index(volume, page)
        return volume.shape[2], volume.shape[1]


def count_slices(path: Path) -> int:
    """Return how many slices a file has, from the header alone."""
    with open_volume(path) as volume:
        return volume.shape[0]


def pixel_spacing(path: Path) -> tuple[float, float] | None:
    """Return the distance of pixels `(x, y)` in mm in the slices of a file, None if not known."""
    with open_volume(path) as volume:
        if volume.spacing_mm is None:
            return None
        # The header has 32 bits: 0.1 is 0.1 again.
        x, y = (float(f"{side:.7g}") for side in volume.spacing_mm[:0:-1])
        return x, y


def _index(volume: Volume, page: int | None) -> int:
    """Return the slice that is meant, from 0."""
    name, depth = volume.path.name, volume.shape[0]
    if page is None and depth > 1:
        raise UserError(
            f"Cannot read {name!r} as one picture: it has {depth} slices. Name one of them, as "
            f"'{name}#page=1'."
        )
    if page is not None and page > depth:
        raise UserError(f"Cannot read page {page} of {name!r}: it has {depth}.")
    return 0 if page is None else page - 1
