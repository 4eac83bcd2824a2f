"""What the process of `backend.map_layout` does: lay rows out, and place more among them.

Everything here is called by name through `backend.compute_process`; only here numba is imported.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop

PLACES = "places"
"""Name of the places that come with a progress, float32 (N, 2)."""

_LOOK_S = 0.25  # between places that are sent
_BLOCK_ROWS = 50_000

Places = NDArray[np.float32]


def warm_up(*, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    """Import and compile all that a layout takes."""
    from napari_medssl.methods.umap_layout import Layout, curve_of, fuzzy_edges, memberships, settle

    _set_threads()
    rows = np.asarray([[1, 2], [2, 0], [1, 0]], np.int32)
    weights = memberships(np.full((3, 2), 0.5, np.float32), 3)
    curve = curve_of(0.1)
    layout = Layout(fuzzy_edges(rows, weights), np.eye(3, 2, dtype=np.float32), curve, 1)
    layout.advance(1)
    settle(rows, weights, layout.places, curve, 1)


def lay_rows_out(
    rows: NDArray[np.int32],
    distances: NDArray[np.float32],
    start: Places,
    settings: dict[str, Any],
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Places:
    """Return the layout of N rows, float32 (N, 2); progress carries it while it forms.

    Parameters
    ----------
    rows, distances
        Of a `NeighbourGraph`, (N, k).
    start
        Where the rows begin, (N, 2).
    settings
        `min_dist`, `epochs` and `seed`.
    """
    from napari_medssl.methods.umap_layout import Layout, curve_of, fuzzy_edges, memberships

    _set_threads()
    weights = memberships(distances, rows.shape[1] + 1)
    edges = fuzzy_edges(rows, weights)
    curve = curve_of(settings["min_dist"])
    layout = Layout(edges, start, curve, settings["epochs"], settings["seed"])
    del edges, weights
    slice_epochs, looked = 1, 0.0
    while layout.done < layout.epochs:
        if should_stop():
            raise Cancelled
        began = time.perf_counter()
        layout.advance(slice_epochs)
        ended = time.perf_counter()
        # The slices are of the eye alone: the layout is the same in any.
        is_fast = ended - began < _LOOK_S / 4
        slice_epochs = slice_epochs + 1 if is_fast else max(slice_epochs // 2, 1)
        if ended - looked >= _LOOK_S and layout.done < layout.epochs:
            looked = ended
            values = {PLACES: layout.places.copy()}
            on_progress(Progress(layout.done, layout.epochs, "laying out the map", values))
    return layout.places


def place_rows(
    rows: NDArray[np.int32],
    distances: NDArray[np.float32],
    others: Places,
    settings: dict[str, Any],
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Places:
    """Return places of M rows among `others` (N, 2), which stay, float32 (M, 2).

    Parameters
    ----------
    rows, distances
        The neighbours of each among the others, (M, k).
    others, settings
        As of `lay_rows_out`.
    """
    from napari_medssl.methods.umap_layout import curve_of, memberships, settle

    _set_threads()
    weights = memberships(distances, max(rows.shape[1], 2), nearest_is_full=False)
    curve = curve_of(settings["min_dist"])
    found = np.zeros((len(rows), 2), np.float32)
    for first in range(0, len(rows), _BLOCK_ROWS):
        if should_stop():
            raise Cancelled
        part = slice(first, first + _BLOCK_ROWS)
        found[part] = settle(
            rows[part], weights[part], others, curve, settings["epochs"], settings["seed"]
        )
        on_progress(Progress(min(part.stop, len(rows)), len(rows), "placing rows"))
    return found


def _set_threads() -> None:
    """Take numba's own threads: those of OpenMP wait by turning round, on a busy machine for ever.

    They may not be used by two threads at once, so this process does one call at a time.
    """
    import numba

    numba.config.THREADING_LAYER = "workqueue"
