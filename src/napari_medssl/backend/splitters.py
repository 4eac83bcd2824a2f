"""Choose what separates a figure: a trained detector, or the gutter baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_medssl.io.boxes import Box

GUTTERS = "gutters"

Split = Callable[[np.ndarray, float | None], list[Box]]
"""Takes an image (Y, X, 3) and the least score (None: the default) and gives boxes."""


def make_splitter(model: str, device: str = "auto") -> Split:
    """Return what separates an image: the baseline for "gutters", else the loaded detector.

    Raises
    ------
    UserError
        If the model is unknown or damaged, or the device is absent.
    """
    if model == GUTTERS:
        from napari_medssl.methods.simcfs.gutters import split_by_gutters

        return lambda image, score: [Box(*box, score=1.0) for box in split_by_gutters(image)]
    from napari_medssl.backend.figures import SeparateConfig, Separator

    separator = Separator(SeparateConfig(model=model, device=device))
    return lambda image, score: separator.separate(image, score=score)
