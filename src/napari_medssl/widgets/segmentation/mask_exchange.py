"""What leaves the widget: masks as `medssl segment` writes them, and a table of areas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from qtpy.QtWidgets import QFileDialog, QInputDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.mask_areas import AreasReport, write_areas
from napari_medssl.io.class_files import class_png, read_class_file
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.mask_reading import Mask
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import (
    ask_place,
    keys_with_mask,
    mask_of,
    may_replace,
    places_of_masks,
    to_measure,
)

_MM = (1e-6, 1000.0)
_T = TypeVar("_T")


class MaskExchange(Part):
    """Saves masks and areas, and says how large a pixel is."""

    def __init__(self, session: MaskSession, layers: MaskLayers, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._layers = session, layers
        self.background = Background("medssl-mask-write", self)
        self._running, self._count = 0, count()

    @property
    def is_busy(self) -> bool:
        """True while something is written."""
        return self._running > 0

    def fill_menu(self, menu: QMenu, further: Callable[[QMenu], object]) -> None:
        """Add what saves and exports; `further` adds more of that."""
        add_entry(
            menu,
            "Save masks ...",
            "Write STEM.png of class numbers for each image, as medssl segment does",
            self.ask_save,
        )
        add_entry(
            menu,
            "Export areas ...",
            "Write area and objects of each class of all images as CSV",
            self.ask_export,
        )
        further(menu)
        menu.addSeparator()
        add_entry(menu, "Pixel size ...", "Say how many mm a pixel measures", self.ask_spacing)
        add_entry(menu, "Remove image", "Take the image in front off the set", self.remove_current)

    # -- masks -----------------------------------------------------------------------------------

    def ask_save(self) -> None:
        """Ask for a folder and write the masks there."""
        name = QFileDialog.getExistingDirectory(self._parent, "Folder for the masks")
        if name:
            self.save(Path(name))

    def save(self, out: Path) -> None:
        """Write STEM.png for each image that has a mask; ask first if one is there already."""
        try:
            keys = keys_with_mask(self._session, self._layers)
            places = places_of_masks(self._session, keys, out)
            if not may_replace(self._parent, places, out):
                return
            wait_for(partial(make_folder, out))
        except UserError as error:
            self._refuse(error)
            return
        work = partial(_write, [mask_of(self._session, key) for key in keys], places)
        words = f"{len(keys)} mask{'s' * (len(keys) != 1)} written to {out}."
        self.told.emit("Writing ...", False)
        self._submit(work, lambda _: words)

    # -- areas -----------------------------------------------------------------------------------

    def ask_export(self) -> None:
        """Ask for a place and write the areas there."""
        place = ask_place(self._parent, "Export areas", "areas.csv", "Table (*.csv)")
        if place is not None:
            self.export(place)

    def export(self, path: Path) -> None:
        """Write the area of each class of all images that have a mask."""
        try:
            keys = keys_with_mask(self._session, self._layers)
        except UserError as error:
            self._refuse(error)
            return
        masks = [to_measure(self._session, key) for key in keys]
        self.told.emit("Measuring ...", False)
        lacking = len(self._session.store) - len(keys)
        self._submit(partial(write_areas, path, masks), partial(_told_of, path, lacking))

    # -- size of pixels, images ------------------------------------------------------------------

    def ask_spacing(self) -> None:
        """Ask how many mm a pixel measures, for all images of the set."""
        try:
            self._session.checked_folder()
        except UserError as error:
            self._refuse(error)
            return
        items = self._session.store.as_dict().values()
        known = next((item.spacing_mm for item in items if item.spacing_mm), (0.01, 0.01))
        side, is_given = QInputDialog.getDouble(
            self._parent, "Pixel size", "mm a pixel, in all images:", known[0], *_MM, decimals=6
        )
        if is_given:
            self.set_spacing(side)

    def set_spacing(self, side_mm: float) -> None:
        """Say how many mm a pixel measures in all images."""
        store = self._session.store
        try:
            store.set_spacing(store, (side_mm, side_mm))
        except UserError as error:
            self._refuse(error)
            return
        self.told.emit(f"A pixel measures {side_mm:g} mm in all images.", False)

    def remove_current(self) -> None:
        """Take the image in front off the set, after a question if it has a mask."""
        try:
            key = self._session.checked_image()
        except UserError as error:
            self._refuse(error)
            return
        item = self._session.store[key]
        text = f"The mask of {item.name!r} goes with it, for good. The image file stays."
        if not item.has_mask or questions.may(self._parent, "Remove the image?", text):
            self._session.checked_folder().remove_images([key])

    # -- inside ----------------------------------------------------------------------------------

    def _submit(self, work: Callable[[], _T], told: Callable[[_T], str]) -> None:
        """Write in the thread, one after the other: none replaces another that waits."""
        self._running += 1
        self.background.submit(
            f"write {next(self._count)}", work, partial(self._on_done, told), self._refuse_written
        )

    def _on_done(self, told: Callable[[Any], str], result: Any) -> None:
        self._running -= 1
        self.told.emit(told(result), False)

    def _refuse_written(self, error: BaseException) -> None:
        self._running -= 1
        self._refuse(error)


def _told_of(path: Path, lacking: int, report: AreasReport) -> str:
    """Return what is said of a table that was written; `lacking` images have no mask."""
    words = f"Areas written to {path}."
    if lacking:
        words += f" {lacking} image{'s have' if lacking > 1 else ' has'} no mask yet and no row."
    if not report.failures:
        return words
    some = report.failures[0]
    return f"{words} Without the field of view of {len(report.failures)} images: {some}"


def _write(masks: Sequence[Mask | Path], places: Sequence[Path]) -> None:
    for mask, place in zip(masks, places, strict=True):
        # Copied in the thread: a stroke of this very moment may still come in.
        pixels = read_class_file(mask) if isinstance(mask, Path) else mask.copy()
        write_whole(place, class_png(pixels))
