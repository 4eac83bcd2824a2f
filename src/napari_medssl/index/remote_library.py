"""A library in an object store: a local copy that is kept equal to it, published slide by slide.

    URL/library.json                                     what it is, and its id
    URL/lock.json                                        who writes to it
    URL/NAME.embeddings/collection.json                  a set-up
    URL/NAME.embeddings/slides/FINGERPRINT-CONTENT/...   the files of a slide; they never change
    URL/NAME.embeddings/manifests/FINGERPRINT.json       its manifest: put last, then it counts

An object store renames nothing and maps nothing into memory. So slides are written to a copy on
this machine, as to any library, and a finished one is published: its files under a name that tells
their content, then its manifest, which takes the place of a former one at once. Killed before, the
slide is not there; killed after, it is there once: putting it again puts the same. What no manifest
names is removed by the next writer. Readers bring their copy up to date by the list of manifests,
and compare every file with its hash.

`remote_state` keeps what the copy has seen of the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.index.library import ABOUT, COLLECTION, CollectionFolder, Library
from napari_medssl.index.object_store import ObjectStore
from napari_medssl.index.remote_files import (
    checked_files,
    fetch_slide,
    hold_store,
    manifest_place,
    slide_place,
)
from napari_medssl.index.remote_state import Known, RemoteState, digest_of, json_object
from napari_medssl.index.slide_record import (
    MANIFEST,
    SlideManifest,
    is_fingerprint,
    parse_manifest,
    read_manifest,
)
from napari_medssl.index.slide_writer import remove_folder
from napari_medssl.io.file_lock import FileLock, LockHeldError
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.slides.finding import EMBEDDINGS as SUFFIX

OnStep = Callable[[int, int, str], None]
"""Called with slides done, slides in all, and words."""

_COLLECTION_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}")
_TRIES = 3  # a slide may be replaced while it is fetched


class RemoteLibrary:
    """A library at a URL, and its copy.

    Parameters
    ----------
    url
        Such as s3://bucket/name.
    folder
        Of the copy; made if missing. It may be deleted: then all slides are fetched again.
    on_step, should_stop
        Called and asked for each slide that is fetched or published.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        on_step: OnStep = lambda done, total, words: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self._store = ObjectStore(url)
        self._on_step, self._should_stop = on_step, should_stop
        self._state: RemoteState

    def read(self) -> Library:
        """Return the copy, brought up to date unless another program here is at it.

        Raises
        ------
        UserError
            If there is no library, or the store or the copy cannot be used.
        """
        about = self._store.read(ABOUT)
        if about is None:
            raise self._missing()
        self._begin(about)
        library = Library.open(self.folder)
        try:
            lock = FileLock(self.folder / "lock")
        except LockHeldError:  # a run that publishes: it has brought the copy up to date itself
            return library
        except OSError as error:
            raise UserError(
                f"Cannot write in {str(self.folder)!r}: {error.strerror or error}. The copy of "
                f"{self._store.name!r} lies there; name another place with MEDSSL_CACHE."
            ) from error
        try:
            self._state = RemoteState(self.folder)
            self._update()
        finally:
            lock.release()
        return library

    @contextmanager
    def write(self, *, make: bool = False) -> Iterator[Library]:
        """Hold library and copy for writing; what is to be published calls `publish`.

        A library that is missing is made if `make` is set.

        Raises
        ------
        UserError
            If another program writes there, or the store or the copy cannot be used.
        """
        about = self._store.read(ABOUT)
        if about is None and not make:
            raise self._missing()
        if about is None and self._store.children():
            raise UserError(
                f"{self._store.name!r} holds something else than a library of embeddings; it was "
                "not touched. Name a new place."
            )
        self._begin(about)
        library = Library.open(self.folder, make=True)
        with library.write_lock():
            self._state = RemoteState(self.folder)
            with hold_store(self._store, self._state.copy):
                if about is None:
                    self._store.write({ABOUT: (self.folder / ABOUT).read_bytes()})
                self._update()
                self._sweep()
                for collection in library.collections:
                    for fingerprint in collection.fingerprints():
                        self.publish(collection, fingerprint)
                yield library

    def publish(self, collection: CollectionFolder, fingerprint: str) -> None:
        """Put a finished slide into the store, unless it is there as it is. Within `write`.

        Raises
        ------
        UserError
            If the store refuses, or the slide is damaged.
        """
        name, folder = collection.folder.name, collection.slide_folder(fingerprint)
        manifest = read_manifest(folder)
        data = manifest.to_bytes()
        known = self._state.of(name, fingerprint)
        if known is not None and known.digest == digest_of(data):
            return
        if name not in self._state.slides:
            made = (collection.folder / COLLECTION).read_bytes()
            self._store.write({f"{name}/{COLLECTION}": made})
        if known is None or known.content != manifest.content:
            self._on_step(0, 1, f"publishing {Path(manifest.record.path).name}")
            place = slide_place(name, fingerprint, manifest.content)
            self._store.write(checked_files(folder, manifest, place))
        self._store.write({manifest_place(name, fingerprint): data})
        self._note(name, fingerprint, data, manifest.content)
        self._state.save()
        if known is not None and known.content != manifest.content:
            self._store.remove(slide_place(name, fingerprint, known.content))

    def withdraw(self, collection: CollectionFolder, fingerprint: str) -> None:
        """Take a slide out of the store, before it leaves the copy. Within `write`."""
        name = collection.folder.name
        self._store.remove(manifest_place(name, fingerprint))
        known = self._state.of(name, fingerprint)
        if known is not None:
            self._store.remove(slide_place(name, fingerprint, known.content))

    # -- the copy --------------------------------------------------------------------------------

    def _begin(self, about: bytes | None) -> None:
        """Make the copy that of the library at the URL; that of a former one there is deleted."""
        here = self.folder / ABOUT
        if here.exists() and (about is None or _id_of(here.read_bytes()) != _id_of(about)):
            remove_folder(self.folder)
        make_folder(self.folder)
        if about is not None and not here.exists():
            write_whole(here, about)

    def _missing(self) -> UserError:
        return UserError(
            f"There is no library {self._store.name!r}. Make one with "
            "`medssl index SLIDE --library URL`."
        )

    def _update(self) -> None:
        """Fetch what is news, and take out what went."""
        names = [name for name in self._store.children() if name.endswith(SUFFIX)]
        names = [name for name in names if _COLLECTION_NAME.fullmatch(name)]
        for name in names:
            made = self._store.read(f"{name}/{COLLECTION}")
            if made is None:
                continue  # is being made
            make_folder(self.folder / name / "slides")
            if not (self.folder / name / COLLECTION).exists():
                write_whole(self.folder / name / COLLECTION, made)
            self._state.slides.setdefault(name, {})
        for name in self._state.slides:
            self._update_collection(name)
            self._state.save()

    def _update_collection(self, name: str) -> None:
        there, known = self._listed(name), self._state.slides[name]
        slides = self.folder / name / "slides"
        for gone in set(known) - set(there):
            remove_folder(slides / gone)
            del known[gone]
        news = [
            one
            for one, stamp in there.items()
            if one not in known or known[one].stamp != stamp or not (slides / one).is_dir()
        ]
        for done, fingerprint in enumerate(news):
            if self._should_stop():
                return
            self._on_step(done, len(news), "fetching the library")
            self._fetch(name, fingerprint)

    def _listed(self, name: str) -> dict[str, str]:
        """Return the stamps of the manifests that the store has, by fingerprint."""
        listed = self._store.children(f"{name}/manifests")
        named = {Path(one).stem: stamp for one, stamp in listed.items() if one.endswith(".json")}
        return {one: stamp for one, stamp in named.items() if is_fingerprint(one)}

    def _fetch(self, name: str, fingerprint: str) -> None:
        """Bring a slide of the copy to what the store has."""
        for _ in range(_TRIES):
            data = self._store.read(manifest_place(name, fingerprint))
            if data is None:
                return  # was removed a moment ago; the next time it is known
            try:
                manifest = parse_manifest(data, fingerprint)
                if self._has(name, fingerprint, manifest):
                    write_whole(self.folder / name / "slides" / fingerprint / MANIFEST, data)
                elif not fetch_slide(self._store, self.folder, (name, fingerprint), manifest):
                    continue  # another slide took its place meanwhile
            except UserError as error:
                self.problems.append(str(error))
                return
            self._note(name, fingerprint, data, manifest.content)
            return
        self.problems.append(
            f"Slide {fingerprint} of {self._store.name!r} lacks files; it is left out. Index that "
            "slide again with --reindex."
        )

    def _has(self, name: str, fingerprint: str, manifest: SlideManifest) -> bool:
        """Say whether the copy holds the files of a slide."""
        folder = self.folder / name / "slides" / fingerprint
        if not folder.is_dir():
            return False
        try:
            return read_manifest(folder).content == manifest.content
        except UserError:
            return False

    def _sweep(self) -> None:
        """Remove what no manifest names: of publishers that were killed. The lock is held."""
        for name, slides in self._state.slides.items():
            there = self._listed(name)
            for folder in self._store.children(f"{name}/slides"):
                fingerprint, _, content = folder.partition("-")
                known = slides.get(fingerprint)
                # Of a manifest that was not read, or not in this version, nothing is removed.
                is_former = (
                    known is not None
                    and known.stamp == there.get(fingerprint)
                    and known.content != content
                )
                if fingerprint not in there or is_former:
                    self._store.remove(f"{name}/slides/{folder}")

    def _note(self, name: str, fingerprint: str, data: bytes, content: str) -> None:
        """Note that copy and store have the same manifest of a slide."""
        stamp = self._store.stamp(manifest_place(name, fingerprint))
        slides = self._state.slides.setdefault(name, {})
        slides[fingerprint] = Known(stamp, digest_of(data), content)


def _id_of(about: bytes) -> str:
    return str(json_object(about).get("id", ""))
