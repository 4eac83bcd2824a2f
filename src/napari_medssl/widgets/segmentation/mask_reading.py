"""Read an image and its mask, off the GUI thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_files import read_class_file
from napari_medssl.io.field_of_view import small_field_of_view
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets._warm_layers import wait_for_labels

Mask = NDArray[np.uint8]
View = NDArray[np.bool_]


def read_both(ref: ImageRef, mask: Mask | None, file: Path | None) -> tuple[Mask, Mask, View]:
    """Return pixels of an image, its mask, from the disk unless given, and its field of view.

    UserError if one cannot be read, or the mask is of another size.
    """
    pixels = read_image(ref, robust=True)
    size = pixels.shape[:2]
    if mask is None:
        mask = np.zeros(size, np.uint8) if file is None else read_class_file(file)
    if mask.shape != size:
        raise UserError(
            f"The mask of {ref.name!r} has {mask.shape[1]} x {mask.shape[0]} pixels, the image "
            f"{size[1]} x {size[0]}: the image was changed. Segment it again."
        )
    view = small_field_of_view(pixels)
    wait_for_labels()
    return pixels, mask, view
