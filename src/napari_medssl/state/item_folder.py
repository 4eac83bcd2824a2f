"""A folder that keeps items and their history on disk as they change: libraries, regions.

It holds
- one file of lines of JSON: a header, the items, the history, and a line that says it is whole;
- `journal.jsonl`: every change since that file was written;
- `damaged/`: copies of files that could not be read;
- `lock`: who has the folder open.
Every change is in the journal a moment later; the file is only written by `save` and `close`.

Both are read and written a row at a time, the journal in its own thread: Python's json holds the
interpreter for the whole of a call, and with it the window. One call for 20,000 regions takes a
quarter of a second, also in another thread.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder, replace_whole
from napari_medssl.state.history import Edit
from napari_medssl.state.items import ItemStore
from napari_medssl.state.journal import Journal, Record, dump, line_of, read_journal
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.project_files import BAD_FILE, report_damage

T = TypeVar("T")
_VERSION = 1
_JOURNAL = "journal.jsonl"
_log = logging.getLogger(__name__)


class ItemFolder(ABC, Generic[T]):
    """A set of items with its history, open for editing. Use from one thread at a time.

    Made by the `open` of a subclass; call `close` at the end, or use it as a context manager.

    Attributes
    ----------
    folder
        Where it lies.
    store
        The items and their history. Changes are saved as they are made.
    suffix, noun, file_name, format_name
        How the name of such a folder ends, what it is to a person, the name of its file, and what
        the file says that it is.
    """

    suffix: ClassVar[str]
    noun: ClassVar[str]
    file_name: ClassVar[str]
    format_name: ClassVar[str]
    store: ItemStore[T]

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self._lock = lock
        self._sequence = 0
        self._saved_sequence = -1
        self._journal: Journal | None = None

    @abstractmethod
    def _make_store(
        self, items: dict[int, T], edits: list[Edit[T]], position: int, next_id: int
    ) -> None:
        """Set `store` to one of these items and this history."""

    @abstractmethod
    def _to_row(self, item: T) -> list[Any]:
        """Return an item as a JSON list."""

    @abstractmethod
    def _from_row(self, row: list[Any]) -> T:
        """Return the item of `_to_row`; one of `BAD_FILE` if it is none."""

    def _begin(self) -> None:
        """Fill the store of a new folder."""

    def _about(self) -> dict[str, Any]:
        """Return what the file says besides items and history."""
        return {}

    def _take_about(self, about: dict[str, Any]) -> None:
        """Take in what `_about` gave, or one of `BAD_FILE`."""

    # -- open and close --------------------------------------------------------------------------

    @classmethod
    def is_one(cls, folder: Path) -> bool:
        """Say whether a folder is one of this kind."""
        return any((folder / name).exists() for name in (cls.file_name, _JOURNAL, "lock"))

    @classmethod
    def _opened(
        cls, folder: Path | str, repair: bool, check: Callable[[Self], None] = lambda _: None
    ) -> Self:
        """Open a folder, make it if it is missing, and take in what its journal holds.

        Raises what the `open` of the subclasses says, and what `check` does.
        """
        place = Path(folder).expanduser().absolute()
        if place.is_dir() and any(place.iterdir()) and not cls.is_one(place):
            raise UserError(
                f"{str(place)!r} is a folder that holds something else, no {cls.noun}. "
                f"Choose a new name that ends in {cls.suffix}."
            )
        opened = cls(place, FolderLock(make_folder(place) / "lock", cls.noun))
        try:
            opened._load(repair)
            check(opened)
            opened._journal = Journal(place / _JOURNAL)
            opened.store.edited.connect(opened._on_edited)
            if opened._sequence != opened._saved_sequence:
                opened.save()
        except BaseException:
            opened._lock.release()
            raise
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self) -> None:
        """Write all files and empty the journal; UserError if the disk refuses, nothing is lost."""
        # What still waits for the journal would be written after it was emptied.
        self._open_journal.flush()
        with (
            replace_whole(self.folder / self.file_name) as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as stream,
        ):
            stream.writelines(f"{line}\n" for line in self._lines())
        self._open_journal.compact()
        self._saved_sequence = self._sequence

    def close(self) -> None:
        """Save and let go of the folder; closing twice is no fault.

        Raises
        ------
        UserError
            If changes could not be written at all. If only the files could not be brought up to
            date, the journal has the changes and the next `open` takes them in.
        """
        if self._journal is None:
            return
        try:
            if self._sequence != self._saved_sequence:
                self.save()
        except UserError:
            _log.warning("files of a %s not brought up to date", self.noun, exc_info=True)
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

    @property
    def is_saved(self) -> bool:
        """True if every change is on disk."""
        return self._journal is None or self._journal.pending == 0

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every change is on disk; return False if that did not come about."""
        return self._open_journal.flush(timeout_s)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError(f"the {self.noun} {self.folder.name!r} is closed")
        return self._journal

    def _on_edited(self, kind: str, edit: Edit[T]) -> None:
        self._sequence += 1
        self._open_journal.append_later(partial(self._edit_line, self._sequence, kind, edit))

    def _edit_line(self, sequence: int, kind: str, edit: Edit[T]) -> bytes:
        """Return the journal's line of an edit; called in the thread of the journal."""
        before, after = (
            ",".join(f'"{key}":{dump(self._to_row(item))}' for key, item in side.items())
            for side in (edit.before, edit.after)
        )
        text = f'{{"name":{dump(edit.name)},"before":{{{before}}},"after":{{{after}}}}}'
        return line_of(f'{{"seq":{sequence},"kind":{dump(kind)},"edit":{text}}}')

    def _note_about(self) -> None:
        """Put what `_about` gives now into the journal: it changed."""
        self._sequence += 1
        self._open_journal.append({"seq": self._sequence, "kind": "about", **self._about()})

    def _lines(self) -> Iterator[str]:
        """Give the lines of the file."""
        history = self.store.history
        yield dump(
            {
                "format": self.format_name,
                "version": _VERSION,
                "sequence": self._sequence,
                "next_id": self.store.next_id,
                "position": history.position,
                **self._about(),
            }
        )
        for key, item in self.store.as_dict().items():
            yield dump(["item", key, self._to_row(item)])
        for edit in history.edits:
            yield dump(["edit", edit.name])
            for side, items in (("before", edit.before), ("after", edit.after)):
                for key, item in items.items():
                    yield dump([side, key, self._to_row(item)])
        yield dump(["end"])

    def _load(self, repair: bool) -> None:
        """Read the file, then what the journal adds to it."""
        path, journal = self.folder / self.file_name, self.folder / _JOURNAL
        damaged: list[Path] = []
        replay = read_journal(journal)
        self._make_store({}, [], 0, 1)
        try:
            self._read(path.read_bytes())
        except FileNotFoundError:
            if replay.records:  # the first save comes before the first edit
                damaged.append(path)
            else:
                self._begin()
        except UserError:  # a newer version: whole, but not for us
            raise
        except (OSError, *BAD_FILE):
            damaged.append(path)
        damaged += [journal] * bool(replay.damaged)
        for record in replay.records:
            try:
                self._repeat(record)
            except BAD_FILE:
                _log.warning("record not understood: %s", dump(record)[:200], exc_info=True)
                damaged.append(journal)
        if damaged:
            report_damage(self.folder, damaged, repair, self.noun)
            self._saved_sequence = -1

    def _read(self, data: bytes) -> None:
        """Take in the file; one of `BAD_FILE` if it is damaged, and nothing is taken in then."""
        first, *lines = data.splitlines()
        about = json.loads(first)
        if about["format"] != self.format_name:
            raise ValueError(f"format is {about['format']!r}")
        if int(about["version"]) > _VERSION:
            raise UserError(
                f"The {self.noun} {str(self.folder)!r} has version {about['version']}, this "
                f"program reads up to {_VERSION}. Update napari-medssl."
            )
        if not lines or json.loads(lines.pop()) != ["end"]:
            raise ValueError("the last line is missing")
        items: dict[int, T] = {}
        edits: list[tuple[str, dict[str, dict[int, T]]]] = []
        for line in lines:
            kind, *values = json.loads(line)
            if kind == "edit":
                edits.append((str(values[0]), {"before": {}, "after": {}}))
                continue
            side = items if kind == "item" else edits[-1][1][kind]
            side[int(values[0])] = self._from_row(values[1])
        self._take_about(about)
        history = [Edit(name, **sides) for name, sides in edits]
        self._make_store(items, history, int(about["position"]), int(about["next_id"]))
        self._sequence = self._saved_sequence = int(about["sequence"])

    def _repeat(self, record: Record) -> None:
        """Take in one record unless the file has it already."""
        if int(record["seq"]) <= self._sequence:
            return
        if record["kind"] == "about":
            self._take_about(record)
        else:
            edit = Edit.from_json(record["edit"], self._from_row)
            self.store.replay(str(record["kind"]), edit)
        self._sequence = int(record["seq"])
