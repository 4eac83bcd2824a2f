"""Self-supervised learning for medical images, in napari."""

__version__ = "0.1.0"
