"""Whole-slide images: one interface over vendor files, OME-Zarr, pictures and arrays."""

from napari_medssl.io.slides.array_slide import ArraySlide
from napari_medssl.io.slides.opening import open_slide
from napari_medssl.io.slides.protocol import Slide, SlideReadError

__all__ = ["ArraySlide", "Slide", "SlideReadError", "open_slide"]
