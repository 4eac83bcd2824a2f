"""Make napari's first Shapes layer quick: what it imports and compiles is done in a thread.

The first one of a program imports its module and has numba compile what it cuts shapes into
triangles with, on the GUI thread: a second and more in which the window stands still.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cache
from importlib import import_module


@cache
def warm_shapes() -> threading.Thread:
    """Begin, once in a program; return the thread."""
    thread = threading.Thread(target=_compile, name="medssl shapes", daemon=True)
    thread.start()
    return thread


def _compile() -> None:
    """Do what the first layer would do; no layer is made, whose units are not safe in threads."""
    try:
        from napari.layers.shapes.shapes import warmup_numba_cache
    except ImportError:  # napari does it in another way now
        return
    warmup_numba_cache()
    with suppress(ImportError):
        import_module("pandas")  # of the table of features
