"""Segment a volume slice by slice, as `medssl segment` and the scoring of segmentations both do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.segmenters import Segmenter
from napari_medssl.io.volumes import Volume

OnSlice = Callable[[int, str], None]
"""Called with the number of a slice, from 0, and what is done to it; may raise to end it."""


def segment_volume(
    segmenter: Segmenter, volume: Volume, *, on_slice: OnSlice, should_stop: ShouldStop = never
) -> Iterator[NDArray[np.uint8]]:
    """Give the class of each pixel of each slice, shape (Y, X), one slice in memory at a time.

    It is looked over first, see `Volume.look_over`.

    Raises
    ------
    UserError
        If a part of the volume cannot be read, or a slice cannot be segmented.
    Cancelled
        If `should_stop` said so.
    """
    name, depth = volume.path.name, volume.shape[0]
    volume.look_over(lambda z: on_slice(0, f"{name}: reading slice {z + 1}"))
    for z in range(depth):
        on_slice(z, f"{name}, slice {z + 1} of {depth}")
        yield segmenter.segment(volume.picture(z), should_stop=should_stop)
