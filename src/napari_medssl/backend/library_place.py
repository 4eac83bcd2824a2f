"""Where a library is: a folder, or a URL of an object store with a copy in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_medssl.backend.folders import cache_folder
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.remote_library import RemoteLibrary
from napari_medssl.io.slides.places import local_path

Place = Path | str
"""A folder, or a URL such as s3://bucket/name."""


@dataclass(frozen=True, slots=True)
class WrittenLibrary:
    """A library that is held for writing.

    Attributes
    ----------
    library
        On this machine: the library, or the copy of one in an object store.
    problems
        Lines about slides that could not be fetched.
    """

    library: Library
    problems: tuple[str, ...] = ()
    _remote: RemoteLibrary | None = None

    def publish(self, collection: CollectionFolder, fingerprint: str) -> None:
        """Tell that a slide is finished or its record has changed; raises as `RemoteLibrary`."""
        if self._remote is not None:
            self._remote.publish(collection, fingerprint)

    def remove_slide(self, fingerprint: str) -> int:
        """Take a slide out of every collection; return out of how many."""
        for collection in self.library.collections:
            self.withdraw(collection, fingerprint)
        return self.library.remove_slide(fingerprint)

    def withdraw(self, collection: CollectionFolder, fingerprint: str) -> None:
        """Tell that a slide is about to be taken out of a collection."""
        if self._remote is not None:
            self._remote.withdraw(collection, fingerprint)


@contextmanager
def written_library(
    place: Place,
    *,
    make: bool,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Iterator[WrittenLibrary]:
    """Hold a library for writing; one in an object store is fetched before.

    Parameters
    ----------
    place
        Where.
    make
        Whether it is made if missing.

    Raises
    ------
    UserError
        If there is none, it cannot be used, or another program writes it.
    """
    folder = _folder(place)
    if folder is not None:
        library = Library.open(folder, make=make)
        with library.write_lock():
            yield WrittenLibrary(library)
        return
    remote = _remote(str(place), on_progress, should_stop)
    with remote.write(make=make) as library:
        yield WrittenLibrary(library, tuple(remote.problems), remote)


def read_library(
    place: Place, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> tuple[Library, tuple[str, ...]]:
    """Return a library to read, one in an object store as a copy brought up to date.

    Returns
    -------
    It, and lines about slides that could not be fetched.

    Raises
    ------
    UserError
        If there is none, or it cannot be used.
    """
    folder = _folder(place)
    if folder is not None:
        return Library.open(folder), ()
    remote = _remote(str(place), on_progress, should_stop)
    return remote.read(), tuple(remote.problems)


def copy_folder(url: str) -> Path:
    """Return where the copy of a library in an object store is, or would be."""
    digest = hashlib.blake2b(url.rstrip("/").encode(), digest_size=12).hexdigest()
    return cache_folder() / "libraries" / digest


def _folder(place: Place) -> Path | None:
    return place if isinstance(place, Path) else local_path(place)


def _remote(url: str, on_progress: OnProgress, should_stop: ShouldStop) -> RemoteLibrary:
    def on_step(done: int, total: int, words: str) -> None:
        on_progress(Progress(done, total, words))

    return RemoteLibrary(url, copy_folder(url), on_step=on_step, should_stop=should_stop)
