"""The regions of one slide on disk, saved as they change.

A folder `NAME.regions` holds
- `regions.json`: format, version, the slide, regions, classes and history;
- `journal.jsonl`: every edit since that file was written;
- `classes.json`: the list of classes as QuPath writes it, to be taken to another slide;
- `damaged/`: copies of files that could not be read;
- `lock`: who has the regions open.
Every edit goes to the journal at once and is on the disk a moment later; the other files are only
written by `save` and `close`.

A view needs `store`, and `save_error` to tell that the disk refuses.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.state.history import Edit, History
from napari_medssl.state.journal import Journal, Record, read_journal
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.project_files import BAD_FILE, report_damage
from napari_medssl.state.region_classes import DEFAULT_CLASSES, write_classes
from napari_medssl.state.region_rows import item_from_row, item_to_row
from napari_medssl.state.regions import UNDO_DEPTH, Item, RegionStore

SUFFIX = ".regions"
FORMAT = "napari-medssl regions"
VERSION = 1
_NOUN = "regions folder"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlideIdentity:
    """Which slide regions belong to: its file name, and a text that tells slides apart.

    The `fingerprint` is that of the slide; "" if it is not known.
    """

    name: str = ""
    fingerprint: str = ""


class RegionFolder:
    """The regions of a slide, open for editing. Use from one thread at a time.

    Make one with `open`; call `close` at the end, or use it as a context manager.

    Attributes
    ----------
    store
        The regions, classes and history. Its edits are saved as they are made.
    slide
        The slide that they belong to.
    """

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.store = RegionStore()
        self.slide = SlideIdentity()
        self._lock = lock
        self._sequence = 0
        self._saved_sequence = -1
        self._journal: Journal | None = None

    @classmethod
    def open(
        cls, folder: Path | str, slide: SlideIdentity | None = None, *, repair: bool = False
    ) -> RegionFolder:
        """Open the regions of a slide and take in what the journal holds; make them if missing.

        Parameters
        ----------
        folder
            The folder `NAME.regions`.
        slide
            The slide that is open, to make sure that the regions are its own.
        repair
            Go on with what can be read if files are damaged; copies of those are kept.

        Raises
        ------
        UserError
            If the regions are those of another slide, are open elsewhere, were made by a newer
            version, or cannot be written.
        ProjectDamagedError
            If files are damaged and `repair` is not set. Nothing was changed.
        """
        place = Path(folder).expanduser().absolute()
        if place.is_dir() and any(place.iterdir()) and not _is_ours(place):
            raise UserError(
                f"{str(place)!r} is a folder that holds no regions. "
                f"Choose a new name that ends in {SUFFIX}."
            )
        opened = cls(place, FolderLock(make_folder(place) / "lock", _NOUN))
        try:
            opened._load(slide or SlideIdentity(), repair)
            opened._journal = Journal(place / "journal.jsonl")
            opened.store.edited.connect(opened._on_edited)
            if opened._sequence != opened._saved_sequence:
                opened.save()
        except BaseException:
            opened._lock.release()
            raise
        return opened

    def __enter__(self) -> RegionFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self) -> None:
        """Write all files and empty the journal; UserError if the disk refuses, nothing is lost."""
        write_whole(self.folder / "regions.json", self._encode())
        write_classes(self.store.classes(), self.folder / "classes.json")
        self._open_journal.compact()
        self._saved_sequence = self._sequence

    def close(self) -> None:
        """Save and let go of the folder; closing twice is no fault.

        Raises
        ------
        UserError
            If edits could not be written at all. If only the files could not be brought up to
            date, the journal has the edits and the next `open` takes them in.
        """
        if self._journal is None:
            return
        try:
            if self._sequence != self._saved_sequence:
                self.save()
        except UserError:
            _log.warning("region files not brought up to date", exc_info=True)
        self.store.edited.disconnect(self._on_edited)
        journal, self._journal = self._journal, None
        is_saved = journal.close()
        self._lock.release()
        if not is_saved:
            raise UserError(
                f"The last changes of {str(self.folder)!r} could not be written: {journal.error}."
            )

    @property
    def save_error(self) -> str | None:
        """Why edits cannot be written to disk now, None if they can."""
        return self._open_journal.error

    @property
    def is_saved(self) -> bool:
        """True if every edit is on disk."""
        return self._journal is None or self._journal.pending == 0

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every edit is on disk; return False if that did not come about."""
        return self._open_journal.flush(timeout_s)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError(f"regions {self.folder.name!r} are closed")
        return self._journal

    def _on_edited(self, kind: str, edit: Edit[Item]) -> None:
        self._sequence += 1
        record = {"seq": self._sequence, "kind": kind, "edit": edit.to_json(item_to_row)}
        self._open_journal.append(record)

    def _encode(self) -> str:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "slide": self.slide.name,
            "fingerprint": self.slide.fingerprint,
            "sequence": self._sequence,
            "next_id": self.store.next_id,
            "items": {str(key): item_to_row(item) for key, item in self.store.as_dict().items()},
            "history": self.store.history.to_json(item_to_row),
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    def _load(self, slide: SlideIdentity, repair: bool) -> None:
        """Read the file, then what the journal adds to it."""
        path, journal = self.folder / "regions.json", self.folder / "journal.jsonl"
        damaged: list[Path] = []
        replay = read_journal(journal)
        try:
            self._decode(json.loads(path.read_bytes()))
        except FileNotFoundError:
            # The first save comes before the first edit.
            if replay.records:
                damaged.append(path)
            else:
                self.store = RegionStore(DEFAULT_CLASSES)
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
        self._check_slide(slide)

    def _decode(self, content: dict[str, Any]) -> None:
        if content["format"] != FORMAT:
            raise ValueError(f"format is {content['format']!r}")
        if int(content["version"]) > VERSION:
            raise UserError(
                f"The regions {str(self.folder)!r} have version {content['version']}, this program "
                f"reads up to {VERSION}. Update napari-medssl."
            )
        items = {int(key): item_from_row(row) for key, row in content["items"].items()}
        history = History.from_json(content["history"], item_from_row, UNDO_DEPTH)
        self.slide = SlideIdentity(str(content["slide"]), str(content["fingerprint"]))
        self.store = RegionStore(items, history, int(content["next_id"]))
        self._sequence = self._saved_sequence = int(content["sequence"])

    def _repeat(self, record: Record) -> None:
        """Take in one record unless the file has it already."""
        if int(record["seq"]) > self._sequence:
            edit = Edit.from_json(record["edit"], item_from_row)
            self.store.replay(str(record["kind"]), edit)
            self._sequence = int(record["seq"])

    def _check_slide(self, slide: SlideIdentity) -> None:
        """Note the slide, or refuse one that is not that of the regions."""
        known = self.slide.fingerprint
        if known and slide.fingerprint and known != slide.fingerprint:
            raise UserError(
                f"The regions {str(self.folder)!r} belong to another slide, {self.slide.name!r}, "
                f"not to {slide.name!r}. Choose another folder for this one."
            )
        if slide.fingerprint and not known:
            self.slide, self._saved_sequence = slide, -1


def _is_ours(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("regions.json", "journal.jsonl", "lock"))
