"""The dock widget "Embedding map": pictures and tiles by their likeness, to select and to name."""

from __future__ import annotations

from napari_medssl.widgets.embedding_map.widget import EmbeddingMapWidget

__all__ = ["EmbeddingMapWidget"]
