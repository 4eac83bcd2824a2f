"""The dock widgets as the manifest names them; see `_opening`.

A script that goes on with the widget imports its module first: napari then returns the widget.
"""

from __future__ import annotations

from napari_medssl.widgets._opening import Docked


class Separation(Docked):
    """Figure separation: `widgets.separation.SeparationWidget`."""

    module, kind = "napari_medssl.widgets.separation", "SeparationWidget"
    title = "Figure separation"


class Slides(Docked):
    """Slides: `widgets.slides.SlidesWidget`."""

    module, kind, title = "napari_medssl.widgets.slides", "SlidesWidget", "Slides"


class Similar(Docked):
    """Find similar: `widgets.similar.SimilarWidget`."""

    module, kind, title = "napari_medssl.widgets.similar", "SimilarWidget", "Find similar"


class Landmarks(Docked):
    """Landmarks: `widgets.landmarks.LandmarksWidget`."""

    module, kind, title = "napari_medssl.widgets.landmarks", "LandmarksWidget", "Landmarks"


class Segmentation(Docked):
    """Segmentation: `widgets.segmentation.SegmentationWidget`."""

    module, kind = "napari_medssl.widgets.segmentation", "SegmentationWidget"
    title = "Segmentation"


class EmbeddingMap(Docked):
    """Embedding map: `widgets.embedding_map.EmbeddingMapWidget`."""

    module, kind = "napari_medssl.widgets.embedding_map", "EmbeddingMapWidget"
    title = "Embedding map"
