"""The masks of a set of images on disk, saved as a person paints.

A folder `NAME.masks` as of `state.item_folder`, with the images in `masks.jsonl` and besides
- `masks/`: a grey PNG of class numbers for each image that has a mask;
- `images/`: pictures of layers that had no file.

What a person changes in a mask goes to the journal as the rectangle that changed, a moment later;
the files in `masks/` are written anew by `save`. A file there never changes: a new mask is a new
file, and the former one is deleted when nothing can need it any more. The undo of a mask is that of
napari's Labels layer and is not kept.

More than 300 lines: masks, their files and the journal of edits have to agree at every moment.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_files import class_png, parse_class_png, read_class_file
from napari_medssl.io.files import make_folder, write_all_whole
from napari_medssl.state.history import Edit, History
from napari_medssl.state.item_folder import ItemFolder
from napari_medssl.state.journal import Record, dump, line_of
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.mask_before import MaskBefore
from napari_medssl.state.mask_boxes import changed_box
from napari_medssl.state.mask_classes import (
    Classes,
    classes_from_rows,
    classes_to_rows,
    with_model,
)
from napari_medssl.state.mask_items import (
    ACCEPTED,
    REJECTED,
    MaskImage,
    MaskStore,
    item_from_row,
    item_to_row,
)
from napari_medssl.state.set_copy import copy_folder, moved_pictures

SUFFIX = ".masks"
_OURS = re.compile(r"\d+-(\d+)\.png")
_FEW = 20
Mask = NDArray[np.uint8]


class MaskFolder(ItemFolder[MaskImage]):
    """Masks of a set of images, open for editing.

    Attributes
    ----------
    store
        The images. Changes are saved as they are made.
    """

    suffix = SUFFIX
    noun = "set of masks"
    file_name = "masks.jsonl"
    format_name = "napari-medssl masks"
    store: MaskStore

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        super().__init__(folder, lock)
        self._model = ""
        self._classes: Classes = {}
        self._held: dict[int, Mask] = {}
        self._before: dict[int, MaskBefore] = {}
        self._dirty: set[int] = set()
        self._reserved: set[str] = set()
        self._number = 0

    @classmethod
    def open(cls, folder: Path | str, *, repair: bool = False) -> MaskFolder:
        """Open a set of masks and take in what its journal holds; make it if it is missing.

        Raises
        ------
        UserError
            If the folder is something else, is open elsewhere, was made by a newer version, or
            cannot be written.
        ProjectDamagedError
            If files are damaged and `repair` is not set. Nothing was changed.
        """
        return cls._opened(folder, repair)

    def save(self) -> None:
        """See `ItemFolder.save`; masks that were edited are written too."""
        names = {key: self.new_mask_name(key) for key in sorted(self._dirty) if key in self.store}
        if names:
            make_folder(self._masks)
            write_all_whole(
                {self._masks / name: class_png(self._held[key]) for key, name in names.items()}
            )
            fresh = {key: replace(self.store[key], mask=name) for key, name in names.items()}
            # With no event: this may be a thread of its own, and no view shows the file names.
            self.store.replay("note", Edit("note", {}, fresh))
        self._dirty.clear()
        self._before.clear()  # the files of those masks are others now
        super().save()
        self._reserved -= set(names.values())
        self._clear_masks()

    def save_copy(self, target: Path) -> None:
        """Write the set and its own pictures to a new folder; this one stays open.

        Raises
        ------
        UserError
            If there is something at `target` already, or it cannot be written.
        """
        self.save()
        copy_folder(self.folder, target)
        with MaskFolder.open(target) as copy:
            copy.store.note(moved_pictures(copy.store.as_dict(), self.folder, copy.folder))

    # -- masks -----------------------------------------------------------------------------------

    def held(self, key: int) -> Mask | None:
        """Return the mask of an image as it was last taken in, None if it is only on disk."""
        return self._held.get(key)

    def mask_file(self, key: int) -> Path | None:
        """Return the file of a mask, None if there is none; it lacks edits while one is held."""
        name = self.store[key].mask
        return self._masks / name if name else None

    def hold(self, key: int, mask: Mask) -> None:
        """Begin to follow the edits of a mask, shape (Y, X), which is as it is on disk."""
        self._held[key] = np.array(mask, np.uint8)

    def release(self, key: int) -> None:
        """Follow a mask no more; one with edits that are not in its file yet is kept."""
        self._before.pop(key, None)
        if key not in self._dirty:
            self._held.pop(key, None)

    def take_in(self, key: int, pixels: NDArray[np.generic]) -> bool:
        """Save what a person changed in a mask since it was taken in last.

        One that is again as it was before the first edit counts as not edited.

        Parameters
        ----------
        key
            Id of the image.
        pixels
            Class numbers of 0 to 255, shape (Y, X).

        Returns
        -------
        bool
            Whether anything had changed.

        Raises
        ------
        UserError
            If the mask has another shape than the image, or larger numbers.
        """
        held = self._held[key]
        if pixels.shape != held.shape:
            raise UserError(
                f"The mask of {self.store[key].name!r} has the shape {pixels.shape} now; due is "
                f"{held.shape}, that of the image. It is not saved."
            )
        box = changed_box(pixels, held)
        if box is None:
            return False
        patch = pixels[box]
        if patch.dtype != np.uint8 and (patch.min() < 0 or patch.max() > 255):
            raise UserError(
                f"The mask of {self.store[key].name!r} has class numbers of {patch.min()} to "
                f"{patch.max()}; due are 0 to 255. It is not saved. Undo that, and paint with a "
                "class of the list."
            )
        copy = np.array(patch, np.uint8)
        if not self.store[key].is_edited:
            self._before[key] = MaskBefore(self.store[key], held.copy())
        before = self._before.get(key)
        is_back = before is not None and before.note(box, held[box], copy)
        held[box] = copy
        self._dirty.add(key)
        self._sequence += 1
        facts = {"seq": self._sequence, "kind": "patch", "image": key}
        facts |= {"mask": self.store[key].mask, "at": [box[0].start, box[1].start]}
        self._open_journal.append_later(partial(_patch_line, facts, copy))
        if before is not None and is_back:
            self._forget_edits(key, before.item.review)
        elif not self.store[key].is_edited:
            self.store.note({key: replace(self.store[key], is_edited=True, review="")})
        return True

    def new_mask_name(self, key: int) -> str:
        """Return a file name for a mask that the program is about to make."""
        if not self._number:
            found = (self._masks.iterdir()) if self._masks.is_dir() else ()
            numbers = (_OURS.fullmatch(path.name) for path in found)
            self._number = max((int(one[1]) for one in numbers if one), default=0)
        self._number += 1
        name = f"{key}-{self._number}.png"
        self._reserved.add(name)
        return name

    def mask_place(self, name: str) -> Path:
        """Return where a mask of a name from `new_mask_name` is to be written."""
        return make_folder(self._masks) / name

    def use_mask(
        self,
        key: int,
        name: str,
        mask: Mask,
        *,
        model: str,
        classes: Sequence[str],
        made_with: str = "",
        uncertainty: float | None = None,
    ) -> None:
        """Let a mask that the program made and wrote be that of an image.

        Parameters
        ----------
        key
            Id of the image.
        name
            Its file, from `new_mask_name`.
        mask
            What is in that file, shape (Y, X).
        model, classes
            What made it, and the names of its classes.
        made_with, uncertainty
            How, and how undecided it was, see `MaskImage`.
        """
        self._dirty.discard(key)
        self._before.pop(key, None)
        if key in self._held:
            self._held[key] = np.array(mask, np.uint8)
        height, width = mask.shape
        known, called = with_model(self._classes, classes)
        self.remember(classes=known)
        item = replace(self.store[key], mask=name, model=model, classes=called, made_with=made_with)
        item = replace(item, review="", uncertainty=uncertainty)
        self.store.note({key: replace(item, is_edited=False, width=width, height=height)})
        self._reserved.discard(name)

    def accept(self, key: int, *, is_accepted: bool = True) -> None:
        """Keep that a person stands for the mask that a model made of an image, or does no more."""
        review = ACCEPTED if is_accepted else ""
        self.store.note({key: replace(self.store[key], review=review)})

    def reject(self, key: int) -> MaskImage:
        """Take the mask that a model made off an image; return what `restore` brings it back by.

        The file of the mask stays until the set is closed.
        """
        former = self.store[key]
        self._reserved.add(former.mask)
        if key in self._held:
            self._held[key] = np.zeros_like(self._held[key])
        gone = replace(former, mask="", made_with="", review=REJECTED, uncertainty=None)
        self.store.note({key: gone})
        return former

    def restore(self, key: int, former: MaskImage) -> None:
        """Bring back the mask that `reject` took off; it is to be read from its file again.

        One that a person had accepted is accepted again.
        """
        self._held.pop(key, None)
        now = self.store[key]
        made = replace(now, mask=former.mask, made_with=former.made_with)
        said = replace(made, review=former.review, uncertainty=former.uncertainty)
        self.store.note({key: said})

    def remove_images(self, keys: Sequence[int]) -> None:
        """Take images off the set with their masks; the files of the images stay."""
        self.store.remove(keys, "remove images")
        for key in keys:
            self._dirty.discard(key)
            self._before.pop(key, None)
            self._held.pop(key, None)

    # -- besides the masks -----------------------------------------------------------------------

    @property
    def model(self) -> str:
        """Model that segments: a name or a file; "" for none chosen yet."""
        return self._model

    @property
    def classes(self) -> Classes:
        """Classes of the set by number, see `state.mask_classes`; a copy."""
        return dict(self._classes)

    def remember(self, *, model: str | None = None, classes: Classes | None = None) -> None:
        """Keep the model, or the classes, with the set."""
        before = self._model, self._classes
        if model is not None:
            self._model = model
        if classes is not None:
            self._classes = dict(classes)
        if (self._model, self._classes) != before:
            self._note_about()

    # -- inside ----------------------------------------------------------------------------------

    def _forget_edits(self, key: int, review: str) -> None:
        """Let a mask be as its file has it, and what a person said of it be said again."""
        self._before.pop(key)
        self._dirty.discard(key)
        self.store.note({key: replace(self.store[key], is_edited=False, review=review)})

    @property
    def _masks(self) -> Path:
        return self.folder / "masks"

    def _make_store(
        self, items: dict[int, MaskImage], edits: list[Edit[MaskImage]], position: int, next_id: int
    ) -> None:
        self.store = MaskStore(items, History.of(edits, position, _FEW), next_id)

    def _to_row(self, item: MaskImage) -> list[Any]:
        return item_to_row(item)

    def _from_row(self, row: list[Any]) -> MaskImage:
        return item_from_row(row)

    def _about(self) -> dict[str, Any]:
        return {"model": self._model, "classes": classes_to_rows(self._classes)}

    def _take_about(self, about: dict[str, Any]) -> None:
        # Sets made before classes could be added have none.
        self._classes = classes_from_rows(about.get("classes", ()))
        self._model = str(about["model"])

    def _repeat(self, record: Record) -> None:
        if int(record["seq"]) > self._sequence and record["kind"] == "patch":
            self._repeat_patch(record)
            self._sequence = int(record["seq"])
            return
        before = {key: self.store[key].mask for key in self._held if key in self.store}
        super()._repeat(record)
        items = self.store.as_dict()
        for key, mask in before.items():
            now = items.get(key)
            # Its new file has all, or it is again as the file has it.
            if now is None or now.mask != mask or (key in self._dirty and not now.is_edited):
                self._dirty.discard(key)
                self._held.pop(key)

    def _repeat_patch(self, record: Record) -> None:
        key = int(record["image"])
        if key not in self.store or self.store[key].mask != str(record["mask"]):
            return  # of a mask that is gone
        item = self.store[key]
        if key not in self._held:
            file = self.mask_file(key)
            empty = np.zeros((item.height, item.width), np.uint8)
            self.hold(key, read_class_file(file) if file else empty)
        patch = parse_class_png(base64.b64decode(record["png"], validate=True))
        top, left = (int(value) for value in record["at"])
        self._held[key][top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        self._dirty.add(key)
        if not item.is_edited:  # a kill may have come before the line that says so
            edited = replace(item, is_edited=True, review="")
            self.store.replay("note", Edit("note", {key: item}, {key: edited}))

    def _clear_masks(self) -> None:
        """Delete masks that are no image's any more."""
        used = {item.mask for item in self.store.as_dict().values()} | self._reserved
        for path in self._masks.iterdir() if self._masks.is_dir() else ():
            if _OURS.fullmatch(path.name) and path.name not in used:
                path.unlink(missing_ok=True)


def _patch_line(facts: Record, patch: Mask) -> bytes:
    """Return the journal's line of an edit of a mask; called in the thread of the journal."""
    png = base64.b64encode(class_png(patch)).decode("ascii")
    return line_of(dump(facts | {"png": png}))
