"""What the widget works on: a library, the slide in front, whether names are masked.

No Qt here: the list, the map and the layers are views of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_medssl.state.history import Edit
from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.state.slide_library import SlideLibrary


class SlidesSession:
    """The state that the parts of the widget share.

    Attributes
    ----------
    library_changed
        Another library is open.
    slides_changed
        Slides were added to the list or taken off it.
    slide_changed
        What is known of the slide with this id changed.
    current_changed
        Another slide is in front, or none.
    masked_changed
        Names are hidden from now on, or shown.
    current, layer, fingerprint
        Of the slide in front: its id, its image layer, and the content that is shown, which is not
        that of the list if the file was replaced.
    """

    library_changed = Signal()
    slides_changed = Signal()
    slide_changed = Signal(int)
    current_changed = Signal()
    masked_changed = Signal()

    def __init__(self, library: SlideLibrary) -> None:
        self.library = library
        self.current: int | None = None
        self.layer: Any = None
        self.fingerprint = ""
        self.use(library)

    def use(self, library: SlideLibrary) -> None:
        """Work on another library; the former one is left as it is."""
        self.leave()
        if library is not self.library and not self.library.is_closed:
            self.library.store.changed.disconnect(self._on_store)
        self.library = library
        library.store.changed.connect(self._on_store)
        self.library_changed.emit()
        self.masked_changed.emit()

    def entry(self, key: int) -> SlideEntry:
        """Return what is known of a slide; KeyError if it is not on the list."""
        return self.library.store[key]

    def has(self, key: int | None) -> bool:
        """Tell whether a slide is on the list."""
        return key is not None and key in self.library.store

    def entries(self, keys: Iterable[int] | None = None) -> dict[int, SlideEntry]:
        """Return some entries by id, all without `keys`."""
        store = self.library.store
        return (
            store.as_dict() if keys is None else {key: store[key] for key in keys if key in store}
        )

    def title(self, key: int) -> str:
        """Return the name to show of a slide."""
        return self.entry(key).title(is_masked=self.is_masked)

    @property
    def is_masked(self) -> bool:
        """True if names are hidden; the library remembers it."""
        return self.library.is_masked

    def mask(self, is_masked: bool) -> None:
        """Show short names that tell nothing instead of file names, or file names again."""
        if is_masked != self.is_masked:
            self.library.mask(is_masked)
            self.masked_changed.emit()

    def masked_text(self, text: str) -> str:
        """Return a message with the names of slides as they are to be shown."""
        if not self.is_masked or not text:
            return text
        return masked(text, self.entries().values())

    def problem(self, key: int) -> str:
        """Return what is wrong with a slide, "" if nothing is, as it is to be shown."""
        entry = self.entry(key)
        return masked(entry.problem, [entry]) if self.is_masked else entry.problem

    def show(self, key: int, layer: Any, fingerprint: str = "") -> None:
        """Have a slide in front, shown by an image layer, with the content that is shown."""
        self.current, self.layer = key, layer
        self.fingerprint = fingerprint or self.entry(key).fingerprint
        self.current_changed.emit()

    def leave(self) -> None:
        """Have no slide in front."""
        had_one = self.current is not None
        self.current = self.layer = None
        self.fingerprint = ""
        if had_one:
            self.current_changed.emit()

    def _on_store(self, edit: Edit[SlideEntry]) -> None:
        if edit.added or edit.removed:
            self.slides_changed.emit()
        for key in edit.updated:
            self.slide_changed.emit(key)


def masked(text: str, entries: Iterable[SlideEntry]) -> str:
    """Return a message without the names of slides, of their stores and of their folders."""
    names: dict[str, str] = {}
    for entry in entries:
        folder = entry.source.rstrip("/\\")[: -len(entry.name)].rstrip("/\\")
        stem = Path(entry.name).stem
        names |= dict.fromkeys((entry.source, entry.name), entry.alias)
        names |= {f"{stem.removesuffix('.ome')}.ome.zarr": f"{entry.alias}.ome.zarr"}
        if folder:
            names |= {folder: "..."}
    # The longest first: "a.svs" is a part of "ba.svs", and the folder one of the path.
    for name in sorted(names, key=len, reverse=True):
        if name in text:
            text = text.replace(name, names[name])
    return text
