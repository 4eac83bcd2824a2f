"""The widget "Slides": a library of whole-slide images, views of them, and regions."""

from napari_medssl.widgets.slides.widget import SlidesWidget

__all__ = ["SlidesWidget"]
