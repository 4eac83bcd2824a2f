"""The dock widget "Segmentation"."""

from napari_medssl.widgets.segmentation.widget import SegmentationWidget

__all__ = ["SegmentationWidget"]
