"""Make napari's first layers quick: what they import and compile is done in a thread.

The first layer with a table of features imports pandas, the first Labels layer with colours of its
own and the first Shapes layer have numba compile, all on the GUI thread: half a second, and a
second and more, in which the window stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module

import numpy as np
from qtpy.QtCore import QTimer

from napari_medssl.widgets._quiet_imports import collector_paused

_SOON_S = 0.3  # once the widget is drawn: a thread that imports takes turns with the window
_MOST_WAITED_S = 5.0  # then napari does it as it makes the layer
_labels_are_begun, _labels_are_warm = threading.Event(), threading.Event()


def warm_tables() -> None:
    """Make ready what Points layers need, once in a program."""
    _begin_soon(_import_tables)


def warm_labels() -> None:
    """Make ready what Labels layers with colours of their own need, once in a program."""
    _labels_are_begun.set()
    _begin_soon(_map_labels)


def wait_for_labels() -> None:
    """Wait until `warm_labels` is through, if it was called; for a thread, as a layer is due.

    The window is drawn meanwhile. A layer made before would have the window wait for numba's lock.
    """
    if _labels_are_begun.is_set():
        _labels_are_warm.wait(_MOST_WAITED_S)


def warm_shapes() -> None:
    """Make ready what Shapes layers need, once in a program."""
    _begin_soon(_compile_shapes)


@cache
def _begin_soon(work: Callable[[], None]) -> threading.Timer:
    """Return the thread, which the cache keeps: Qt does not keep whose method it calls."""
    thread = threading.Timer(_SOON_S, _work_quietly, [work])
    thread.name, thread.daemon = f"medssl warm {work.__name__}", True
    QTimer.singleShot(0, thread.start)  # the widget is docked by then
    return thread


def _work_quietly(work: Callable[[], None]) -> None:
    with collector_paused():
        work()


def _import_tables() -> None:
    with suppress(ImportError):
        import_module("pandas")


def _map_labels() -> None:
    """Do what the first layer would do; no layer is made, whose units are not safe in threads."""
    try:
        from napari.utils.colormaps import DirectLabelColormap

        _import_tables()
        colors = {None: "transparent", 1: "red"}
        DirectLabelColormap(color_dict=colors).map(np.zeros((1, 1), np.uint8))
    finally:
        _labels_are_warm.set()


def _compile_shapes() -> None:
    """Do what the first layer would do, as `_map_labels` does."""
    try:
        from napari.layers.shapes.shapes import warmup_numba_cache
    except ImportError:  # napari does it in another way now
        return
    warmup_numba_cache()
    _import_tables()
