"""Open images and sets of landmarks, see `widgets._image_sets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_medssl.state.landmark_folder import SUFFIX, LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage
from napari_medssl.widgets._image_sets import ImageSets, SetWords
from napari_medssl.widgets._layer_import import TakenLayer
from napari_medssl.widgets._set_places import sets_folder
from napari_medssl.widgets.landmarks.session import LandmarkSession


class SetFiles(ImageSets):
    """Opens and closes sets of landmarks, and adds images to the one that is open."""

    words = SetWords(SUFFIX, "landmarks", "Images for landmarks")

    def __init__(
        self, viewer: Any, session: LandmarkSession, parent: QWidget, folder: Path | None = None
    ) -> None:
        super().__init__(viewer, session, parent, folder or sets_folder(self.words.kind))

    @staticmethod
    def open_folder(folder: Path, *, repair: bool) -> LandmarkFolder:
        """See `ImageSets.open_folder`."""
        return LandmarkFolder.open(folder, repair=repair)

    def image(self, name: str, source: str, layer: TakenLayer | None = None) -> LandmarkImage:
        """See `ImageSets.image`."""
        return LandmarkImage(name, source, spacing_mm=None if layer is None else layer.spacing_mm)
