"""What the widget works on: a set of masks, and the image in front. No Qt here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medssl._errors import UserError
from napari_medssl.state.history import Edit
from napari_medssl.state.mask_classes import class_names, recolored, renamed, with_added
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.state.mask_items import MaskImage, MaskStore

NO_SET = "No images are open. Open some first."


class MaskSession:
    """The state that the parts of the widget share.

    Attributes
    ----------
    set_changed
        Another set is open, or none.
    list_changed
        Images were added or taken away.
    item_changed
        What is known of the image with this id changed.
    mask_changed
        Pixels of the mask of the image with this id changed.
    current_changed
        Another image is in front.
    classes_changed
        A class was added, renamed, given another colour or taken off.
    views
        Where images show something, by id, at a smaller size; of those that were read.
    """

    set_changed = Signal()
    list_changed = Signal()
    item_changed = Signal(int)
    mask_changed = Signal(int)
    current_changed = Signal()
    classes_changed = Signal()

    def __init__(self) -> None:
        self.folder: MaskFolder | None = None
        self.image: int | None = None
        self.problems: dict[int, str] = {}
        self.views: dict[int, NDArray[np.bool_]] = {}
        self._empty = MaskStore()

    @property
    def store(self) -> MaskStore:
        """The images; an empty store while no set is open."""
        return self._empty if self.folder is None else self.folder.store

    def use(self, folder: MaskFolder | None) -> None:
        """Work on another set; the former one is left open, for the caller to close."""
        if self.folder is not None:
            self.store.changed.disconnect(self._on_changed)
        self.folder = folder
        self.problems, self.views = {}, {}
        self.image = next(iter(self.store), None)
        if folder is not None:
            self.store.changed.connect(self._on_changed)
        self.set_changed.emit()
        self.classes_changed.emit()
        self.current_changed.emit()

    def checked_folder(self) -> MaskFolder:
        """Return the set; UserError if none is open."""
        if self.folder is None:
            raise UserError(NO_SET)
        return self.folder

    def checked_image(self) -> int:
        """Return the id of the image in front; UserError if there is none."""
        if self.image is None:
            raise UserError(NO_SET)
        return self.image

    @property
    def item(self) -> MaskImage | None:
        """The image in front."""
        return None if self.image is None else self.store[self.image]

    def choose(self, image: int) -> None:
        """Put an image in front."""
        if image != self.image:
            self.image = image
            self.current_changed.emit()

    def step_image(self, by: int) -> None:
        """Put the next image of the list in front, or the one before."""
        images = list(self.store)
        if images:
            at = images.index(self.image) if self.image in images else -1
            self.choose(images[(at + by) % len(images)])

    def choose_readable(self) -> None:
        """Put the first image without a problem in front, if there is one."""
        readable = next((key for key in self.store if key not in self.problems), None)
        if readable is not None:
            self.choose(readable)

    def note_problem(self, image: int, text: str) -> None:
        """Remember why an image cannot be shown or segmented; an empty text forgets it."""
        before = self.problems.pop(image, "")
        if text:
            self.problems[image] = text
        if text != before:
            self.item_changed.emit(image)

    # -- classes ---------------------------------------------------------------------------------

    def class_names(self, image: int) -> dict[int, str]:
        """Return the classes that an image may have: number to name."""
        return class_names(self.checked_folder().classes, self.store[image])

    def class_colors(self) -> dict[int, str]:
        """Return the colours that a person has given to classes: number to "#rrggbb"."""
        known = {} if self.folder is None else self.folder.classes
        return {number: one.color for number, one in known.items() if one.color}

    def add_class(self, used: Iterable[int] = ()) -> int:
        """Add a class to the set; return its number, above all that are `used` or known."""
        folder = self.checked_folder()
        named = [len(item.classes) for item in folder.store.as_dict().values()]
        classes, number = with_added(folder.classes, [*used, *named])
        folder.remember(classes=classes)
        self.classes_changed.emit()
        return number

    def name_class(self, number: int, name: str) -> None:
        """Call a class by another name in all images; UserError if the name is in use."""
        folder, image = self.checked_folder(), self.checked_image()
        old = self.class_names(image).get(number, f"class {number}")
        classes, items = renamed(folder.classes, folder.store.as_dict(), number, old, name)
        folder.remember(classes=classes)
        folder.store.note(items)
        self.classes_changed.emit()

    def color_class(self, number: int, color: str) -> None:
        """Give a class another colour, "#rrggbb", in all images."""
        folder, image = self.checked_folder(), self.checked_image()
        name = self.class_names(image).get(number, f"class {number}")
        folder.remember(classes=recolored(folder.classes, number, name, color))
        self.classes_changed.emit()

    def check_removable(self, number: int) -> None:
        """UserError if a class is a model's, or none."""
        folder = self.checked_folder()
        by = [i.model for i in folder.store.as_dict().values() if number <= len(i.classes)]
        if by:
            raise UserError(
                f"Class {number} is one of {by[0] or 'an image'}; only classes that were added "
                "can be taken off."
            )
        if number not in folder.classes:
            raise UserError(
                f"Class {number} is on no list: it stands here because pixels have its number. "
                "Erase those, or double-click it to give it a name."
            )

    def remove_class(self, number: int) -> None:
        """Take a class off the set; its pixels stay. UserError as of `check_removable`."""
        self.check_removable(number)
        folder = self.checked_folder()
        folder.remember(classes={n: one for n, one in folder.classes.items() if n != number})
        self.classes_changed.emit()

    # -- inside ----------------------------------------------------------------------------------

    def _on_changed(self, edit: Edit[MaskImage]) -> None:
        for key in edit.removed:
            self.problems.pop(key, None)
            self.views.pop(key, None)
        if edit.added or edit.removed:
            self.list_changed.emit()
        if self.image is None or self.image in edit.removed:
            self.image = next(iter(self.store), None)
            self.current_changed.emit()
        for key in edit.updated:
            self.item_changed.emit(key)
