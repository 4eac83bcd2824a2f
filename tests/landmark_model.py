"""A model of landmarks without a network, so that a test waits for none."""

from __future__ import annotations

import numpy as np
from PIL import Image

from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.landmark_features import LandmarkModelInfo, MatchSettings


class PixelModel:
    """A model without a network: blurred pixels and slopes, so a test waits for none."""

    def __init__(
        self, settings: MatchSettings | None = None, name: str = "pixels", cells: int = 50
    ) -> None:
        self.info = LandmarkModelInfo(name, f"{name}-1", settings or MatchSettings())
        self.runs = 0
        self._cells = cells

    def maps(self, pixels, should_stop=lambda: False):
        if should_stop():
            raise Cancelled
        self.runs += 1
        grey = (pixels if pixels.ndim == 2 else pixels[..., 0]).astype(float)
        return self._at(grey, self._cells // 2), (self._at(grey, self._cells),)

    def _at(self, grey, cells):
        wide, high = cells, round(cells * grey.shape[0] / grey.shape[1])
        small = np.asarray(
            Image.fromarray(grey.astype(np.float32)).resize((wide, high), Image.Resampling.BOX)
        )
        small = (small - small.mean()) / max(small.std(), 1e-6)
        steps = (-3, 0, 3)
        shifts = [np.roll(small, (dy, dx), (0, 1)) for dy in steps for dx in steps]
        maps = np.stack(shifts)
        return (maps / np.maximum(np.linalg.norm(maps, axis=0), 1e-6)).astype(np.float16)
