"""Lists of slides: what a person names, what is in folders, and what each of them is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.limits import one_line
from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.finding import find_slides
from napari_medssl.io.slides.opening import is_slide
from napari_medssl.io.slides.places import is_url, local_path
from napari_medssl.state.slide_entry import NO_MPP, SlideEntry, glance_at, look_at

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

    The `values` of a report are what `SlideLibrary.note_seen` takes: by id, the entry and as it was
    seen, of those that turned out otherwise since the report before. That a file does not say its
    resolution is no problem.

    Raises
    ------
    Cancelled
        If asked to stop; what was found until then has been reported.
    """
    look = _LOOKS[looks.care]
    changed: dict[str, tuple[SlideEntry, SlideEntry]] = {}
    problems, told = 0, time.monotonic()
    total = len(looks.entries)
    for done, (key, entry) in enumerate(looks.entries.items()):
        if should_stop():
            on_progress(Progress(done, total, "stopped", dict(changed)))
            raise Cancelled(f"Stopped after {done} of {total} slides.")
        seen = look(entry)
        problems += seen.problem not in ("", NO_MPP)
        if seen != entry:
            changed[str(key)] = (entry, seen)
        if time.monotonic() - told > _TOLD_EVERY_S:
            on_progress(Progress(done + 1, total, "looking at slides", dict(changed)))
            changed.clear()
            told = time.monotonic()
    on_progress(Progress(total, total, "looked at slides", dict(changed)))
    return problems


def list_slides(
    given: str, *, is_other: Callable[[Path], bool] = lambda path: False
) -> Iterator[str]:
    """Yield the slides that a person names.

    Parameters
    ----------
    given
        A slide or its URL, a folder of slides, or a text file that names any of these, one a line,
        by paths relative to itself; lines that start with "#" are passed over.
    is_other
        Says what else counts, and is yielded as it is.

    Raises
    ------
    UserError
        If it is none of these or cannot be read.
    """
    path = local_path(given)
    if path is None or is_other(path) or is_slide(path):
        yield given
    elif path.is_dir():
        yield from find_slides(path)
    elif path.suffix.lower() == ".txt":
        for line in _lines(path):
            # No list in a list: it could name itself.
            place = line if is_url(line) else str(path.parent / line)
            if place.lower().endswith(".txt"):
                raise UserError(f"The list {path.name!r} names another list, {line!r}.")
            yield from list_slides(place, is_other=is_other)
    elif not path.exists():
        raise UserError(f"There is no slide, folder or list {given!r}.")
    else:
        open_slide(path).close()  # a picture may be a slide; if not, this says why
        yield given


def _lines(path: Path) -> list[str]:
    try:
        lines = map(str.strip, path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The list {str(path)!r} cannot be read: {one_line(error)}.") from None
    return [line for line in lines if line and not line.startswith("#")]


def _accept(entry: SlideEntry) -> SlideEntry:
    return look_at(entry, is_new=True)


_LOOKS: dict[Care, Callable[[SlideEntry], SlideEntry]] = {
    "glance": glance_at,
    "look": look_at,
    "accept": _accept,
}
