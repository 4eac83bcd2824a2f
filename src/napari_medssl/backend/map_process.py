"""The process in which maps are laid out: apart from the window's, so that it can be killed.

Each call has a process for itself. One that has done its work is kept for the next call, since
what it has compiled and imported takes seconds.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from napari_medssl.backend.compute_process import ComputeProcess
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.map_layout_child import PLACES
from napari_medssl.backend.map_places import Places

OnPlaces = Callable[[Places], None]

_CHILD = "napari_medssl.backend.map_layout_child"


def ignore_places(places: Places) -> None:
    """Take no notice of a layout that forms."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom a layout tells what, and who stops it."""

    on_places: OnPlaces
    on_progress: OnProgress
    should_stop: ShouldStop

    def take(self, progress: Progress) -> None:
        """Hand on what the child says."""
        places = progress.values.get(PLACES)
        self.on_progress(replace(progress, values={}))
        if places is not None:
            self.on_places(places)


_spare: list[ComputeProcess] = []
_lock = threading.Lock()


def _taken() -> ComputeProcess:
    """Return a process that no other call uses."""
    with _lock:
        return _spare.pop() if _spare else ComputeProcess(grace_s=0.0)


def _give_back(process: ComputeProcess) -> None:
    """Keep one process for the next call."""
    with _lock:
        if not _spare:
            _spare.append(process)
            return
    process.close()


def warm_up(*, should_stop: ShouldStop = never) -> None:
    """Start the process and compile what it runs: while the principal components are looked at."""
    call_child("warm_up", Watch(ignore_places, ignore, should_stop))


def call_child(function: str, watch: Watch, *args: Any) -> Any:
    """Return what a function of `backend.map_layout_child` gives; kill it when asked to stop."""
    process = _taken()
    try:
        result = process.call(
            f"{_CHILD}:{function}", *args, on_progress=watch.take, should_stop=watch.should_stop
        )
    except Cancelled:
        raise Cancelled("Stopped; there is no new map.") from None
    finally:
        _give_back(process)  # one that was killed begins anew
    return result


@atexit.register
def _end_spare() -> None:
    with _lock:
        for process in _spare:
            process.close(for_good=True)
