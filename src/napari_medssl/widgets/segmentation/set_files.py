"""Open images, slices of volumes among them, and sets of masks, see `widgets._image_sets`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_medssl.io.images import ImageRef, scan_images
from napari_medssl.io.pixel_size import pixel_size
from napari_medssl.state.mask_folder import SUFFIX, MaskFolder
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets._image_sets import Found, ImageSets, SetWords, source_of
from napari_medssl.widgets._layer_import import TakenLayer
from napari_medssl.widgets._set_places import sets_folder
from napari_medssl.widgets.segmentation.session import MaskSession

_SQUARE = 1e-3  # by which the sides of a square pixel may differ


class SetFiles(ImageSets):
    """Opens and closes sets of masks, and adds images to the one that is open.

    Parameters
    ----------
    viewer, session, parent, folder
        As of `ImageSets`.
    take_in
        Brings what a person painted into the set; called before it is closed.
    """

    words = SetWords(
        SUFFIX,
        "masks",
        "Images to segment",
        "PNG, JPEG, TIFF, WebP, BMP, GIF, PDF or NIfTI",
        (".tif", ".tiff", ".nii", ".nii.gz"),
    )

    def __init__(
        self,
        viewer: Any,
        session: MaskSession,
        parent: QWidget,
        take_in: Callable[[], object],
        folder: Path | None = None,
    ) -> None:
        super().__init__(viewer, session, parent, folder or sets_folder(self.words.kind))
        self._take_in = take_in

    @staticmethod
    def open_folder(folder: Path, *, repair: bool) -> MaskFolder:
        """See `ImageSets.open_folder`."""
        return MaskFolder.open(folder, repair=repair)

    @staticmethod
    def find(places: Sequence[Path]) -> Found:
        """See `ImageSets.find`; the slices of NIfTI files are pictures."""
        listing = scan_images(places, slices=True)
        spacings = {path: pixel_size(path) for path in {ref.path for ref in listing.refs}}
        return Found(listing, {path: known for path, known in spacings.items() if known})

    def found_image(self, ref: ImageRef, found: Found) -> MaskImage:
        """See `ImageSets.found_image`; how large pixels are is known of some.

        Those that are not square are shown as they are.
        """
        image = self.image(ref.name, source_of(ref))
        spacing = found.spacings_mm.get(ref.path)
        if spacing is None:
            return image
        x, y = (side / min(spacing) for side in spacing)
        is_square = math.isclose(x, y, rel_tol=_SQUARE)
        return replace(image, spacing_mm=spacing, scale=(1.0, 1.0) if is_square else (y, x))

    def image(self, name: str, source: str, layer: TakenLayer | None = None) -> MaskImage:
        """See `ImageSets.image`."""
        if layer is None:
            return MaskImage(name, source)
        return MaskImage(
            name,
            source,
            spacing_mm=layer.spacing_mm,
            scale=layer.scale,
            translate=layer.translate,
        )

    def on_volumes(self, places: Mapping[Any, Path]) -> None:
        """See `ImageSets.on_volumes`; layers whose slices are in the set are hidden."""
        there = {item.ref.path for item in self._session.store.as_dict().values()}
        for layer, path in places.items():
            if path.absolute() in there:
                layer.visible = False

    def before_close(self) -> None:
        """See `ImageSets.before_close`."""
        self._take_in()
