"""Read figures off the GUI thread and show them as one image layer that is used again."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.io.images import ImageRef
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.separate_job import read_for_display
from napari_medssl.widgets.separation.session import Session

IMAGE_NAME = "figure"


class FigureDisplay(QObject):
    """Put the figures of a session in front, the last one asked for.

    Signals
    -------
    shown
        A figure is in front.
    failed
        Why it could not be shown. The figure is in front all the same, so that a person can
        reject it or go on; the canvas shows nothing.
    """

    shown = Signal()
    failed = Signal(str)

    def __init__(self, viewer: Any, session: Session, view: BoxLayer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._view = view
        self.layer: Any = None
        self._wanted: str | None = None
        self._is_hidden = False
        self._reader = LiveRequests(self)
        self._reader.ready.connect(self._show)
        self._reader.failed.connect(self._on_failed)
        session.project_changed.connect(self._on_project)

    def open(self, key: str) -> None:
        """Read a figure in a thread, then show it; a request before this one is dropped."""
        project = self._session.project
        self._wanted = key
        try:
            ref = ImageRef(project.path(key), project.info(key).page)
        except UserError as error:
            self._reader.drop()
            self._show_nothing(key, error_text(error))
            return
        self._reader.submit(read_for_display, key, ref)

    @property
    def is_opening(self) -> bool:
        """True while a figure was asked for and the one before is still in front."""
        return self._wanted is not None

    def close(self) -> None:
        """Stop the thread."""
        self._reader.close()

    def _on_project(self) -> None:
        self._wanted = None
        self._reader.drop()
        if not len(self._session.project):
            self._hide()

    def _show(self, read: dict[str, Any]) -> None:
        key = read["key"]
        if key != self._wanted:
            return
        if key not in self._session.project:
            self._wanted = None
            return
        if read["error"]:
            self._show_nothing(key, read["error"])
            return
        image = read["image"]
        self._put_image(image)
        try:
            self._session.show_figure(key, (image.shape[1], image.shape[0]), read["ink"], image)
        except UserError as error:
            self._show_nothing(key, error_text(error))
            return
        self._wanted = None
        self._viewer.reset_view()
        self.shown.emit()

    def _show_nothing(self, key: str, reason: str) -> None:
        self._wanted = None
        self._hide()
        self._session.show_unreadable(key)
        self.failed.emit(f"{reason} X rejects this figure, N goes on.")

    def _hide(self) -> None:
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.visible = False
            self._is_hidden = True

    def _on_failed(self, text: str) -> None:
        self._wanted = None
        self.failed.emit(text)

    def _put_image(self, image: Any) -> None:
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.data = image
            if self._is_hidden:
                self.layer.visible = True
            self._is_hidden = False
            return
        self._is_hidden = False
        self.layer = self._viewer.add_image(
            image, rgb=True, name=IMAGE_NAME, metadata={"medssl": {"kind": "figure"}}
        )
        self.layer.locked = True  # see layer_view
        boxes = self._view.layer
        if boxes is not None and boxes in self._viewer.layers:
            layers = self._viewer.layers
            layers.move(layers.index(self.layer), layers.index(boxes))
