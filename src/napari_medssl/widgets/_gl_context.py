"""Have napari free what a layer kept in OpenGL within the context of its canvas.

When a layer goes, napari (0.9) frees its buffers at once, in whatever context is current; as a rule
that is the one with which Qt puts windows together. As Qt's contexts share their objects, the
buffers are gone, but the context of the canvas has vertex arrays switched on still that lie in them
(vispy never switches those off). The next picture that is drawn may read there, and the program
ends with a segmentation fault in `glDrawArrays`: for one with a slide in microns below, one in
pixels above and a Shapes layer, of which the last two go.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

_views: WeakValueDictionary[int, Any] = WeakValueDictionary()


def keep_context(viewer: Any) -> None:
    """Make the context of a viewer's canvas current whenever one of its layers goes.

    Parameters
    ----------
    viewer
        A viewer or a model of one; to ask for it again does nothing.
    """
    viewer.layers.events.removing.connect(_make_current)  # napari passes over one that is there


def on_activate(_context: Any) -> None:
    """Do so for the viewer that is there when napari first uses the plugin: it may only read."""
    napari = sys.modules.get("napari")
    viewer = None if napari is None else napari.current_viewer()
    if viewer is not None:
        keep_context(viewer)


def _make_current(event: Any) -> None:
    view = _views.get(id(event.source))
    if view is None or view.viewer.layers is not event.source:
        view = _find_view(event.source)
    if view is not None:
        # The half of a window that Qt has deleted may live on in Python.
        with suppress(RuntimeError):
            view.canvas.native.makeCurrent()


def _find_view(layers: Any) -> Any:
    """Return the view that shows these layers and keep it: to ask Qt for it takes 10 to 30 ms."""
    from napari.qt import QtViewer
    from qtpy.QtWidgets import QApplication

    for widget in QApplication.allWidgets():
        if isinstance(widget, QtViewer) and widget.viewer.layers is layers:
            _views[id(layers)] = widget
            return widget
    return None
