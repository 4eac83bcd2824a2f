"""The page "Regions": tools, classes, undo, GeoJSON and tissue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import shapely
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.state.history import Edit
from napari_medssl.state.regions import Item
from napari_medssl.widgets._buttons import NarrowButton, ToolButton, row_of
from napari_medssl.widgets._shortcuts import ShortcutRegistry
from napari_medssl.widgets.slides.class_list import ClassList
from napari_medssl.widgets.slides.display import SlideDisplay
from napari_medssl.widgets.slides.region_files import RegionFiles
from napari_medssl.widgets.slides.region_layer import RegionLayer
from napari_medssl.widgets.slides.region_session import RegionSession
from napari_medssl.widgets.slides.session import SlidesSession
from napari_medssl.widgets.slides.tissue_tool import TissueTool

_TOOLS = (
    ("Select", "select", "Select and move regions; drag a box around several (S)"),
    ("Rect", "add_rectangle", "Draw a rectangle (R)"),
    ("Polygon", "add_polygon", "Click the corners of a polygon, double-click to end (P)"),
    ("Lasso", "add_polygon_lasso", "Draw an outline freehand with the mouse (Shift+P)"),
    ("Edit", "direct", "Move single points of an outline (D)"),
)


class RegionPanel(QWidget):
    """The regions of the slide in front: opened with it and saved as they change.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, viewer: Any, slides: SlidesSession, display: SlideDisplay, parent: Any = None
    ) -> None:
        super().__init__(parent)
        self._slides = slides
        self.session = RegionSession()
        self.files = RegionFiles(slides, self.session, self)
        self.files.told.connect(self.told)
        self.keys = ShortcutRegistry()
        self.layer = RegionLayer(viewer, slides, self.session, self.keys, self)
        self.layer.refused.connect(self._on_refused)
        self.layer.mode_changed.connect(self._show_mode)
        self.tissue = TissueTool(viewer, slides, display, self.session, self)
        self.tissue.told.connect(self.told)
        self._build()
        self.session.opened.connect(self._show)
        self.session.changed.connect(self._on_changed)
        self.session.selection.changed.connect(self._on_selection)
        self._show()

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        self.classes = ClassList(self.session)
        self.classes.told.connect(self.told)
        self.tools = [
            NarrowButton(text, tip, partial(self.layer.set_mode, mode))
            for text, mode, tip in _TOOLS
        ]
        for button in self.tools:
            button.setCheckable(True)
        self.undo = ToolButton("↶", "Undo (Ctrl+Z)", self.run_undo)
        self.redo = ToolButton("↷", "Redo (Ctrl+Shift+Z)", self.run_redo)
        self.delete = NarrowButton("Delete", "Delete the selected regions (Del)", self.run_delete)
        self.merge = NarrowButton("Merge", "Make one region of those selected (M)", self.run_merge)
        self.cut = NarrowButton(
            "Cut out", "Cut the smaller selected regions out of the largest one", self.run_cut
        )
        self.load = NarrowButton(
            "Import ...", "Read regions from GeoJSON of QuPath", self.files.ask_import
        )
        self.store = NarrowButton(
            "Export ...", "Write all regions as GeoJSON that QuPath reads", self.files.ask_export
        )
        self.find = NarrowButton(
            "Find tissue",
            "Mask the tissue of the slide, to be corrected with the brush",
            self._find,
        )
        self.outline = NarrowButton(
            "As region", "Make a region of the tissue mask", self.tissue.make_region
        )
        self.words = QLabel()
        self.words.setToolTip("Regions of the slide, and the area of those selected")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row_of(self.tools))
        layout.addWidget(self.classes, 1)
        layout.addLayout(row_of([self.undo, self.redo, self.delete, self.merge, self.cut]))
        layout.addLayout(row_of([self.load, self.store, self.find, self.outline]))
        layout.addWidget(self.tissue.jobs)
        layout.addWidget(self.words)

    def close_down(self) -> None:
        """Save the regions and stop the thread; UserError if they could not be saved."""
        self.layer.close()
        self.tissue.close()
        self.files.close()

    # -- doing -----------------------------------------------------------------------------------

    def run_undo(self) -> None:
        """Take the last edit back."""
        self._walk(redo=False)

    def run_redo(self) -> None:
        """Do again what was taken back."""
        self._walk(redo=True)

    def _walk(self, *, redo: bool) -> None:
        if self.layer.is_drawing:
            self.told.emit("Finish the shape first: double-click, or press Esc.", True)
            return
        self._do(partial(self._undo, redo))

    def _undo(self, redo: bool) -> None:
        words = self.session.undo(redo=redo)
        if words:
            self.told.emit(words, False)

    def run_delete(self) -> None:
        """Delete the regions selected."""
        self._do(self.session.delete)

    def run_merge(self) -> None:
        """Make one region of those selected."""
        self._do(self.session.merge)

    def run_cut(self) -> None:
        """Cut the smaller ones out of the largest."""
        self._do(self.session.subtract)

    def _do(self, action: Callable[[], None]) -> None:
        self.told.emit("", True)
        try:
            action()
        except UserError as error:
            self.told.emit(str(error), True)

    def _find(self) -> None:
        self.tissue.find()

    def _show_mode(self, mode: str) -> None:
        """Press the button of the tool that the mouse has, however it got it."""
        for button, (_, of_button, _) in zip(self.tools, _TOOLS, strict=True):
            button.setChecked(mode == of_button)

    def _on_refused(self, text: str) -> None:
        self.told.emit(text, True)

    # -- words -----------------------------------------------------------------------------------

    def _on_changed(self, _edit: Edit[Item]) -> None:
        self._show()

    def _on_selection(self, _items: frozenset[Any], _source: object) -> None:
        self._show()

    def _show(self) -> None:
        store = self.session.store
        edits: list[QWidget] = [self.undo, self.redo, self.delete, self.merge, self.cut]
        for button in (*self.tools, *edits, self.load, self.store, self.find, self.outline):
            button.setEnabled(store is not None)
        if store is None:
            self.words.setText("Open a slide to draw regions.")
            return
        chosen = self.session.selected()
        count = len(store.region_keys())
        parts = [f"{count} region{'s' * (count != 1)}"]
        hidden = self.layer.count_hidden()
        if hidden:
            parts.append(f"{hidden} of them not drawn: more than napari can")
        if chosen:
            rois = [store.region(key).feature.roi for key in chosen]
            parts.append(f"{len(chosen)} selected{self._area(rois)}")
        self.words.setText(", ".join(parts))

    def _area(self, rois: list[Any]) -> str:
        key = self._slides.current
        mpp = None if key is None else self._slides.entry(key).mpp
        step = mpp or (1.0, 1.0)
        plain = shapely.area([roi.shape for roi in rois if not roi.is_ellipse]).sum()
        total = plain * step[0] * step[1] + sum(roi.area(step) for roi in rois if roi.is_ellipse)
        if not total:
            return ""
        if mpp is None:
            return f": {total:.0f} px²"
        return f": {total / 1e6:.3g} mm²" if total > 1e4 else f": {total:.0f} µm²"
