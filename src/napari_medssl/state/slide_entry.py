"""A slide of a library as a value: where it lies, what was found there, what is wrong with it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Container
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.slides.opening import open_slide
from napari_medssl.io.slides.places import local_path

# Without vowels, so that no word comes out, and without what looks like another sign.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
_ALIAS_LENGTH = 5

NO_MPP = "no resolution in the file: lengths are in pixels"
MISSING = "missing: no such file any more"
CHANGED = "changed since it was added: verify it"


class SlideState(StrEnum):
    """What is there of a slide besides the original."""

    LINKED = "linked"
    CONVERTED = "converted"
    INDEXED = "indexed"


@dataclass(frozen=True, slots=True)
class SlideEntry:
    """A slide of a library.

    Attributes
    ----------
    source
        Path or URL of the original.
    alias
        Short name that tells nothing of the slide, the same for good: "S-K7Q2M".
    width, height
        Size of level 0 in pixels; 0 until it was looked at.
    mpp
        Microns per pixel along x and y, None where the file does not say.
    size_bytes, time_ns
        Of the file when it was looked at, to see that it has changed; 0 for folders and URLs.
    fingerprint
        `Slide.fingerprint`; "" until it was looked at.
    converted
        Path of its OME-Zarr store, "" without one.
    index
        Path of its tile index, "" without one; told by `SlideLibrary.note_made`.
    problem
        What is wrong in words, "" if nothing is.
    is_readable
        False if it cannot be opened now.
    """

    source: str
    alias: str = ""
    width: int = 0
    height: int = 0
    mpp: tuple[float, float] | None = None
    size_bytes: int = 0
    time_ns: int = 0
    fingerprint: str = ""
    converted: str = ""
    index: str = ""
    problem: str = ""
    is_readable: bool = True

    @property
    def name(self) -> str:
        """File name of the original; it may name a patient."""
        return PurePosixPath(self.source.replace("\\", "/").rstrip("/")).name or self.source

    @property
    def state(self) -> SlideState:
        """What is there besides the original."""
        if self.index:
            return SlideState.INDEXED
        return SlideState.CONVERTED if self.converted else SlideState.LINKED

    @property
    def is_known(self) -> bool:
        """True once it was looked at."""
        return bool(self.fingerprint or self.problem)

    def title(self, *, is_masked: bool) -> str:
        """Return what a list shows as its name."""
        return self.alias if is_masked else self.name

    def updated(self, before: SlideEntry, after: SlideEntry) -> SlideEntry:
        """Return this entry with the fields that differ between two others as in the second."""
        names = [f.name for f in fields(self) if getattr(before, f.name) != getattr(after, f.name)]
        return replace(self, **{name: getattr(after, name) for name in names})

    def to_row(self) -> list[Any]:
        """Return the entry as a JSON list, in the order of its fields."""
        mpp = None if self.mpp is None else list(self.mpp)
        return [
            *(self.source, self.alias, self.width, self.height, mpp, self.size_bytes),
            *(self.time_ns, self.fingerprint, self.converted, self.index, self.problem),
            self.is_readable,
        ]


def entry_from_row(row: list[Any]) -> SlideEntry:
    """Return the entry of a list made by `to_row`; ValueError or TypeError if it is none."""
    source, alias, width, height, mpp, size, time, fingerprint, converted, index, problem, ok = row
    return SlideEntry(
        source=str(source),
        alias=str(alias),
        width=int(width),
        height=int(height),
        mpp=None if mpp is None else (float(mpp[0]), float(mpp[1])),
        size_bytes=int(size),
        time_ns=int(time),
        fingerprint=str(fingerprint),
        converted=str(converted),
        index=str(index),
        problem=str(problem),
        is_readable=bool(ok),
    )


def new_alias(taken: Container[str]) -> str:
    """Return a short name that is not in use; it is drawn, so that it tells nothing."""
    while True:
        alias = "S-" + "".join(secrets.choice(_LETTERS) for _ in range(_ALIAS_LENGTH))
        if alias not in taken:
            return alias


def look_at(entry: SlideEntry, *, is_new: bool = False) -> SlideEntry:
    """Open the slide and return the entry with what was found; nothing is raised.

    Parameters
    ----------
    entry
        What is known of it.
    is_new
        Take what is there as the slide that is meant, also if its content is another one than
        before: it was added, moved, or verified by a person.
    """
    size, time = _stamp(entry.source)
    try:
        with open_slide(entry.source) as slide:
            fingerprint, mpp, (width, height) = slide.fingerprint, slide.mpp, slide.dimensions
    except (UserError, OSError) as error:  # OSError: a disk that fails in the middle of it
        is_gone = _is_gone(entry.source)
        return replace(entry, problem=MISSING if is_gone else str(error), is_readable=False)
    is_other = bool(entry.fingerprint) and entry.fingerprint != fingerprint
    if is_other and not is_new:
        return replace(entry, problem=CHANGED, is_readable=True)
    return replace(
        entry,
        width=width,
        height=height,
        mpp=mpp,
        size_bytes=size,
        time_ns=time,
        fingerprint=fingerprint,
        converted="" if is_other else entry.converted,
        index="" if is_other else entry.index,
        problem="" if mpp is not None else NO_MPP,
        is_readable=True,
    )


def glance_at(entry: SlideEntry) -> SlideEntry:
    """Return the entry after a look at the file's size and time only: fast for thousands.

    A file that was missing and is there again, or that looks changed, is opened.
    """
    if local_path(entry.source) is None:
        return entry if entry.is_known else look_at(entry)
    if _is_gone(entry.source):
        return replace(entry, problem=MISSING, is_readable=False)
    is_same = (entry.size_bytes, entry.time_ns) == _stamp(entry.source)
    if entry.fingerprint and is_same and entry.is_readable and entry.problem in ("", NO_MPP):
        return _without_what_is_lost(entry)
    return _without_what_is_lost(look_at(entry))


def _without_what_is_lost(entry: SlideEntry) -> SlideEntry:
    """Forget a store and an index that are not there any more."""
    converted, index = (
        path if not path or Path(path).exists() else "" for path in (entry.converted, entry.index)
    )
    return replace(entry, converted=converted, index=index)


def _is_gone(source: str) -> bool:
    path = local_path(source)
    try:
        return path is not None and not path.exists()
    except (OSError, ValueError):
        return True


def _stamp(source: str) -> tuple[int, int]:
    """Return size and time of change of a file; zeros for folders, URLs and what is missing."""
    path = local_path(source)
    try:
        if path is None or not path.is_file():
            return 0, 0
        about = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return about.st_size, about.st_mtime_ns
