"""The dock widget that finds landmarks from one template."""

from napari_medssl.widgets.landmarks.widget import LandmarksWidget

__all__ = ["LandmarksWidget"]
