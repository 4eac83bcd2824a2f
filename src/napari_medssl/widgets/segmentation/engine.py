"""What segments: the compute process, or in tests something that is known beforehand."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.region_maps import RegionMap
from napari_medssl.backend.segment_live import Segmented
from napari_medssl.backend.segmenters import SegmentConfig

_MODULE = "napari_medssl.backend.segment_live:"


class Engine(Protocol):
    """Segments images; every method blocks and belongs in a thread. Raises as the backend does."""

    def prepare(self, config: SegmentConfig, should_stop: ShouldStop = never) -> None:
        """Load the model; UserError if it does not segment."""
        ...

    def segment(
        self, config: SegmentConfig, source: str, should_stop: ShouldStop = never
    ) -> Segmented:
        """Return the classes of an image file."""
        ...

    def regions(
        self, model: str, device: str, source: str, should_stop: ShouldStop = never
    ) -> RegionMap:
        """Return the regions of an image file."""
        ...

    def uncertainty(
        self, config: SegmentConfig, source: str, should_stop: ShouldStop = never
    ) -> NDArray[np.float32]:
        """Return how undecided the model is about each pixel of an image file."""
        ...


class ComputeEngine:
    """The backend in the compute process."""

    def prepare(self, config: SegmentConfig, should_stop: ShouldStop = never) -> None:
        """See `Engine.prepare`."""
        compute_process().call(f"{_MODULE}prepare", config, should_stop=should_stop)

    def segment(
        self, config: SegmentConfig, source: str, should_stop: ShouldStop = never
    ) -> Segmented:
        """See `Engine.segment`."""
        found: Segmented = compute_process().call(
            f"{_MODULE}segment_source", config, source, should_stop=should_stop
        )
        return found

    def regions(
        self, model: str, device: str, source: str, should_stop: ShouldStop = never
    ) -> RegionMap:
        """See `Engine.regions`."""
        found: RegionMap = compute_process().call(
            f"{_MODULE}regions_of_source", model, device, source, should_stop=should_stop
        )
        return found

    def uncertainty(
        self, config: SegmentConfig, source: str, should_stop: ShouldStop = never
    ) -> NDArray[np.float32]:
        """See `Engine.uncertainty`."""
        found: NDArray[np.float32] = compute_process().call(
            f"{_MODULE}uncertainty_of_source", config, source, should_stop=should_stop
        )
        return found
