"""The regions of one slide on disk, saved as they change.

A folder `NAME.regions` as of `state.item_folder`, with the regions, classes and history in
`regions.jsonl` and besides
- `classes.json`: the list of classes as QuPath writes it, to be taken to another slide;
- `tissue.png`: the tissue mask as a person corrected it, see `state.tissue_file`.

A view needs `store`, and `save_error` to tell that the disk refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.state.history import Edit, History
from napari_medssl.state.item_folder import ItemFolder
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.region_classes import DEFAULT_CLASSES, write_classes
from napari_medssl.state.region_rows import item_from_row, item_to_row
from napari_medssl.state.regions import UNDO_DEPTH, Item, RegionStore


@dataclass(frozen=True, slots=True)
class SlideIdentity:
    """Which slide regions belong to: its file name, and a text that tells slides apart.

    The `fingerprint` is that of the slide; "" if it is not known.
    """

    name: str = ""
    fingerprint: str = ""


class RegionFolder(ItemFolder[Item]):
    """The regions of a slide, open for editing.

    Attributes
    ----------
    store
        The regions, classes and history. Its edits are saved as they are made.
    slide
        The slide that they belong to.
    """

    suffix = ".regions"
    noun = "regions folder"
    file_name = "regions.jsonl"
    format_name = "napari-medssl regions"
    store: RegionStore

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        super().__init__(folder, lock)
        self.slide = SlideIdentity()

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
        return cls._opened(
            folder, repair, lambda opened: opened._check_slide(slide or SlideIdentity())
        )

    def save(self) -> None:
        """See `ItemFolder.save`; the list of classes is written too."""
        write_classes(self.store.classes(), self.folder / "classes.json")
        super().save()

    def _make_store(
        self, items: dict[int, Item], edits: list[Edit[Item]], position: int, next_id: int
    ) -> None:
        self.store = RegionStore(items, History.of(edits, position, UNDO_DEPTH), next_id)

    def _to_row(self, item: Item) -> list[Any]:
        return item_to_row(item)

    def _from_row(self, row: list[Any]) -> Item:
        return item_from_row(row)

    def _begin(self) -> None:
        self.store = RegionStore(DEFAULT_CLASSES)

    def _about(self) -> dict[str, Any]:
        return {"slide": self.slide.name, "fingerprint": self.slide.fingerprint}

    def _take_about(self, about: dict[str, Any]) -> None:
        self.slide = SlideIdentity(str(about["slide"]), str(about["fingerprint"]))

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
