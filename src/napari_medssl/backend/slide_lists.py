"""Fill a library: find slides in folders, and look at what each of them is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.slides.finding import find_slides
from napari_medssl.state.slide_entry import SlideEntry, glance_at, look_at

Care = Literal["glance", "look", "accept"]
"""How closely: size and time of the file only, its content, or its content as the new truth."""

_TOLD_EVERY_S = 0.1
_MOST_FOUND = 100_000


@dataclass(frozen=True, slots=True)
class Looks:
    """What to look for and at.

    Attributes
    ----------
    folders
        Folders to find slides in.
    entries
        Entries to look at, by id.
    care
        How closely.
    """

    folders: tuple[str, ...] = ()
    entries: Mapping[int, SlideEntry] = field(default_factory=dict)
    care: Care = "look"


def find_in_folders(
    looks: Looks, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> list[str]:
    """Return the paths of the slides in the folders.

    Raises
    ------
    UserError
        If a folder cannot be read, or holds more slides than a list can.
    Cancelled
        If asked to stop.
    """
    found: list[str] = []
    for folder in looks.folders:
        for path in find_slides(folder, should_stop=should_stop):
            found.append(path)
            if len(found) > _MOST_FOUND:
                raise UserError(
                    f"More than {_MOST_FOUND:,} slides are in {folder!r}. Choose a folder in it."
                )
            on_progress(Progress(len(found), None, f"{len(found)} slides found"))
        if should_stop():
            raise Cancelled(f"Stopped after {len(found)} slides.")
    return found


def look_at_slides(
    looks: Looks, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> int:
    """Look at slides and report each that turned out otherwise; return how many have a problem.

    The `values` of a report hold entries by id: those that changed since the report before.

    Raises
    ------
    Cancelled
        If asked to stop; what was found until then has been reported.
    """
    look = _LOOKS[looks.care]
    changed: dict[str, SlideEntry] = {}
    problems, told = 0, time.monotonic()
    total = len(looks.entries)
    for done, (key, entry) in enumerate(looks.entries.items()):
        if should_stop():
            on_progress(Progress(done, total, "stopped", dict(changed)))
            raise Cancelled(f"Stopped after {done} of {total} slides.")
        seen = look(entry)
        problems += bool(seen.problem)
        if seen != entry:
            changed[str(key)] = seen
        if time.monotonic() - told > _TOLD_EVERY_S:
            on_progress(Progress(done + 1, total, "looking at slides", dict(changed)))
            changed.clear()
            told = time.monotonic()
    on_progress(Progress(total, total, "looked at slides", dict(changed)))
    return problems


def _accept(entry: SlideEntry) -> SlideEntry:
    return look_at(entry, is_new=True)


_LOOKS: dict[Care, Callable[[SlideEntry], SlideEntry]] = {
    "glance": glance_at,
    "look": look_at,
    "accept": _accept,
}
