"""Open images and sets of masks, see `widgets._image_sets`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_medssl.state.mask_folder import SUFFIX, MaskFolder
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets._image_sets import ImageSets, SetWords
from napari_medssl.widgets._layer_import import TakenLayer
from napari_medssl.widgets._set_places import sets_folder
from napari_medssl.widgets.segmentation.session import MaskSession


class SetFiles(ImageSets):
    """Opens and closes sets of masks, and adds images to the one that is open.

    Parameters
    ----------
    viewer, session, parent, folder
        As of `ImageSets`.
    take_in
        Brings what a person painted into the set; called before it is closed.
    """

    words = SetWords(SUFFIX, "masks", "Images to segment")

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

    def before_close(self) -> None:
        """See `ImageSets.before_close`."""
        self._take_in()
