"""The dock widget "Figure separation"."""

from napari_medssl.widgets.separation.widget import SeparationWidget

__all__ = ["SeparationWidget"]
