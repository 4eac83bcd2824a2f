"""A set of landmarks on disk, saved as it changes.

A folder `NAME.landmarks` as of `state.item_folder`, with images, landmarks, points and history in
`landmarks.jsonl`, and besides
- `images/`: pictures of layers that had no file.
The images themselves are never written to, moved or deleted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medssl.state.history import Edit, History
from napari_medssl.state.item_folder import ItemFolder
from napari_medssl.state.landmark_items import LandmarkItem, item_from_row, item_to_row
from napari_medssl.state.landmarks import UNDO_DEPTH, LandmarkStore
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.set_copy import copy_folder, moved_pictures

SUFFIX = ".landmarks"
_FILE = "landmarks.jsonl"


class LandmarkFolder(ItemFolder[LandmarkItem]):
    """A set of landmarks, open for editing.

    Attributes
    ----------
    store
        Images, landmarks, points and their history. Changes are saved as they are made.
    """

    suffix = SUFFIX
    noun = "set of landmarks"
    file_name = _FILE
    format_name = "napari-medssl landmarks"
    store: LandmarkStore

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        super().__init__(folder, lock)
        self._template = ""
        self._measurements: tuple[str, ...] = ()
        self._model = ""

    @classmethod
    def open(cls, folder: Path | str, *, repair: bool = False) -> LandmarkFolder:
        """Open a set of landmarks and take in what its journal holds; make it if it is missing.

        Raises
        ------
        UserError
            If the folder is something else, is open elsewhere, was made by a newer version, or
            cannot be written.
        ProjectDamagedError
            If files are damaged and `repair` is not set. Nothing was changed.
        """
        return cls._opened(folder, repair)

    def save_copy(self, target: Path) -> None:
        """Write the set, its history and its own pictures to a new folder; this one stays open.

        Pictures in the folder itself are copied, and the copy points at its own.

        Raises
        ------
        UserError
            If there is something at `target` already, or it cannot be written.
        """
        self.save()
        copy_folder(self.folder, target)
        with LandmarkFolder.open(target) as copy:
            store = copy.store
            images = {key: store.image(key) for key in store.images()}
            store.note(moved_pictures(images, self.folder, copy.folder))

    # -- besides the points ----------------------------------------------------------------------

    @property
    def template(self) -> str:
        """Which template of names the list came from, "" for none: "cephalometry 3"."""
        return self._template

    @property
    def measurements(self) -> tuple[str, ...]:
        """Definitions of distances and angles, one a line, see `backend.measurements`."""
        return self._measurements

    @property
    def model(self) -> str:
        """Model that finds the points: a name or a file; "" for the one that fits."""
        return self._model

    def remember(
        self,
        *,
        template: str | None = None,
        measurements: tuple[str, ...] | None = None,
        model: str | None = None,
    ) -> None:
        """Keep these with the set; what is None stays as it is."""
        before = self._about()
        self._template = self._template if template is None else template
        self._measurements = self._measurements if measurements is None else measurements
        self._model = self._model if model is None else model
        if self._about() != before:
            self._note_about()

    # -- inside ----------------------------------------------------------------------------------

    def _make_store(
        self,
        items: dict[int, LandmarkItem],
        edits: list[Edit[LandmarkItem]],
        position: int,
        next_id: int,
    ) -> None:
        self.store = LandmarkStore(items, History.of(edits, position, UNDO_DEPTH), next_id)

    def _to_row(self, item: LandmarkItem) -> list[Any]:
        return item_to_row(item)

    def _from_row(self, row: list[Any]) -> LandmarkItem:
        return item_from_row(row)

    def _about(self) -> dict[str, Any]:
        return {
            "template": self._template,
            "measurements": list(self._measurements),
            "model": self._model,
        }

    def _take_about(self, about: dict[str, Any]) -> None:
        self._template = str(about["template"])
        self._measurements = tuple(str(line) for line in about["measurements"])
        self._model = str(about["model"])
