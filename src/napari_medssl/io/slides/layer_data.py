"""Slides as one multiscale layer: nothing is read before it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medssl.io.slides.deep_slide import with_coarse_levels
from napari_medssl.io.slides.level_arrays import slide_levels
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.io.slides.tile_cache import TileCache, shared_cache

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: data, options, type."""


def slide_layer(slide: Slide, cache: TileCache | None = None) -> LayerData:
    """Return a slide as the data of one multiscale RGB image layer.

    Its scale is in microns where the slide says its mpp, else in pixels. `layer.data[0].slide` is
    the opened slide. Label and macro images are not part of it.

    Parameters
    ----------
    slide
        The slide; it stays open as long as the layer shows it.
    cache
        Where tiles are kept; by default the one that all views share.
    """
    deep = with_coarse_levels(slide)
    levels = slide_levels(deep, cache or shared_cache())
    about = {
        "kind": "slide",
        "source": slide.source,
        "fingerprint": slide.fingerprint,
        "mpp": slide.mpp,
        "dimensions": slide.dimensions,
    }
    options: dict[str, Any] = {
        "name": _layer_name(slide),
        "rgb": True,
        "multiscale": True,
        "metadata": {"medssl": about},
    }
    if slide.mpp is not None:
        options["scale"] = slide.mpp[::-1]  # layers have (y, x)
        options["units"] = ("micrometer", "micrometer")
    return levels, options, "image"


def _layer_name(slide: Slide) -> str:
    name = Path(slide.name).stem
    return name.removesuffix(".ome") or slide.name
