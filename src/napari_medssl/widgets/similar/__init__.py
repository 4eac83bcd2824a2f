"""The dock widget that finds similar tiles of slides."""

from napari_medssl.widgets.similar.widget import SimilarWidget

__all__ = ["SimilarWidget"]
