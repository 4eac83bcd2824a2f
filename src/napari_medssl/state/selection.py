"""One selection of items, shared by the views that show them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from psygnal import Signal


class Selection:
    """A set of item keys that tells, once per change, what it holds and who changed it.

    Attributes
    ----------
    changed
        Emitted with `(items, source)`: the new frozen set and the object given as `source`,
        so that the view that made the change can leave its own echo alone.
    """

    changed = Signal(frozenset, object)

    def __init__(self, items: Iterable[Hashable] = ()) -> None:
        self._items: frozenset[Hashable] = frozenset(items)

    @property
    def items(self) -> frozenset[Hashable]:
        """The keys selected now."""
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._items)

    def replace(self, items: Iterable[Hashable], source: object = None) -> bool:
        """Select exactly these; return True if that was a change."""
        wanted = frozenset(items)
        if wanted == self._items:
            return False
        self._items = wanted
        self.changed.emit(wanted, source)
        return True

    def union(self, items: Iterable[Hashable], source: object = None) -> bool:
        """Select these too."""
        return self.replace(self._items | frozenset(items), source)

    def intersection(self, items: Iterable[Hashable], source: object = None) -> bool:
        """Keep only those selected that are among these."""
        return self.replace(self._items & frozenset(items), source)

    def difference(self, items: Iterable[Hashable], source: object = None) -> bool:
        """Deselect these."""
        return self.replace(self._items - frozenset(items), source)

    def toggle(self, items: Iterable[Hashable], source: object = None) -> bool:
        """Turn each of these over: selected becomes not, not becomes selected."""
        return self.replace(self._items ^ frozenset(items), source)

    def clear(self, source: object = None) -> bool:
        """Select nothing."""
        return self.replace((), source)
