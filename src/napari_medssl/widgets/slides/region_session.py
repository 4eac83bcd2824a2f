"""The regions of the slide in front: opened with it, saved with it.

No Qt here: the layer, the list of classes and the buttons are views of this.
"""

from __future__ import annotations

from collections.abc import Iterable

from psygnal import Signal

from napari_medssl._errors import UserError
from napari_medssl.io.geojson.feature import Feature
from napari_medssl.state.history import Edit
from napari_medssl.state.region_folder import RegionFolder
from napari_medssl.state.regions import Item, Region, RegionStore
from napari_medssl.state.selection import Selection


class RegionSession:
    """The state that the views of regions share.

    Attributes
    ----------
    opened
        Regions of another slide are there, or none.
    changed
        Regions or classes changed, also in the middle of a drag.
    class_chosen
        New regions get another class.
    """

    opened = Signal()
    changed = Signal(Edit)
    class_chosen = Signal()

    def __init__(self) -> None:
        self.folder: RegionFolder | None = None
        self.selection = Selection()
        self.active_class: int | None = None

    @property
    def store(self) -> RegionStore | None:
        """The regions and classes, None where no slide is open."""
        return None if self.folder is None else self.folder.store

    def use(self, folder: RegionFolder | None) -> RegionFolder | None:
        """Work on other regions; return the former ones, to be closed by the caller."""
        former = self.folder
        if former is not None:
            former.store.changed.disconnect(self._on_changed)
        self.selection.clear(self)
        self.folder = folder
        self.active_class = None
        if folder is not None:
            folder.store.changed.connect(self._on_changed)
            self.active_class = next(iter(folder.store.class_keys()), None)
        self.opened.emit()
        return former

    def choose_class(self, key: int | None) -> None:
        """Give this class to regions drawn from now on."""
        if key != self.active_class:
            self.active_class = key
            self.class_chosen.emit()

    def selected(self) -> list[int]:
        """Return the ids of the regions selected, in order."""
        store = self.store
        return [] if store is None else [k for k in store.region_keys() if k in self.selection]

    def undo(self, *, redo: bool = False) -> str:
        """Take the last edit back, or bring it back; return a line for the person."""
        store = self.store
        if store is None:
            return ""
        edit = store.redo() if redo else store.undo()
        if edit is None:
            return "Nothing to do again." if redo else "Nothing to undo."
        touched = [k for k, item in edit.after.items() if isinstance(item, Region)]
        self.selection.replace(touched, self)
        return f"{'Done again' if redo else 'Undone'}: {edit.name}"

    def delete(self) -> None:
        """Delete the regions selected; UserError if none is, or one is locked."""
        keys = self.selected()
        if not keys:
            raise UserError("No region is selected. Click one with the tool Select first.")
        if self.store is not None:
            self.store.remove(keys)

    def merge(self) -> None:
        """Make one region of those selected; UserError if that cannot be."""
        if self.store is not None:
            self.selection.replace([self.store.merge(self.selected())], self)

    def subtract(self) -> None:
        """Cut the smaller ones of the regions selected out of the largest one."""
        store = self.store
        if store is None:
            return
        keys = sorted(self.selected(), key=lambda k: -store.region(k).shape.area)
        if len(keys) < 2:
            raise UserError("Select an area, and areas to cut out of it.")
        with store.edit("cut out"):
            store.subtract(keys[0], keys[1:])
            store.remove(keys[1:])

    def set_class(self, key: int | None) -> None:
        """Give the regions selected a class, and those drawn from now on too."""
        if self.store is not None and self.selected():
            self.store.set_class(self.selected(), key)
        self.choose_class(key)

    def add(self, features: Iterable[Feature], name: str) -> tuple[int, ...]:
        """Add features and select them; return their ids."""
        if self.store is None:
            raise UserError("No slide is open. Open one from the list first.")
        keys = self.store.add_features(features, name)
        self.selection.replace(keys, self)
        return keys

    def _on_changed(self, edit: Edit[Item]) -> None:
        store = self.store
        if store is not None:
            self.selection.intersection(store.region_keys(), self)
            if self.active_class is not None and store.region_class(self.active_class) is None:
                self.choose_class(None)
        self.changed.emit(edit)
