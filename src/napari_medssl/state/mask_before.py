"""What a mask was before a person edited it, so that an edit that is taken back counts as none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl.state.mask_boxes import Box
from napari_medssl.state.mask_items import MaskImage

Mask = NDArray[np.uint8]
_BAND = 100_000  # pixels


@dataclass
class MaskBefore:
    """An image and its mask before the first edit.

    Attributes
    ----------
    item, mask
        As they were; the mask of shape (Y, X).
    different
        How many pixels are something else now.
    """

    item: MaskImage
    mask: Mask
    different: int = 0

    def note(self, box: Box, former: Mask, now: Mask) -> bool:
        """Take in that a rectangle changed; return whether the whole mask is as it was before.

        Parameters
        ----------
        box
            Rows and columns.
        former, now
            The pixels there before this change and after it.
        """
        first, was_other = self.mask[box], self.different > 0
        step = max(1, _BAND // max(1, first.shape[1]))
        for top in range(0, first.shape[0], step):  # what stays in the processor's cache
            band = slice(top, top + step)
            self.different += int(np.count_nonzero(now[band] != first[band]))
            if was_other:
                self.different -= int(np.count_nonzero(former[band] != first[band]))
        return self.different == 0
