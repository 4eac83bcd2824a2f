"""Landmarks from and to the files of other tools, and lists of landmarks kept as templates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.io.landmarks import LandmarkFile, SliceGrid, read_landmarks
from napari_medssl.state.landmark_exchange import (
    export_landmarks,
    plan_import,
    slicer_files_there,
)
from napari_medssl.state.landmark_items import LandmarkItem
from napari_medssl.state.landmark_templates import (
    apply_template,
    list_templates,
    load_template,
    save_template,
)
from napari_medssl.state.landmarks import LandmarkStore
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.landmarks.session import LandmarkSession

_PATTERNS = "Landmarks (*.csv *.tsv *.json *.fcsv *.xml);;All files (*)"
_MM = (1e-6, 1e6)


class ExchangeMenu(QObject):
    """Fills the menu "Landmarks"; import and export run off the GUI thread.

    Parameters
    ----------
    session, parent
        What it works on, and the widget that asks.
    templates
        Folder of the templates; by default the user's.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, session: LandmarkSession, parent: QWidget, templates: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._parent = parent
        self._templates = templates
        self.background = Background("medssl-landmark-exchange", self)

    def fill_menu(self, menu: QMenu) -> None:
        """Add what concerns files and templates."""
        self._template_menu = menu.addMenu("Use a template")
        self._template_menu.setToolTip("Add the landmarks of a list that was kept")
        self._template_menu.aboutToShow.connect(self._fill_templates)
        add_entry(
            menu, "Keep as template ...", "Keep the list of landmarks", self.ask_keep_template
        )
        menu.addSeparator()
        tip = "Read CSV, 3D Slicer, COCO keypoints, CVAT or DeepLabCut"
        add_entry(menu, "Import ...", tip, self.ask_import)
        add_entry(
            menu,
            "Import a folder ...",
            "Read a folder of point lists of 3D Slicer",
            self.ask_folder,
        )
        exports = menu.addMenu("Export")
        exports.setToolTipsVisible(True)
        for title, kind, tip in (
            ("CSV ...", "csv", "A table: image, label, x, y, score, state; mm where known"),
            ("3D Slicer ...", "slicer", "A .mrk.json for each image, in mm"),
            ("COCO keypoints ...", "coco", "One JSON file for all images"),
        ):
            add_entry(exports, title, tip, partial(self.ask_export, kind))
        add_entry(menu, "Pixel size ...", "Say how many mm a pixel measures", self.ask_spacing)

    # -- templates -------------------------------------------------------------------------------

    def _fill_templates(self) -> None:
        menu = self._template_menu
        menu.clear()
        known = list_templates(self._templates)
        for name, version in known:
            use = partial(self.use_template, name, version)
            add_entry(menu, f"{name} {version}", "Add its landmarks to the list", use)
        if not known:
            menu.addAction("None kept yet").setEnabled(False)

    def use_template(self, name: str, version: int | None = None) -> None:
        """Add the landmarks of a template to the list, in its order."""
        try:
            folder = self._session.checked_folder()
            template = wait_for(partial(load_template, name, version, self._templates))
            added = apply_template(folder.store, template)
            lines = list(dict.fromkeys([*folder.measurements, *template.measurements]))
            folder.remember(template=template.title, measurements=tuple(lines))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self._session.choose(name=next(iter(folder.store.names()), None))
        self._session.measurements_changed.emit()
        self.told.emit(f"Template {template.title}: {added} landmarks added.", False)

    def ask_keep_template(self) -> None:
        """Ask for a name and keep the list under it."""
        former = "" if self._session.folder is None else self._session.folder.template
        name, is_given = QInputDialog.getText(
            self._parent,
            "Keep the list as a template",
            "Name; one that is in use gets a new version:",
            text=former.rpartition(" ")[0],
        )
        if is_given:
            self.keep_template(name)

    def keep_template(self, name: str) -> None:
        """Keep the list under a name."""
        try:
            folder = self._session.checked_folder()
            listed = [folder.store.name(key) for key in folder.store.names()]
            keep = partial(save_template, name, listed, folder.measurements, self._templates)
            made = wait_for(keep)
            folder.remember(template=made.title)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"Kept as template {made.title}.", False)

    # -- import ----------------------------------------------------------------------------------

    def ask_import(self) -> None:
        """Ask for a file and read it."""
        name, _ = QFileDialog.getOpenFileName(self._parent, "Import landmarks", "", _PATTERNS)
        if name:
            self.read(Path(name))

    def ask_folder(self) -> None:
        """Ask for a folder of point lists and read it."""
        name = QFileDialog.getExistingDirectory(self._parent, "Import a folder of point lists")
        if name:
            self.read(Path(name))

    def read(self, path: Path) -> None:
        """Read landmarks in a thread and put them into the set."""
        session = self._session
        store, image = session.store, session.image
        spacing = None if image is None else store.image(image).spacing_mm
        grid = None if spacing is None else SliceGrid(spacing_mm=spacing)
        self.background.submit(
            "import",
            partial(read_landmarks, path, grid=grid),
            partial(self._take, store, image),
            self._refuse,
        )

    def _take(self, store: LandmarkStore, image: int | None, file: LandmarkFile) -> None:
        if store is not self._session.store:
            return
        try:
            self._session.checked_folder()
            plan = plan_import(store, file, image if image in store.images() else None)
        except UserError as error:
            self.told.emit(str(error), True)
            return
        conflicts = plan.conflicts(store)
        overwrite = bool(conflicts) and self.may_overwrite(len(conflicts), "the file")
        with store.edit(f"import {file.path.name}"):
            count = plan.apply(store, overwrite=overwrite)
            self._search_with(store)
        lines = [f"{count} landmark{'s' * (count != 1)} imported."]
        if conflicts and not overwrite:
            lines.append(f"{len(conflicts)} that you made were kept.")
        if plan.strangers:
            lines.append(f"{len(plan.strangers)} images are not open: {plan.strangers[0]} ...")
        lines += plan.notes[:1]
        self.told.emit(" ".join(lines), False)
        if self._session.name is None:
            self._session.choose(name=next(iter(store.names()), None))

    def _search_with(self, store: LandmarkStore) -> None:
        """Search with the points of the template, as if they had been clicked there."""
        front = self._session.front
        if front is not None:
            new = [n for n in store.names() if not store.templates(n)]
            store.use_as_templates((front, n) for n in new if store.point(front, n).is_placed)

    def may_overwrite(self, count: int, source: str) -> bool:
        """Ask whether points of a person may be overwritten."""
        text = (
            f"{count} landmark{'s' * (count != 1)} that a person made would be overwritten by "
            f"those of {source}.\n\nYes overwrites them (undo brings them back), No keeps them and "
            "takes in the others."
        )
        return questions.may(self._parent, "Overwrite landmarks?", text)

    # -- export ----------------------------------------------------------------------------------

    def ask_export(self, kind: str) -> None:
        """Ask for a place and write there."""
        if kind == "slicer":
            name = QFileDialog.getExistingDirectory(
                self._parent, "Folder for point lists of 3D Slicer"
            )
        else:
            usual = "landmarks.csv" if kind == "csv" else "landmarks.coco.json"
            name, _ = QFileDialog.getSaveFileName(self._parent, "Export landmarks", usual)
        if name:
            self.write(Path(name), kind)

    def write(self, path: Path, kind: str) -> None:
        """Write all landmarks as "csv", "slicer" or "coco"."""
        try:
            # A copy: matches may come in while the thread writes.
            copy = self._session.checked_folder().store.as_dict()
            there = wait_for(partial(_files_there, copy, path)) if kind == "slicer" else ()
            if there and not self._may_replace(there):
                return
            told = wait_for(partial(_export, copy, path, kind))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(" ".join([f"Landmarks written to {path}.", *told[:1]]), False)

    def _may_replace(self, there: Sequence[Path]) -> bool:
        """Ask whether files may be overwritten that no file dialog has asked about."""
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        text = f"{there[0].name!r}{others} in {str(there[0].parent)!r} would be overwritten."
        return questions.may(self._parent, "Overwrite files?", text)

    # -- size of pixels --------------------------------------------------------------------------

    def ask_spacing(self) -> None:
        """Ask how many mm a pixel measures, for all images of the set."""
        try:
            store = self._session.checked_folder().store
        except UserError as error:
            self.told.emit(str(error), True)
            return
        known = next((s for k in store.images() if (s := store.image(k).spacing_mm)), (0.1, 0.1))
        side, is_given = QInputDialog.getDouble(
            self._parent, "Pixel size", "mm a pixel, in all images:", known[0], *_MM, decimals=6
        )
        if is_given:
            self.set_spacing(side)

    def set_spacing(self, side_mm: float) -> None:
        """Say how many mm a pixel measures in all images."""
        store = self._session.store
        try:
            store.set_spacing(store.images(), (side_mm, side_mm))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.told.emit(f"A pixel measures {side_mm:g} mm in all images.", False)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def _export(items: dict[int, LandmarkItem], path: Path, kind: str) -> tuple[str, ...]:
    return export_landmarks(LandmarkStore(items), path, kind)


def _files_there(items: dict[int, LandmarkItem], folder: Path) -> tuple[Path, ...]:
    """Return which files an export of point lists into a folder would overwrite."""
    return slicer_files_there(LandmarkStore(items), folder)
