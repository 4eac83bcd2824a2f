"""A library of slides on disk: a list of links to the originals, saved as it changes.

A folder `NAME.slides` holds
- `library.json`: format, version, entries, history, folders that are followed;
- `journal.jsonl`: every change since that file was written;
- `regions/FINGERPRINT.regions`: the regions of each slide, see `state.region_folder`;
- `damaged/`: copies of files that could not be read;
- `lock`: who has the library open.
The slides themselves are never written to, moved or deleted.

More than 300 lines: one class, whose every public method documents what it raises.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.state.history import Edit, History
from napari_medssl.state.items import ItemStore
from napari_medssl.state.journal import Journal, Record, read_journal
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.project_files import BAD_FILE, report_damage
from napari_medssl.state.slide_entry import SlideEntry, entry_from_row, new_alias

SUFFIX = ".slides"
FORMAT = "napari-medssl slides"
VERSION = 1
_NOUN = "library"
_log = logging.getLogger(__name__)


class EntryStore(ItemStore[SlideEntry]):
    """Entries by id. Adding and removing can be undone; what is found out about a slide cannot."""

    item_name = "slide"

    def note(self, values: Mapping[int, SlideEntry]) -> None:
        """Take in what was found out; ids that are not there any more are passed over."""
        known = {key: entry for key, entry in values.items() if key in self._items}
        before = {key: self._items[key] for key in known}
        edit = Edit("note", before, known)
        if edit.is_empty:
            return
        self._put(known, "note")
        self.edited.emit("note", edit)

    def replay(self, kind: str, edit: Edit[SlideEntry]) -> None:
        """See `ItemStore.replay`; notes are no steps of the history."""
        if kind == "note":
            self._items.update({k: e for k, e in edit.after.items() if k in self._items})
        else:
            super().replay(kind, edit)


class SlideLibrary:
    """A library, open for editing. Use from one thread at a time.

    Make one with `open`; call `close` at the end, or use it as a context manager.

    Attributes
    ----------
    store
        The entries and their history. Changes are saved as they are made.
    folder
        Where it lies.
    """

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.store = EntryStore()
        self._followed: tuple[str, ...] = ()
        self._lock = lock
        self._sequence = 0
        self._saved_sequence = -1
        self._journal: Journal | None = None

    @classmethod
    def open(cls, folder: Path | str, *, repair: bool = False) -> SlideLibrary:
        """Open a library and take in what its journal holds; make it if it is missing.

        Raises
        ------
        UserError
            If the folder is something else, is open elsewhere, was made by a newer version, or
            cannot be written.
        ProjectDamagedError
            If files are damaged and `repair` is not set. Nothing was changed.
        """
        place = Path(folder).expanduser().absolute()
        if place.is_dir() and any(place.iterdir()) and not is_library(place):
            raise UserError(
                f"{str(place)!r} is a folder that holds no library. "
                f"Choose a new name that ends in {SUFFIX}."
            )
        opened = cls(place, FolderLock(make_folder(place) / "lock", _NOUN))
        try:
            opened._load(repair)
            opened._journal = Journal(place / "journal.jsonl")
            opened.store.edited.connect(opened._on_edited)
            if opened._sequence != opened._saved_sequence:
                opened.save()
        except BaseException:
            opened._lock.release()
            raise
        return opened

    def __enter__(self) -> SlideLibrary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- slides ----------------------------------------------------------------------------------

    def add(self, sources: Iterable[str]) -> tuple[int, ...]:
        """Add slides by path or URL and return their ids; those on the list already are not added.

        One step of the history. What they are is found out by `slide_entry.look_at`.
        """
        known = self.sources()
        taken = {entry.alias for entry in self.store.as_dict().values()}
        fresh = []
        for source in dict.fromkeys(sources):
            if source not in known:
                alias = new_alias(taken)
                taken.add(alias)
                fresh.append(SlideEntry(source, alias))
        return self.store.add(*fresh, name="add slides") if fresh else ()

    def remove(self, keys: Iterable[int]) -> None:
        """Take slides off the list; their files stay, and regions stay in the library's folder."""
        self.store.remove(keys, "remove slides")

    def relocate(self, key: int, entry: SlideEntry) -> None:
        """Note that a slide lies somewhere else now.

        Parameters
        ----------
        key
            Its id.
        entry
            The entry with its new source, as `look_at` found it there.

        Raises
        ------
        UserError
            If there is another slide, or one that is on the list already.
        """
        former = self.store[key]
        if not entry.is_readable:
            raise UserError(entry.problem)
        if former.fingerprint and former.fingerprint != entry.fingerprint:
            raise UserError(
                f"{entry.name!r} is another slide than {former.name!r} was. "
                "Choose its file, or add this one as a new slide."
            )
        other = self.sources().get(entry.source)
        if other not in (None, key):
            raise UserError(f"{entry.name!r} is on the list already.")
        self.store.update({key: replace(entry, alias=former.alias)}, "relocate slide")

    def sources(self) -> dict[str, int]:
        """Return the ids of the slides by path or URL."""
        return {entry.source: key for key, entry in self.store.as_dict().items()}

    def regions_folder(self, key: int) -> Path:
        """Return where the regions of a slide are; UserError if it was never looked at."""
        entry = self.store[key]
        if not entry.fingerprint:
            raise UserError(f"{entry.name!r} has no regions yet: it could not be read so far.")
        return make_folder(self.folder / "regions") / f"{entry.fingerprint}.regions"

    # -- folders ---------------------------------------------------------------------------------

    @property
    def followed(self) -> tuple[str, ...]:
        """Folders whose new slides are added when the library is refreshed."""
        return self._followed

    def follow(self, folder: Path) -> None:
        """Look for new slides in a folder, and those inside, at every refresh."""
        name = str(folder)
        if name not in self._followed:
            self._followed = (*self._followed, name)
            self.save()

    # -- files -----------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the list and empty the journal; UserError if the disk refuses, nothing is lost."""
        write_whole(self.folder / "library.json", self._encode())
        self._open_journal.compact()
        self._saved_sequence = self._sequence

    def close(self) -> None:
        """Save and let go of the folder; closing twice is no fault.

        Raises
        ------
        UserError
            If changes could not be written at all.
        """
        if self._journal is None:
            return
        try:
            if self._sequence != self._saved_sequence:
                self.save()
        except UserError:
            _log.warning("library not brought up to date", exc_info=True)
        self.store.edited.disconnect(self._on_edited)
        journal, self._journal = self._journal, None
        is_saved = journal.close()
        self._lock.release()
        if not is_saved:
            raise UserError(
                f"The last changes of {str(self.folder)!r} could not be written: {journal.error}."
            )

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._journal is None

    @property
    def save_error(self) -> str | None:
        """Why changes cannot be written to disk now, None if they can."""
        return None if self._journal is None else self._journal.error

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every change is on disk; return False if that did not come about."""
        return self._open_journal.flush(timeout_s)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError(f"library {self.folder.name!r} is closed")
        return self._journal

    def _on_edited(self, kind: str, edit: Edit[SlideEntry]) -> None:
        self._sequence += 1
        row = edit.to_json(SlideEntry.to_row)
        self._open_journal.append({"seq": self._sequence, "kind": kind, "edit": row})

    def _encode(self) -> str:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "sequence": self._sequence,
            "next_id": self.store.next_id,
            "folders": list(self._followed),
            "entries": {str(k): entry.to_row() for k, entry in self.store.as_dict().items()},
            "history": self.store.history.to_json(SlideEntry.to_row),
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    def _load(self, repair: bool) -> None:
        """Read the file, then what the journal adds to it."""
        path, journal = self.folder / "library.json", self.folder / "journal.jsonl"
        damaged: list[Path] = []
        replay = read_journal(journal)
        try:
            self._decode(json.loads(path.read_bytes()))
        except FileNotFoundError:
            damaged += [path] * bool(replay.records)  # the first save comes before the first edit
        except UserError:  # a newer version: whole, but not for us
            raise
        except (OSError, *BAD_FILE):
            damaged.append(path)
        damaged += [journal] * bool(replay.damaged)
        for record in replay.records:
            try:
                self._repeat(record)
            except BAD_FILE:
                _log.warning("journal record not understood: %r", record, exc_info=True)
                damaged.append(journal)
        if damaged:
            report_damage(self.folder, damaged, repair, _NOUN)
            self._saved_sequence = -1

    def _decode(self, content: dict[str, Any]) -> None:
        if content["format"] != FORMAT:
            raise ValueError(f"format is {content['format']!r}")
        if int(content["version"]) > VERSION:
            raise UserError(
                f"The library {str(self.folder)!r} has version {content['version']}, this program "
                f"reads up to {VERSION}. Update napari-medssl."
            )
        items = {int(key): entry_from_row(row) for key, row in content["entries"].items()}
        history = History.from_json(content["history"], entry_from_row)
        self._followed = tuple(str(name) for name in content["folders"])
        self.store = EntryStore(items, history, int(content["next_id"]))
        self._sequence = self._saved_sequence = int(content["sequence"])

    def _repeat(self, record: Record) -> None:
        if int(record["seq"]) > self._sequence:
            edit = Edit.from_json(record["edit"], entry_from_row)
            self.store.replay(str(record["kind"]), edit)
            self._sequence = int(record["seq"])


def is_library(folder: Path) -> bool:
    """Say whether a folder holds a library."""
    return any((folder / name).exists() for name in ("library.json", "journal.jsonl", "lock"))
