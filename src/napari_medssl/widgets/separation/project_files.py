"""Open, save, import and export: the menus of the widget and what they do, off the GUI thread."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.state.drafts import drafts_folder, left_drafts, new_draft
from napari_medssl.state.figure import fingerprint_of
from napari_medssl.state.project import SUFFIX, Project
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._layer_import import save_layer
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.separation.exchange_menu import Exchange
from napari_medssl.widgets.separation.layer_import import image_layer
from napari_medssl.widgets.separation.project_writes import (
    close_or_discard,
    copied,
    leave_or_discard,
)
from napari_medssl.widgets.separation.separate_job import usual_score
from napari_medssl.widgets.separation.session import Session

_PICTURES = "Figures (*.png *.jpg *.jpeg *.tif *.tiff *.webp *.bmp *.gif *.pdf);;All files (*)"


class ProjectFiles(QObject):
    """What the Open and Project menus do.

    Signals
    -------
    told
        A line for the person: what was done, or what went wrong (second argument True).
    added
        Keys of figures that were just opened.
    """

    told = Signal(str, bool)
    added = Signal(tuple)

    def __init__(
        self, viewer: Any, session: Session, parent: QWidget, drafts: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._parent = parent
        self._drafts = drafts or drafts_folder()
        self.background = Background("medssl-files", self)
        self.exchange = Exchange(session, parent, self.background)
        self.exchange.told.connect(self.told)
        self.exchange.imported.connect(self._on_imported)

    @property
    def is_draft(self) -> bool:
        """True if the project has no place of its own yet."""
        return self._session.project.folder.parent == self._drafts.expanduser().absolute()

    def fill_open_menu(self, menu: QMenu) -> None:
        """Add the actions that bring figures."""
        add_entry(
            menu, "Images or PDF ...", "Add image files and the pages of PDFs", self.ask_images
        )
        add_entry(menu, "Folder ...", "Add all figures of a folder", self.ask_folder)
        add_entry(
            menu,
            "Folder and those inside ...",
            "Add all figures of a folder and of all folders in it",
            partial(self.ask_folder, is_deep=True),
        )
        add_entry(menu, "Selected layer", "Add the image layer selected in napari", self.add_layer)
        menu.addSeparator()
        add_entry(menu, "Project ...", "Open a project (*.medssl)", self.ask_project)

    def fill_project_menu(self, menu: QMenu) -> None:
        """Add the actions on the whole project."""
        add_entry(menu, "New", "Begin an empty project", self.start_new)
        add_entry(menu, "Open ...", "Open a project (*.medssl)", self.ask_project)
        add_entry(menu, "Save as ...", "Give the project a place of its own", self.ask_save_as)
        menu.addSeparator()
        self.exchange.fill_menu(menu)

    # -- figures ---------------------------------------------------------------------------------

    def ask_images(self) -> None:
        """Ask for files and add them."""
        names, _ = QFileDialog.getOpenFileNames(self._parent, "Open figures", "", _PICTURES)
        self.add_paths(Path(name) for name in names)

    def ask_folder(self, *, is_deep: bool = False) -> None:
        """Ask for a folder and add what is in it, with `is_deep` in the folders inside too."""
        name = QFileDialog.getExistingDirectory(self._parent, "Open a folder of figures")
        self.add_paths([Path(name)] if name else [], is_deep=is_deep)

    def add_paths(self, paths: Iterable[Path], *, is_deep: bool = False) -> None:
        """Add files, folders and PDFs; a project among them is opened instead."""
        chosen = list(paths)
        project = next((p for p in chosen if p.suffix == SUFFIX and p.is_dir()), None)
        if project is not None:
            self.open_project(project)
            return
        if chosen:
            self.told.emit("Looking for figures ...", False)
            self.background.submit(
                "scan", partial(_scan, chosen, is_deep), self._take_scan, self._fail
            )

    def _take_scan(self, result: tuple[Any, dict[Path, str]]) -> None:
        listing, prints = result
        keys = self._session.project.add_images(
            [(ref.path, ref.page) for ref in listing.refs], prints
        )
        if listing.failures:
            _name, reason = listing.failures[0]
            more = len(listing.failures) - 1
            self.told.emit(reason + (f" And {more} more like this." if more else ""), True)
        elif not keys:
            self.told.emit(
                "No figures found there. Choose images or PDFs, or Open > Folder and those inside.",
                True,
            )
        else:
            plural = "" if len(keys) == 1 else "s"
            self.told.emit(f"{len(keys)} figure{plural} opened.", False)
        if keys:
            self.added.emit(keys)

    @property
    def has_layer(self) -> bool:
        """True if one image layer is selected that `add_layer` could take."""
        try:
            return bool(image_layer(self._viewer))
        except UserError:
            return False

    def add_layer(self) -> None:
        """Add the image layer that is selected in the viewer, by its file if it has one."""
        try:
            layer = image_layer(self._viewer)
        except UserError as error:
            self._fail(error)
            return
        source = layer.source.path
        if source and Path(source).is_file():
            layer.visible = False
            self.add_paths([Path(source)])
            return
        layer.visible = False  # the figure comes in its place
        data, is_rgb, name = layer.data, bool(layer.rgb), str(layer.name)
        folder = self._session.project.folder / "images"

        def work() -> Path:
            return save_layer(data, is_rgb, name, folder)

        self.background.submit("layer", work, lambda path: self.add_paths([path]), self._fail)

    # -- projects --------------------------------------------------------------------------------

    def make_draft(self) -> Project:
        """Return a new project without a place of its own."""
        return new_draft(self._drafts)

    def left_behind(self) -> list[Path]:
        """Return drafts that an earlier program left, the newest first."""
        return left_drafts(self._drafts)

    def ask_project(self) -> None:
        """Ask for a project folder and open it."""
        name = QFileDialog.getExistingDirectory(self._parent, f"Open a project (*{SUFFIX})")
        if name:
            self.open_project(Path(name))

    def start_new(self) -> None:
        """Begin an empty project, after asking about the present one."""
        if self.may_leave():
            try:
                self._switch(wait_for(self.make_draft))
            except UserError as error:
                self._fail(error)

    def open_project(self, folder: Path, *, repair: bool = False) -> None:
        """Open a project in a thread; ask about the present one first."""
        if not repair and not self.may_leave():
            return
        self.told.emit(f"Opening {folder.name} ...", False)

        def fail(error: BaseException) -> None:
            if isinstance(error, ProjectDamagedError) and self._ask(
                f"{error}\n\nGo on with what can be read?"
            ):
                self.open_project(folder, repair=True)
            else:
                self._fail(error)

        work = partial(Project.open, folder, repair=repair)
        self.background.submit("open", work, self._switch, fail)

    def _switch(self, project: Project) -> None:
        former, was_draft = self._session.project, self.is_draft
        self._session.use(project)
        self._session.set_threshold(round(usual_score(project.model), 2))
        self.close_project(former, discard=was_draft and not former.has_work)
        self.told.emit(f"{project.folder.stem}: {len(project)} figures.", False)
        first = self._session.queue.next_unchecked()
        if first is not None:
            self.added.emit((first,))

    def ask_save_as(self) -> bool:
        """Ask for a place and move the project there; return whether that was done."""
        name, _ = QFileDialog.getSaveFileName(
            self._parent, "Save the project as", f"figures{SUFFIX}", f"Projects (*{SUFFIX})"
        )
        return bool(name) and self.save_as(Path(name))

    def save_as(self, path: Path) -> bool:
        """Move the project to a place of its own; return whether that went well."""
        target = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
        former, was_draft = self._session.project, self.is_draft
        self.told.emit("Saving ...", False)
        try:
            project = copied(former, target)
        except UserError as error:
            self._fail(error)
            return False
        current = self._session.current
        self._session.use(project, is_copy=True)
        self.told.emit(f"Saved as {target}.", False)
        if current is not None:
            self.added.emit((current,))
        try:
            leave_or_discard(former, discard=was_draft)
        except UserError as error:  # the copy has everything
            self._fail(error)
        return True

    def may_leave(self) -> bool:
        """Ask about work without a place of its own or that cannot be saved; False: stay."""
        project = self._session.project
        if project.is_closed:
            return True
        wait_for(project.flush)
        if project.save_error is not None:
            return self._ask(
                f"The last changes cannot be saved: {project.save_error}.\n\nClose all the same?"
            )
        if not self.is_draft or not project.has_work:
            return True
        return self._ask_about_draft()

    def _ask_about_draft(self) -> bool:
        button = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self._parent,
            "Save the project?",
            "Your boxes are in a project without a name. Save it under a name?\n\n"
            "Close keeps it as a draft, which is offered next time.",
            button.Save | button.Close | button.Cancel,
            button.Save,
        )
        if answer == button.Save:
            return self.ask_save_as()
        return bool(answer == button.Close)

    def close_project(self, project: Project, *, discard: bool = False) -> None:
        """Close a project; tell if its last changes could not be written."""
        try:
            close_or_discard(project, discard=discard)
        except UserError as error:
            self._fail(error)

    def _on_imported(self) -> None:
        if self._session.current is None and len(self._session.project):
            self.added.emit(self._session.project.keys()[:1])

    # -- inside ----------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)

    def _ask(self, question: str) -> bool:
        yes = QMessageBox.StandardButton.Yes
        answer = QMessageBox.question(self._parent, "Figure separation", question)
        return bool(answer == yes)


def _scan(paths: list[Path], is_deep: bool) -> tuple[Any, dict[Path, str]]:
    from napari_medssl.io.images import scan_images

    listing = scan_images(paths, recursive=is_deep)
    return listing, {path: fingerprint_of(path) for path in {ref.path for ref in listing.refs}}
