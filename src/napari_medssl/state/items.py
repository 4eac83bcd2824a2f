"""A set of items with stable ids, undo and events: the truth that every view mirrors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

from psygnal import Signal

from napari_medssl.state.history import Edit, History

T = TypeVar("T")


class ItemStore(Generic[T]):
    """Items by id, each edit one entry of the history. Items are values that never change.

    Parameters
    ----------
    items
        Items to begin with: an iterable, or a mapping of id to item. They are not an edit.
    history
        Edits made before, so that undo goes on where it was.
    next_id
        The first id to give, so that ids are never used twice. Taken from the items if too low.

    Attributes
    ----------
    item_name
        What an item is called in the names of edits.
    changed
        Emitted with an `Edit` on every change, also while an edit session is open (a drag).
    edited
        Emitted with `(kind, edit)` when a history entry is finished; kind is "do", "undo", "redo",
        or "note" for a change that is no step of the history.
    """

    item_name = "item"
    changed = Signal(Edit)
    edited = Signal(str, Edit)

    def __init__(
        self,
        items: Iterable[T] | Mapping[int, T] = (),
        history: History[T] | None = None,
        next_id: int = 1,
    ) -> None:
        self.history: History[T] = history if history is not None else History()
        pairs = items.items() if isinstance(items, Mapping) else enumerate(items, start=next_id)
        self._items = {int(key): self.fit(item) for key, item in pairs}
        self._next_id = max(next_id, 1, *(key + 1 for key in self._items))
        self._session: dict[int, T | None] | None = None

    def fit(self, item: T) -> T:
        """Return the item as the store would hold it; ValueError if it cannot be held."""
        return item

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: int) -> bool:
        return key in self._items

    def __getitem__(self, key: int) -> T:
        return self._items[key]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._items))

    @property
    def next_id(self) -> int:
        """The id that the next item will get."""
        return self._next_id

    def as_dict(self) -> dict[int, T]:
        """Return a copy: id to item, in order of the ids."""
        return {key: self._items[key] for key in sorted(self._items)}

    # -- editing ---------------------------------------------------------------------------------

    @contextmanager
    def edit(self, name: str) -> Iterator[None]:
        """Make everything done inside one entry of the history.

        An edit inside an edit joins the outer one. If the block raises, the items are put back.
        """
        if self._session is not None:
            yield
            return
        self._session = {}
        try:
            yield
        except BaseException:
            originals, self._session = self._session, None
            self._put(originals, name)
            raise
        originals, self._session = self._session, None
        before = {key: item for key, item in originals.items() if item is not None}
        after = {key: self._items[key] for key in originals if key in self._items}
        edit = Edit(name, before, after)
        if not edit.is_empty:
            self.history.push(edit)
            self.edited.emit("do", edit)

    @property
    def is_editing(self) -> bool:
        """True while an edit session is open."""
        return self._session is not None

    def _put(self, values: Mapping[int, T | None], name: str) -> None:
        """Set items (None removes) and tell the views what really changed."""
        values = {key: item for key, item in values.items() if self._items.get(key) != item}
        if not values:
            return
        before = {key: self._items[key] for key in values if key in self._items}
        for key, item in values.items():
            if self._session is not None:
                self._session.setdefault(key, before.get(key))
            if item is None:
                del self._items[key]
            else:
                self._items[key] = item
        after = {key: item for key, item in values.items() if item is not None}
        self.changed.emit(Edit(name, before, after))

    def update(self, values: Mapping[int, T | None], name: str = "") -> None:
        """Set many items of known ids at once, None removes; one entry of the history.

        Raises
        ------
        KeyError
            If an id is not in the store.
        """
        for key in values:
            self._items[key]
        fitted = {key: None if item is None else self.fit(item) for key, item in values.items()}
        name = name or f"edit {self.item_name}"
        with self.edit(name):
            self._put(fitted, name)

    def add(self, *items: T, name: str = "") -> tuple[int, ...]:
        """Add items and return their ids."""
        fitted = [self.fit(item) for item in items]
        keys = tuple(range(self._next_id, self._next_id + len(fitted)))
        self._next_id += len(fitted)
        name = name or f"add {self.item_name}"
        with self.edit(name):
            self._put(dict(zip(keys, fitted, strict=True)), name)
        return keys

    def remove(self, keys: Iterable[int], name: str = "delete") -> None:
        """Remove items; KeyError if one is not there."""
        self.update(dict.fromkeys(keys), name)

    def note(self, values: Mapping[int, T]) -> None:
        """Change items with no step of the history, on disk and told like any other change."""
        fresh = {k: self.fit(v) for k, v in values.items() if self._items.get(k) != v}
        if not fresh:
            return
        before = {key: self._items[key] for key in fresh if key in self._items}
        session, self._session = self._session, None  # an edit that is open must not undo it
        try:
            self._put(fresh, "note")
        finally:
            self._session = session
        self.edited.emit("note", Edit("note", before, fresh))

    # -- undo ------------------------------------------------------------------------------------

    def undo(self) -> Edit[T] | None:
        """Take the last edit back; return what was applied, None if there was nothing to undo."""
        return self._walk("undo")

    def redo(self) -> Edit[T] | None:
        """Bring the last undone edit back; None if there was nothing to redo."""
        return self._walk("redo")

    def _walk(self, kind: str) -> Edit[T] | None:
        if self._session is not None:
            raise RuntimeError(f"cannot {kind} while an edit is open")
        edit = self.history.undo() if kind == "undo" else self.history.redo()
        if edit is not None:
            values: dict[int, T | None] = dict.fromkeys(edit.before)
            values.update(edit.after)
            self._put(values, edit.name)
            self.edited.emit(kind, edit)
        return edit

    def replay(self, kind: str, edit: Edit[T]) -> None:
        """Repeat what `edited` reported, with no event: for a journal that is read again."""
        if kind == "note":
            self._items.update({key: self.fit(item) for key, item in edit.after.items()})
            self._next_id = max(self._next_id, 1, *(key + 1 for key in edit.after))
            return
        top = self.history.redo_name if kind == "redo" else self.history.undo_name
        if kind == "do":
            self.history.push(edit)
        elif top is not None:
            _ = self.history.undo() if kind == "undo" else self.history.redo()
        for key in edit.before:
            self._items.pop(key, None)
        self._items.update({key: self.fit(item) for key, item in edit.after.items()})
        self._next_id = max(self._next_id, 1, *(key + 1 for key in edit.after))
