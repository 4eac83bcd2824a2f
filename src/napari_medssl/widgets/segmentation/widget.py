"""The dock widget "Segmentation": segment images, correct the masks, measure, save.

More than 300 lines: the one place where all parts are put together; each part has its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.backend.training_leftovers import clear_leftovers
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._commands import register_keys
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._gl_context import keep_context
from napari_medssl.widgets._header import Header
from napari_medssl.widgets._image_thumbnails import cached_thumbnail
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._section import Section
from napari_medssl.widgets._set_places import shown_name
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets._shortcuts import CheatSheet, ShortcutRegistry
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets._warm_layers import warm_labels
from napari_medssl.widgets._window_events import CloseGuard
from napari_medssl.widgets.segmentation.class_panel import ClassPanel
from napari_medssl.widgets.segmentation.commands import COMMANDS
from napari_medssl.widgets.segmentation.engine import ComputeEngine, Engine
from napari_medssl.widgets.segmentation.image_list import ImageList
from napari_medssl.widgets.segmentation.leaving_buttons import LeavingButtons
from napari_medssl.widgets.segmentation.mask_exchange import MaskExchange
from napari_medssl.widgets.segmentation.mask_export import MaskExport
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.model_choice import ModelChoice
from napari_medssl.widgets.segmentation.next_images import NextImages
from napari_medssl.widgets.segmentation.page_splitter import PageSplitter
from napari_medssl.widgets.segmentation.region_reader import RegionReader
from napari_medssl.widgets.segmentation.region_view import RegionView
from napari_medssl.widgets.segmentation.review import ReviewPanel
from napari_medssl.widgets.segmentation.segmenting import Segmenting
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_files import SetFiles
from napari_medssl.widgets.segmentation.set_messages import SetMessages
from napari_medssl.widgets.segmentation.slide_regions import SlideRegions
from napari_medssl.widgets.segmentation.train_painted import PaintedTrainer
from napari_medssl.widgets.segmentation.train_panel import TrainPanel
from napari_medssl.widgets.segmentation.train_shapes import ShapeTrainer
from napari_medssl.widgets.segmentation.trainer import run_training
from napari_medssl.widgets.segmentation.uncertainty_view import UncertaintyView

_HELP = "Paint the mask: 2 brush, 3 polygon, 4 fill, 1 eraser, [ and ] size, Ctrl+Z undo."


class SegmentationWidget(QWidget):
    """Segment images with a model, correct the masks with napari's tools, measure and save.

    Parameters
    ----------
    napari_viewer
        The viewer that shows the images.
    engine
        What segments; by default the backend in the compute process.
    folder
        Where sets without a place of their own are kept; by default the user's data folder.
    models
        Folder of the models that are trained here; by default the user's.
    train_work
        Runs a training off the GUI thread; by default in a process of its own.
    """

    def __init__(
        self,
        napari_viewer: Any,
        engine: Engine | None = None,
        folder: Path | None = None,
        models: Path | None = None,
        train_work: Callable[..., Any] = run_training,
    ) -> None:
        super().__init__()
        warm_labels()
        keep_context(napari_viewer)
        self._viewer = napari_viewer
        self.is_closed = False
        self._models, self._train_work = models, train_work
        engine = engine or ComputeEngine()
        self.session = MaskSession()
        self.layers = MaskLayers(napari_viewer, self.session, self)
        self.files = SetFiles(napari_viewer, self.session, self, self.layers.take_in, folder)
        self.model = ModelChoice(self.session, self)
        self.segmenting = Segmenting(
            self.session, self.layers, engine, self.config, self.model_classes, self
        )
        self.regions = RegionView(
            napari_viewer, self.session, self.layers, self.model, engine, self
        )
        self.uncertainty = UncertaintyView(
            napari_viewer, self.session, self.layers, self.model, engine, self
        )
        self.next_images = NextImages(self.session, self.files, self.set_next_images, self)
        self.reader = RegionReader(self.session, self.files, self)
        self.slide_regions = SlideRegions(
            napari_viewer, self.reader, self.next_images.come_first, self
        )
        self.exchange = MaskExchange(self.session, self.layers, self)
        self.export = MaskExport(self.session, self.layers, self)
        self.thumbnails = Thumbnails(self._make_thumbnail, self)
        self.keys = ShortcutRegistry()
        register_keys(self.keys, COMMANDS.values(), self)
        self._build()
        self._connect()
        self._guard = CloseGuard(self, self.files.may_leave, self.shut_down)
        self.setAcceptDrops(True)

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.list = ImageList(self.session, self.thumbnails, self)
        self.classes = ClassPanel(self.session, self.layers, self.model, self)
        self.areas = self.classes.areas
        self.messages = SetMessages(self.session, self.layers)
        self.status, self.error = self.messages.status, self.messages.error
        self.help = QLabel(_HELP)
        self.help.setWordWrap(True)
        self.help.setEnabled(False)
        self.help.setToolTip("napari's own tools for Labels; each stroke is saved as it is made")
        self.parts = PageSplitter(self.list)
        self.parts.add_page(self._build_segment(), "Segment")
        self.parts.add_page(self._build_train(), "Train")
        self.pages = self.parts.pages
        for panel in (self.segmenting.jobs, self.training.jobs, self.export.jobs):
            panel.refused.connect(self._on_refused)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self._build_header())
        layout.addWidget(self.parts, 1)
        layout.addWidget(self.reader.jobs)
        layout.addWidget(self.messages)
        self.setMinimumWidth(340)

    def _build_segment(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(5)
        for part in (self.model, self._build_readout()):
            column.addWidget(part)
        column.addLayout(self._build_buttons())
        self.review = ReviewPanel(self.session, self.layers, self)
        self.review.wanted_changed.connect(self.list.model.put_first)
        self.review.foot.addWidget(self.list.order_box)
        self.review.foot.addWidget(self.doubt_box)
        for part in (self.segmenting.jobs, self.review, self.help, self.classes):
            column.addWidget(part)
        leaving = self.leaving = LeavingButtons(self.exchange, self.export)
        self.save_button, self.export_button = leaving.save, leaving.areas
        self.formats_button, self.methods_button = leaving.formats, leaving.methods
        column.addWidget(leaving)
        column.addWidget(self.export.jobs)
        column.addStretch(1)
        return page

    def _build_train(self) -> QWidget:
        self.painted = PaintedTrainer(self.session, self.layers, self)
        trainers = [self.painted, ShapeTrainer(self._viewer, self)]
        self.training = TrainPanel(self.session, trainers, None, self._models, self._train_work)
        self._leftovers = Background("medssl-leftovers", self)
        self._leftovers.submit("clear", partial(clear_leftovers, self._models), _let_be, _let_be)
        return self.training

    def _on_refused(self, _text: str) -> None:
        jobs = (self.segmenting.jobs, self.training.jobs)
        self.parts.reveal(jobs[self.pages.currentIndex()])  # an error below the edge is none

    def _build_header(self) -> QWidget:
        self.open_menu, self.mask_menu = QMenu(self), QMenu(self)
        self.files.fill_open_menu(self.open_menu, self.slide_regions.fill_menu)
        self.exchange.fill_menu(self.mask_menu, self.export.fill_menu)
        header = Header(
            (
                ("Open", "Open images, a folder, layers or a set of masks", self.open_menu),
                ("Masks", "Save masks, export areas, pixel size", self.mask_menu),
            ),
            self.show_keys,
        )
        self.title = header.title
        return header

    def _build_readout(self) -> QWidget:
        self.form: ConfigForm[SegmentConfig] = ConfigForm(SegmentConfig, skip=("model", "device"))
        return Section("How the model is read", "Settings that seldom need a change", self.form)

    def _build_buttons(self) -> Any:
        segment = self.segmenting
        self.segment_button = PushButton("Segment", "Segment this image (S)", segment.segment)
        self.segment_all_button = PushButton(
            "Segment all",
            "Segment all images but those whose masks you edited (Shift+S)",
            segment.segment_all,
        )
        self.regions_box = QCheckBox("Regions")
        self.regions_box.setToolTip(
            "Show into which regions the model divides the image; colours mean the same in all (R)"
        )
        self.doubt_box = QCheckBox("Uncertainty")
        self.doubt_box.setToolTip(
            "Show where the model does not know, if it learned from masks (U)"
        )
        for box in (self.regions_box, self.doubt_box):
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return row_of([self.segment_button, self.segment_all_button, self.regions_box])

    def _connect(self) -> None:
        told = (self.files, self.model, self.segmenting, self.regions, self.classes, self.review)
        more = (self.uncertainty, self.next_images, self.slide_regions, self.exchange)
        for part in (*told, *more, self.reader, self.export):
            part.told.connect(self.messages.tell)
        self.files.added.connect(self._on_added)
        self.layers.made.connect(self.keys.bind)
        self.layers.shown.connect(self._on_shown)
        self.regions_box.toggled.connect(self.regions.switch)
        self.regions.switched.connect(self.regions_box.setChecked)
        self.doubt_box.toggled.connect(self.uncertainty.switch)
        self.uncertainty.switched.connect(self.doubt_box.setChecked)
        for slot in (self._show_buttons, self.review.begin_anew):
            self.segmenting.jobs.ended.connect(slot)
        self.training.trained.connect(self._on_trained)
        session = self.session
        for signal in (session.set_changed, session.list_changed, session.classes_changed):
            signal.connect(self._show_buttons)
        self.session.item_changed.connect(self._show_buttons)
        self.session.set_changed.connect(self._on_set)
        settings = read_settings()
        self.thumbnails.use(settings.has_thumbnails, settings.open_cache("thumbnails"))
        self._threads = (
            self.thumbnails.background,
            self.layers.background,
            self.files.background,
            self.exchange.background,
            self.training.preview.background,
            self.painted.full.background,
            self.areas.background,
            self.classes.whole.background,
            self._leftovers,
        )
        when_gone(self, _let_go, self.session, self._threads)
        self._on_set()
        self._show_buttons()

    # -- parts that meet -------------------------------------------------------------------------

    def config(self) -> SegmentConfig:
        """Return how images are segmented now; UserError if no model is chosen."""
        values = self.form.values() | {"model": self.model.checked_name()}
        return SegmentConfig(**values, device=read_settings().device)

    def model_classes(self) -> tuple[str, ...]:
        """Return what the model that is chosen calls its classes 1, 2 and so on."""
        return self.model.classes

    def _make_thumbnail(self, key: str, cache: DiskCache | None) -> Callable[[], Any]:
        if int(key) not in self.session.store:
            raise UserError("The image is not in the set any more.")
        ref = self.session.store[int(key)].ref
        return partial(cached_thumbnail, ref.path, ref.page, cache, robust=True)

    def _on_set(self) -> None:
        folder = self.session.folder
        name = "" if folder is None else shown_name(folder.folder)
        self.title.setText(f"<b>{name}</b>" if name else "No images")
        self.title.setToolTip("" if folder is None else str(folder.folder))

    def _on_added(self, keys: tuple[int, ...]) -> None:
        if keys:  # what a person has just opened; a layer that was taken is hidden
            self.session.choose(keys[0])

    def _on_trained(self, file: str, segments: bool) -> None:
        """Segment with the model that is finished from now on, and all images at once if asked."""
        self.model.forget(file)
        for view in (self.regions, self.uncertainty):
            view.forget()
        name = Path(file).stem
        self.model.choose(name if self.model.knows(name) else file)
        self.pages.setCurrentIndex(0)
        if segments and any(not item.is_label for item in self.session.store.as_dict().values()):
            self.segmenting.segment_all()
            return
        then = "Every image has your mask; open more to use it." if segments else ""
        self.messages.tell(f"{name} is trained and chosen. {then or 'Press Segment all.'}", False)

    def _on_shown(self) -> None:
        self.areas.count_later()
        self._show_buttons()

    def _show_buttons(self, *_: object) -> None:
        items = self.session.store.as_dict().values()
        is_free = bool(items) and not self.segmenting.jobs.is_busy
        self.segment_button.setEnabled(is_free and self.session.image is not None)
        self.segment_all_button.setEnabled(is_free)
        for box in (self.regions_box, self.doubt_box):
            box.setEnabled(bool(items))
        has_masks = any(item.has_mask for item in items)
        self.leaving.enable(has_masks)
        folder = self.session.folder
        self.help.setVisible(has_masks or (folder is not None and bool(folder.classes)))

    # -- what a person does ----------------------------------------------------------------------

    def toggle_mask(self) -> None:
        """Show or hide the mask in front."""
        layer = self.layers.layer(self.session.image)
        if layer is not None:
            layer.visible = not layer.visible

    def set_next_images(self, names: Iterable[str]) -> int:
        """Have images come first in the queue to correct; return how many of the set they are.

        Parameters
        ----------
        names
            Names, file names or sources of images, such as of a part of the embedding map.

        Raises
        ------
        UserError
            If none is in the set that is open.
        """
        count = self.review.want(names)
        self.pages.setCurrentIndex(0)
        self.messages.tell(f"{count} image{'s' * (count != 1)} come first now. Press Q.", False)
        return count

    def begin_training(self) -> None:
        """Show the page of training; the button there begins it."""
        self.pages.setCurrentIndex(1)

    def show_whole_set(self) -> None:
        """Show each class over the whole set, or the image in front again."""
        self.pages.setCurrentIndex(0)
        self.classes.whole_box.toggle()

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        CheatSheet(self.keys, self).show()

    # -- window ----------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take images, folders and sets that are dragged in."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what is dropped."""
        if event is not None:
            self.files.add_paths([Path(url.toLocalFile()) for url in event.mimeData().urls()])

    def shut_down(self) -> None:
        """Stop all threads, save, and let go of the viewer: the window is about to go."""
        if self.is_closed:
            return
        self.is_closed = True
        self.messages.stop()
        self.segmenting.close()
        self.reader.close()
        self.training.close_jobs()
        self.export.jobs.cancel()
        for view in (self.regions, self.uncertainty):
            view.close()
        if self.exchange.is_busy:  # files that were asked for are written before all goes
            wait_for(self.exchange.background.finish)
        self.files.close_set(asks=False)
        self.classes.close_down()
        self.layers.close()
        _let_go(self.session, self._threads)


def _let_be(_: object) -> None:
    """Say nothing of what was left of trainings: it is cleared, or it is next time."""


def _let_go(session: MaskSession, threads: tuple[Background, ...]) -> None:
    for thread in threads:
        thread.close()
    folder: MaskFolder | None = session.folder
    if folder is not None and not folder.is_closed:
        folder.close()
