"""A library of embeddings on disk: collections side by side, one for each set-up.

    LIBRARY/
        library.json                    what it is, and its id
        lock                            who writes to it
        NAME.embeddings/                a collection, named by `SetUp.name`
            collection.json             its set-up
            slides/FINGERPRINT/         a zarr group and its manifest, see `arrays`
            slides/FINGERPRINT.partial/ one that is being written, see `slide_writer`
            cache/                      made from the slides, may be deleted, see `flat`

Many may read while one writes: a slide appears and disappears at once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideManifest, is_fingerprint, read_manifest
from napari_medssl.index.slide_writer import remove_folder, sweep
from napari_medssl.io.file_lock import hold_lock
from napari_medssl.io.files import flush_folder, make_folder, write_whole
from napari_medssl.io.slides.finding import EMBEDDINGS as SUFFIX

FORMAT = "napari-medssl embeddings"
VERSION = 1
ABOUT = "library.json"
COLLECTION = "collection.json"


@dataclass(frozen=True, slots=True)
class CollectionFolder:
    """A collection on disk: its set-up, and how the encoder was named when it was made."""

    folder: Path
    set_up: SetUp
    encoder_given: str

    @property
    def slides_folder(self) -> Path:
        """Where its slides are."""
        return self.folder / "slides"

    def slide_folder(self, fingerprint: str) -> Path:
        """Return where a slide is, or would be."""
        return self.slides_folder / fingerprint

    def fingerprints(self) -> tuple[str, ...]:
        """Return the slides that are finished, sorted."""
        try:
            names = [path.name for path in self.slides_folder.iterdir()]
        except FileNotFoundError:
            return ()
        return tuple(sorted(filter(is_fingerprint, names)))

    def manifests(self) -> tuple[dict[str, SlideManifest], tuple[tuple[str, str], ...]]:
        """Return the manifests by fingerprint, and `(fingerprint, reason)` of those damaged."""
        good, bad = {}, []
        for fingerprint in self.fingerprints():
            folder = self.slide_folder(fingerprint)
            try:
                manifest = read_manifest(folder)
            except UserError as error:
                if folder.is_dir():  # else it was removed a moment ago
                    bad.append((fingerprint, str(error)))
                continue
            if manifest.set_up != self.set_up:
                bad.append(
                    (
                        fingerprint,
                        f"Indexed slide {fingerprint} was made by encoder "
                        f"{manifest.set_up.encoder!r} in {manifest.set_up.dim} dimensions, which "
                        f"does not fit its collection {self.set_up.name!r}; it is left out. "
                        "Index that slide again with --reindex.",
                    )
                )
                continue
            good[fingerprint] = manifest
        return good, tuple(bad)


class Library:
    """A library on disk. It holds nothing open; make one with `open` as often as you like.

    Parameters
    ----------
    folder
        Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path | str, *, make: bool = False) -> Library:
        """Open a library; make it if it is missing and `make` is set.

        Raises
        ------
        UserError
            If there is none, the folder holds something else, or a newer version made it.
        """
        place = Path(folder).expanduser().absolute()
        if not (place / ABOUT).exists():
            if not make:
                raise UserError(
                    f"There is no library {str(folder)!r}. Make one with "
                    "`medssl index SLIDE --library DIR`."
                )
            if place.exists() and (not place.is_dir() or _holds_anything(place)):
                raise UserError(
                    f"{str(folder)!r} holds something else than a library of embeddings; it was "
                    "not touched. Name a new folder."
                )
            make_folder(place)
            _write_about(place, {"format": FORMAT, "version": VERSION})
        _read_about(place)
        return cls(place)

    @property
    def id(self) -> str:
        """What tells it from any other library; "" of an old one that was not written to since."""
        return str(_read_about(self.folder).get("id", ""))

    @property
    def collections(self) -> tuple[CollectionFolder, ...]:
        """The collections, by name.

        Raises
        ------
        UserError
            If the file of one is damaged.
        """
        folders = sorted(self.folder.glob(f"*{SUFFIX}"))
        return tuple(_read_collection(folder) for folder in folders if _is_made(folder))

    def collection(self, encoder: str = "") -> CollectionFolder:
        """Return the collection of an encoder, or the only one.

        Parameters
        ----------
        encoder
            Name of the encoder or of the collection, or the file that was given as encoder.

        Raises
        ------
        UserError
            If there is none, or several fit.
        """
        every = self.collections
        fit = [one for one in every if _fits(one, encoder)]
        if len(fit) == 1:
            return fit[0]
        names = ", ".join(one.set_up.name for one in every)
        if not every:
            raise UserError(
                f"The library {str(self.folder)!r} holds no slide yet. Add some with "
                "`medssl index SLIDE --library DIR`."
            )
        if not fit:
            raise UserError(
                f"The library has nothing of encoder {encoder!r}. It holds {names}. Choose one of "
                "these with --encoder, or index the slides with that encoder."
            )
        raise UserError(
            f"The library holds {len(fit)} collections that fit: "
            f"{', '.join(one.set_up.name for one in fit)}. Choose one with --encoder."
        )

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the library for writing.

        Raises
        ------
        UserError
            If another process, or another part of this one, holds it; or it cannot be written.
        """
        busy = f"The library {self.folder.name!r} is being written"
        with hold_lock(self.folder / "lock", busy, "Choose a library that you may write to."):
            about = _read_about(self.folder)
            if not about.get("id"):  # made before libraries had one
                _write_about(self.folder, about)
            yield

    def make_collection(self, set_up: SetUp, encoder_given: str) -> CollectionFolder:
        """Return the collection of a set-up; made if missing. Hold the lock."""
        folder = self.folder / f"{set_up.name}{SUFFIX}"
        if (folder / COLLECTION).exists():
            found = _read_collection(folder)
            sweep(found.slides_folder)
            return found
        make_folder(folder / "slides")
        content = {
            "format": FORMAT,
            "version": VERSION,
            "set_up": set_up.to_json(),
            "encoder_given": encoder_given,
        }
        write_whole(folder / COLLECTION, json.dumps(content, indent=1, ensure_ascii=False))
        flush_folder(self.folder)
        return CollectionFolder(folder, set_up, encoder_given)

    def remove_slide(self, fingerprint: str) -> int:
        """Take a slide out of every collection; return out of how many. Hold the lock."""
        count = 0
        for collection in self.collections:
            for folder in collection.slides_folder.glob(f"{fingerprint}*"):
                count += is_fingerprint(folder.name)
                remove_folder(folder)
            flush_folder(collection.slides_folder)
        return count


def _holds_anything(place: Path) -> bool:
    return any(not path.name.startswith(".") for path in place.iterdir())


def _is_made(folder: Path) -> bool:
    """Say whether a folder is a collection, not one that a kill stopped from becoming one."""
    return (folder / COLLECTION).exists() or any(folder.glob("slides/*"))


def _fits(collection: CollectionFolder, encoder: str) -> bool:
    known = (collection.set_up.encoder, collection.set_up.name, collection.encoder_given)
    return not encoder or encoder in known or Path(encoder).stem == collection.set_up.encoder


def _write_about(place: Path, content: Mapping[str, Any]) -> None:
    """Write what a library is, with an id of its own."""
    write_whole(place / ABOUT, json.dumps({**content, "id": uuid.uuid4().hex}, indent=1))


def _read_about(place: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads((place / ABOUT).read_bytes())
        form, version = content["format"], int(content["version"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{str(place / ABOUT)!r} is damaged ({type(error).__name__}), so it is not sure that "
            "this is a library. Put that file back from a copy."
        ) from error
    if form != FORMAT:
        raise UserError(f"{str(place)!r} is no library of embeddings but {form!r}.")
    if version > VERSION:
        raise UserError(
            f"The library {str(place)!r} has version {version}; this program reads up to {VERSION}."
            " Update napari-medssl."
        )
    return content


def _read_collection(folder: Path) -> CollectionFolder:
    try:
        content = json.loads((folder / COLLECTION).read_bytes())
        set_up = SetUp.from_json(content["set_up"])
        return CollectionFolder(folder, set_up, str(content["encoder_given"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{COLLECTION!r} of the collection {folder.name!r} is missing or damaged "
            f"({type(error).__name__}). Put it back from a copy, or move that folder out of the "
            "library."
        ) from error
