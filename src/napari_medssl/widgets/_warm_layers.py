"""Make napari's first layers quick: what they import and compile is done in a thread.

The first layer with a table of features imports pandas, and the first Shapes layer of a program has
numba compile what it cuts shapes into triangles with, both on the GUI thread: half a second, and a
second and more, in which the window stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module


@cache
def warm_tables() -> threading.Thread:
    """Begin to import what Points and Labels layers need, once in a program; return the thread."""
    return _begun(_import_tables, "medssl tables")


@cache
def warm_shapes() -> threading.Thread:
    """Begin to make ready what Shapes layers need, once in a program; return the thread."""
    return _begun(_compile, "medssl shapes")


def _begun(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def _import_tables() -> None:
    with suppress(ImportError):
        import_module("pandas")


def _compile() -> None:
    """Do what the first layer would do; no layer is made, whose units are not safe in threads."""
    try:
        from napari.layers.shapes.shapes import warmup_numba_cache
    except ImportError:  # napari does it in another way now
        return
    warmup_numba_cache()
    _import_tables()
