"""The groups of the rows of a source on disk, saved as a person edits them.

A folder `NAME.groups` holds
- `journal.jsonl`: what rows there were, their groups, and every edit since, see `group_records`;
- `damaged/`: copies of a journal that could not be read;
- `lock`: who has the folder open.
An edit is in the journal a moment after it was made; the journal is written anew, whole or not at
all, when it is opened and has become long.

Rows are known by their names. So edits stay with their pictures when the source was embedded anew
or holds more of them; those of rows that are not there at present are kept until they are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder
from napari_medssl.state.group_carry import Carried, carry_over
from napari_medssl.state.group_records import (
    FORMAT,
    VERSION,
    edit_json,
    edit_of,
    names_of,
    names_record,
    restore_state,
    state_record,
)
from napari_medssl.state.grouped_rows import GroupedRows, lightened
from napari_medssl.state.history import History
from napari_medssl.state.journal import Journal, Record, dump, line_of, read_journal
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.point_group import NONE, GroupEdit
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.state.project_files import BAD_FILE, report_damage

_JOURNAL = "journal.jsonl"
_NOUN = "set of groups"
_MANY = 100  # records after which the journal is written anew
_HISTORY_BYTES = 64 * 2**20  # of edits that are written anew with it
_log = logging.getLogger(__name__)


class GroupFolder:
    """The groups of the rows of a source, open for editing. Use from one thread at a time.

    Made by `open`, which may take a second and belongs in a thread; call `close` at the end, or use
    it as a context manager.

    Attributes
    ----------
    folder
        Where it lies.
    groups
        The groups. Changes are saved as they are made.
    carried
        What was known of the rows when it was opened.
    """

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.groups = PointGroups(0)
        self.carried = Carried()
        self._lock = lock
        self._names: tuple[str, ...] = ()
        self._content = ""
        self._absent: dict[str, int] = {}
        self._sequence = 0
        self._journal: Journal | None = None

    @classmethod
    def open(
        cls, folder: Path | str, names: Sequence[str], content: str, *, repair: bool = False
    ) -> Self:
        """Open the groups of rows and take in what the journal holds; make it if it is missing.

        Parameters
        ----------
        folder
            Where, see `state.group_place`.
        names
            The rows, all different.
        content
            Hash of their source, see `MapSource.content`.
        repair
            Go on with what can be read of a damaged journal, of which a copy is kept.

        Raises
        ------
        UserError
            If the folder is something else, is open elsewhere, was made by a newer version, or
            cannot be written.
        ProjectDamagedError
            If the journal is damaged and `repair` is not set. Nothing was changed.
        """
        if len(set(names)) != len(names):
            raise ValueError("two rows have one name")
        place = Path(folder).expanduser().absolute()
        ours = (_JOURNAL, "lock")
        if place.is_dir() and any(place.iterdir()) and not any((place / n).exists() for n in ours):
            raise UserError(
                f"{str(place)!r} is a folder that holds something else, no {_NOUN}. Move it away."
            )
        opened = cls(place, FolderLock(make_folder(place) / "lock", _NOUN))
        try:
            opened._load(tuple(names), content, repair)
        except BaseException:
            opened._lock.release()
            raise
        opened.groups.changed.connect(opened._on_changed)
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def extend(self, names: Sequence[str], content: str) -> None:
        """Add rows of these names behind those there are.

        Those that were absent have the groups again that they had, the others are in none.
        """
        every = (*self._names, *names)
        if len(set(every)) != len(every):
            raise ValueError("two rows have one name")
        self._append({**names_record(names, content), "kind": "more"})
        self._add(tuple(names), content)

    def save(self) -> None:
        """Write the journal anew, as short as it can be; UserError if the disk refuses."""
        self._open_journal.flush()
        self._open_journal.compact(self._records())

    def close(self) -> None:
        """Write what is left and let go of the folder; closing twice is no fault.

        Raises
        ------
        UserError
            If changes could not be written.
        """
        if self._journal is None:
            return
        self.groups.changed.disconnect(self._on_changed)
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
            raise RuntimeError(f"the {_NOUN} {self.folder.name!r} is closed")
        return self._journal

    def _on_changed(self, kind: str, edit: GroupEdit) -> None:
        if kind == "extend":
            return  # `extend` has noted it
        self._sequence += 1
        if kind == "begin":
            # As all of the state: programs before this kind of change read it as well.
            work = partial(_state_line, self._sequence, self.groups.copied(), dict(self._absent))
        else:
            work = partial(_edit_line, self._sequence, kind, edit)
        self._open_journal.append_later(work)

    def _add(self, names: tuple[str, ...], content: str) -> None:
        known = (self._absent.pop(name, NONE) for name in names)
        ids = [key if key in self.groups else NONE for key in known]
        self._names, self._content = self._names + names, content
        self.groups.extend(len(self._names), np.array(ids, np.int32))

    def _append(self, record: Record) -> None:
        self._sequence += 1
        self._open_journal.append({**record, "seq": self._sequence})

    def _records(self) -> list[Record]:
        return [
            names_record(self._names, self._content),
            state_record(self.groups, self._absent, self._sequence),
        ]

    def _load(self, names: tuple[str, ...], content: str, repair: bool) -> None:
        path = self.folder / _JOURNAL
        replay = read_journal(path)
        is_damaged = bool(replay.damaged)
        for record in replay.records:
            try:
                self._repeat(record)
            except BAD_FILE as error:
                if isinstance(error, UserError):
                    raise
                _log.warning("record not understood: %s", dump(record)[:200], exc_info=True)
                is_damaged = True
        if is_damaged or not self.groups.is_whole:
            report_damage(self.folder, [path], repair, _NOUN)
            self.groups.mend()
        is_known = names == self._names and content == self._content
        self.groups, self._absent, self.carried = carry_over(
            self.groups, self._names, self._absent, names
        )
        self._names, self._content = names, content
        self._journal = Journal(path)
        if is_damaged or not is_known or len(replay.records) > _MANY:
            self.groups.history = lightened(self.groups.history, _HISTORY_BYTES)
            self.save()

    def _repeat(self, record: Record) -> None:
        """Take in one record; one of `BAD_FILE` if it makes no sense."""
        kind = record["kind"]
        if kind == "rows":
            if record["format"] != FORMAT:
                raise ValueError(f"format is {record['format']!r}")
            if int(record["version"]) > VERSION:
                raise UserError(
                    f"The {_NOUN} {str(self.folder)!r} has version {record['version']}, this "
                    f"program reads up to {VERSION}. Update napari-medssl."
                )
            self._names, self._content = names_of(record), str(record["content"])
            self.groups = PointGroups(len(self._names))
            return
        sequence = int(record["seq"])
        if kind == "state":
            self._absent = restore_state(self.groups, record)
            self._sequence = sequence
            return
        if sequence != self._sequence + 1:  # a line before this one is damaged
            self.groups.history = History(self.groups.history.limit)
        if kind == "more":
            self._add(names_of(record), str(record["content"]))
        elif kind not in ("do", "undo", "redo"):
            raise ValueError(f"kind is {kind!r}")
        else:
            edit = edit_of(record["edit"]) if kind == "do" else None
            if edit is not None and len(edit.rows) and edit.rows.max() >= self.groups.count:
                raise ValueError("an edit of rows that there are not")
            self.groups.replay(kind, edit)
        self._sequence = sequence


def _edit_line(sequence: int, kind: str, edit: GroupEdit) -> bytes:
    """Return the journal's line of an edit; called in the thread of the journal."""
    record: Record = {"seq": sequence, "kind": kind}
    return line_of(dump(record | ({"edit": edit_json(edit)} if kind == "do" else {})))


def _state_line(sequence: int, groups: GroupedRows, absent: dict[str, int]) -> bytes:
    """Return the journal's line of all groups; called in the thread of the journal."""
    return line_of(dump(state_record(groups, absent, sequence)))
