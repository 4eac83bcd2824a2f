"""A whole mask put into a Labels layer as one step of its undo, however many pixels it changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.state.mask_boxes import changed_box


def put_as_step(layer: Any, mask: NDArray[np.uint8]) -> None:
    """Let a Labels layer show a mask; one step of its undo takes that back.

    The public way is `data_setitem`, which wants and keeps the indices of each changed pixel: for
    12 megapixels 2 s on the GUI thread and 216 MB. napari's history takes whatever indexes the
    pixels, so the step is the rectangle that changed with its pixels of before and of now.

    Parameters
    ----------
    layer
        A Labels layer of two dimensions; who calls refreshes it.
    mask
        Class numbers, of the shape (Y, X) of the layer; it is copied.
    """
    box = changed_box(mask, layer.data)
    if box is None:
        return
    save = getattr(layer, "_save_history", None)
    if save is None:  # napari keeps its history in another way now
        where = np.nonzero(layer.data != mask)
        layer.data_setitem(where, mask[where])
        return
    former, now = layer.data[box].copy(), mask[box].astype(layer.data.dtype)
    layer.data[box] = now
    save((box, former, now))
