"""A library of slides on disk: a list of links to the originals, saved as it changes.

A folder `NAME.slides` as of `state.item_folder`, with the entries and history in `library.jsonl`,
and besides
- `regions/FINGERPRINT.regions`: the regions of each slide, see `state.region_folder`.
The slides themselves are never written to, moved or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder
from napari_medssl.state.history import Edit, History
from napari_medssl.state.item_folder import ItemFolder
from napari_medssl.state.items import ItemStore
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.slide_entry import SlideEntry, entry_from_row, new_alias

SUFFIX = ".slides"


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


class SlideLibrary(ItemFolder[SlideEntry]):
    """A library, open for editing.

    Attributes
    ----------
    store
        The entries and their history. Changes are saved as they are made.
    """

    suffix = SUFFIX
    noun = "library"
    file_name = "library.jsonl"
    format_name = "napari-medssl slides"
    store: EntryStore

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        super().__init__(folder, lock)
        self._followed: tuple[str, ...] = ()
        self._is_masked = False

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
        return cls._opened(folder, repair)

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
        kept = replace(entry, alias=former.alias, converted=former.converted, index=former.index)
        self.store.update({key: kept}, "relocate slide")

    def note_seen(self, news: Mapping[int, tuple[SlideEntry, SlideEntry]]) -> None:
        """Take in what a look found out, by id: the entry that was looked at, and as it was seen.

        Only what differs between the two is taken: something else may have been noted meanwhile.
        Slides that are gone from the list, or lie somewhere else by now, are passed over.
        """
        found = {}
        for key, (before, seen) in news.items():
            if key in self.store and self.store[key].source == before.source:
                found[key] = self.store[key].updated(before, seen)
        self.store.note(found)

    def note_made(
        self,
        source: str,
        fingerprint: str,
        *,
        converted: str | None = None,
        index: str | None = None,
    ) -> None:
        """Note what was made of a slide, from which its state follows; nothing if it is not listed.

        Parameters
        ----------
        source
            Path or URL of the slide, as in its entry: ids are those of a library, and another one
            may have been opened while something was made.
        fingerprint
            Of the slide that it was made of; if the slide is another one by now, nothing is noted.
        converted, index
            Path of its OME-Zarr store or of its tile index, "" if it is gone, None as before.
        """
        key = self.sources().get(source)
        if key is None:
            return
        entry = self.store[key]
        if fingerprint and entry.fingerprint and fingerprint != entry.fingerprint:
            return
        noted = replace(
            entry,
            converted=entry.converted if converted is None else converted,
            index=entry.index if index is None else index,
        )
        self.store.note({key: noted})

    def sources(self) -> dict[str, int]:
        """Return the ids of the slides by path or URL."""
        return {entry.source: key for key, entry in self.store.as_dict().items()}

    def regions_folder(self, fingerprint: str) -> Path:
        """Return where the regions of the slide of this content are."""
        return make_folder(self.folder / "regions") / f"{fingerprint}.regions"

    # -- besides the slides ----------------------------------------------------------------------

    @property
    def followed(self) -> tuple[str, ...]:
        """Folders whose new slides are added when the library is refreshed."""
        return self._followed

    def follow(self, folder: Path) -> None:
        """Look for new slides in a folder, and those inside, at every refresh."""
        name = str(folder)
        if name not in self._followed:
            self._followed = (*self._followed, name)
            self._note_about()

    @property
    def is_masked(self) -> bool:
        """True if aliases are to be shown instead of names, also when it is opened again."""
        return self._is_masked

    def mask(self, is_masked: bool) -> None:
        """Show aliases instead of names, or names again."""
        if is_masked != self._is_masked:
            self._is_masked = is_masked
            self._note_about()

    # -- inside ----------------------------------------------------------------------------------

    def _make_store(
        self,
        items: dict[int, SlideEntry],
        edits: list[Edit[SlideEntry]],
        position: int,
        next_id: int,
    ) -> None:
        self.store = EntryStore(items, History.of(edits, position), next_id)

    def _to_row(self, item: SlideEntry) -> list[Any]:
        return item.to_row()

    def _from_row(self, row: list[Any]) -> SlideEntry:
        return entry_from_row(row)

    def _about(self) -> dict[str, Any]:
        return {"folders": list(self._followed), "is_masked": self._is_masked}

    def _take_about(self, about: dict[str, Any]) -> None:
        self._followed = tuple(str(name) for name in about["folders"])
        self._is_masked = bool(about["is_masked"])
