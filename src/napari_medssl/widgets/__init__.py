"""Dock widgets: the only place that sees Qt and napari."""
