"""Make the map in a thread, and show it as it forms: components at once, then the map itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import Job, OnProgress, Progress, ShouldStop
from napari_medssl.backend.learn_groups import LearnRequest, learn_map
from napari_medssl.backend.make_map import FormerMap, make_map
from napari_medssl.backend.map_layout import LayoutConfig
from napari_medssl.backend.map_source import SourceConfig, has_embeddings, open_source
from napari_medssl.widgets._base import JobPanel

_STEP = "step"


@dataclass(frozen=True)
class _Request:
    place: Path
    config: LayoutConfig
    source: SourceConfig
    former: FormerMap | None
    cache: Path | None


@dataclass(frozen=True)
class _Wanted:
    """A function that is to be run, what it gets, and what it does in words."""

    work: Callable[..., Any]
    request: Any
    title: str


class Making(QObject):
    """Runs one making at a time; another one takes its place.

    Signals
    -------
    stepped
        A name and what is known by then; see `backend.make_map.make_map`.
    ended
        "" if all went well, else why not, and whether it failed: what was shown stays.
    """

    stepped = Signal(str, object)
    ended = Signal(str, bool)

    def __init__(
        self, parent: QObject, work: Callable[..., Any] | None = None, cache: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._work = work or _make
        self._cache = cache
        self._next: _Wanted | None = None
        self.jobs = JobPanel(has_error_line=False)
        self.jobs.progressed.connect(self._on_progress)
        self.jobs.ended.connect(self._on_ended)

    def start(
        self,
        place: Path,
        config: LayoutConfig,
        source: SourceConfig,
        former: FormerMap | None = None,
    ) -> None:
        """Make the map of a place; what runs is stopped first. See `make_map` of `former`."""
        request = _Request(place, config, source, former, self._cache)
        self._start(_Wanted(self._work, request, f"Opening {place.name}"))

    def learn(self, request: LearnRequest) -> None:
        """Learn from groups, and lay the map out anew; what runs is stopped first."""
        wanted = replace(request, cache=self._cache)
        self._start(_Wanted(_learn, wanted, "Learning from groups"))

    def _start(self, wanted: _Wanted) -> None:
        self._next = wanted
        if self.jobs.is_busy:
            self.jobs.cancel()
        else:
            self._go()

    def stop(self) -> None:
        """Stop what runs."""
        self._next = None
        self.jobs.cancel()

    def _go(self) -> None:
        wanted, self._next = self._next, None
        if wanted is not None:
            self.jobs.start(wanted.work, wanted.request, title=wanted.title)

    def _on_progress(self, progress: Progress) -> None:
        if self._next is None and _STEP in progress.values:
            name, value = progress.values[_STEP]
            self.stepped.emit(name, value)

    def _on_ended(self, job: Job) -> None:
        if self._next is not None:
            self._go()
        elif job.state == "failed":
            self.ended.emit(job.error, True)
        else:
            words = "" if job.state == "done" else "Stopped; the map is as far as it came."
            self.ended.emit(words, False)


class _Steps:
    """Tells steps and progress as the `Progress` of one job."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._last = Progress(0)

    def note(self, progress: Progress) -> None:
        """Tell how far it is."""
        self._last = progress
        self._on_progress(progress)

    def step(self, name: str, value: Any) -> None:
        """Tell what is known now."""
        self._on_progress(replace(self._last, values={_STEP: (name, value)}))


def _make(request: _Request, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    """Do it; what needs torch or scikit-learn is done in the compute process.

    Embeddings that are there already are read here: that process takes seconds to begin.
    """
    call = compute_process().call
    steps = _Steps(on_progress)
    embed = partial(call, "napari_medssl.backend.map_source:open_source")
    make_map(
        request.place,
        request.config,
        source=request.source,
        former=request.former,
        cache=request.cache,
        on_step=steps.step,
        on_progress=steps.note,
        should_stop=should_stop,
        open_with=open_source if has_embeddings(request.place) else embed,
        cluster_with=partial(call, "napari_medssl.backend.make_map:cluster_rows"),
    )


def _learn(request: LearnRequest, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    steps = _Steps(on_progress)
    learn = partial(compute_process().call, "napari_medssl.backend.learn_groups:learn_groups")
    learn_map(
        request,
        on_step=steps.step,
        on_progress=steps.note,
        should_stop=should_stop,
        learn_with=learn,
    )
