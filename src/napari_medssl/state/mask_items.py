"""An image of a set of masks, as a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.image_names import clean_image_name, free_name
from napari_medssl.io.images import ImageRef
from napari_medssl.state.history import History
from napari_medssl.state.items import ItemStore

_MASK = re.compile(r"(\d+-\d+\.png)?")
ACCEPTED, REJECTED = "accepted", "rejected"
_REVIEWS = ("", ACCEPTED, REJECTED)
_FEW = 20  # steps of history: masks have that of napari's Labels layer


@dataclass(frozen=True, slots=True)
class MaskImage:
    """An image, and what is known of its mask.

    Attributes
    ----------
    name
        What it is called; no two images of a set share one.
    source
        Path of its file, with "#page=N" for a page of several.
    width, height
        Size in pixels; 0 until it was read.
    spacing_mm
        Distance of pixels `(x, y)` in mm, None where it is not known.
    scale, translate
        Where the layer that it came from lies in napari's world, `(y, x)`.
    mask
        File name of its mask in the set; "" if there is none on disk yet.
    model, classes
        What made the mask, "" for a person alone, and the names of its classes 1, 2 and so on.
    is_edited
        Whether a person has changed the mask since the program made it.
    made_with
        How the model was read, as JSON text of `backend.methods_record`; "" if that is not known.
    review
        What a person said of the mask of a model: "accepted", "rejected" (it is gone then), or "".
    uncertainty
        How undecided the model was, see `backend.mask_uncertainty`; None if that is not known.
    """

    name: str
    source: str
    width: int = 0
    height: int = 0
    spacing_mm: tuple[float, float] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    mask: str = ""
    model: str = ""
    classes: tuple[str, ...] = ()
    is_edited: bool = False
    made_with: str = ""
    review: str = ""
    uncertainty: float | None = None

    @property
    def ref(self) -> ImageRef:
        """Where its pixels are."""
        return ImageRef.parse(self.source)

    @property
    def has_mask(self) -> bool:
        """True if the program or a person has made a mask."""
        return bool(self.mask) or self.is_edited

    @property
    def is_label(self) -> bool:
        """True if a person stands for the mask: no model replaces it unasked, and models learn it.

        It was painted, corrected or accepted.
        """
        return self.is_edited or self.review == ACCEPTED

    @property
    def is_prediction(self) -> bool:
        """True if a model has made the mask and no person has said anything of it."""
        return self.has_mask and not self.is_label


def item_to_row(item: MaskImage) -> list[Any]:
    """Return an image as a JSON list."""
    spacing = None if item.spacing_mm is None else list(item.spacing_mm)
    places = [list(item.scale), list(item.translate)]
    facts = [item.name, item.source, item.width, item.height, spacing, *places]
    made = [item.mask, item.model, list(item.classes), item.is_edited, item.made_with]
    return [*facts, *made, item.review, item.uncertainty]


def item_from_row(row: list[Any]) -> MaskImage:
    """Return the image of a list made by `item_to_row`.

    Raises
    ------
    ValueError
        If the list is something else.
    """
    name, source, width, height, spacing, scale, translate, mask, *made = row
    model, classes, is_edited, *known = made
    # Sets made before these were kept have none.
    older: tuple[Any, ...] = ("", "", None)
    made_with, review, uncertainty = (*known, *older[len(known) :])
    if review not in _REVIEWS:
        raise ValueError(f"{review!r} is nothing that a person says of a mask")
    if not _MASK.fullmatch(mask):
        raise ValueError(f"{mask!r} is no name of a mask")
    return MaskImage(
        str(name),
        str(source),
        int(width),
        int(height),
        None if spacing is None else _pair(spacing),
        _pair(scale),
        _pair(translate),
        mask,
        str(model),
        tuple(str(one) for one in classes),
        bool(is_edited),
        str(made_with),
        str(review),
        None if uncertainty is None else float(uncertainty),
    )


def _pair(values: Any) -> tuple[float, float]:
    one, other = (float(value) for value in values)
    return one, other


class MaskStore(ItemStore[MaskImage]):
    """The images of a set; their masks are kept by `state.mask_folder`."""

    item_name = "image"

    def __init__(
        self,
        items: Iterable[MaskImage] | Mapping[int, MaskImage] = (),
        history: History[MaskImage] | None = None,
        next_id: int = 1,
    ) -> None:
        super().__init__(items, history or History(_FEW), next_id)

    def add_images(self, images: Sequence[MaskImage]) -> tuple[int, ...]:
        """Add images and return their ids; those whose file is there already are not added.

        A name that is in use gets the name of its folder before it, or else a number.
        """
        known = {item.source for item in self.as_dict().values()}
        taken = {item.name for item in self.as_dict().values()}
        fresh = []
        for image in images:
            if image.source in known:
                continue
            known.add(image.source)
            name = free_name(clean_image_name(image.name) or "image", image.ref, taken)
            taken.add(name)
            fresh.append(replace(image, name=name))
        return self.add(*fresh, name="add images") if fresh else ()

    def note_size(self, key: int, width: int, height: int) -> None:
        """Take in how large an image is, in pixels."""
        if key in self:
            self.note({key: replace(self[key], width=width, height=height)})

    def set_spacing(self, keys: Iterable[int], spacing_mm: tuple[float, float] | None) -> None:
        """Say how far apart the pixels of images are, `(x, y)` in mm; None if not known."""
        if spacing_mm is not None and not all(1e-6 <= side <= 1e6 for side in spacing_mm):
            raise UserError(
                f"A pixel of {spacing_mm!r} mm came; due is a size above 0. Look it up in the "
                "header of the image."
            )
        self.note({key: replace(self[key], spacing_mm=spacing_mm) for key in keys})
