"""What is to be searched for as a picture: looked at first, for it may be a slide or a document."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_medssl.backend.jobs import error_text
from napari_medssl.io.slides.layer_data import LayerData, slide_layer
from napari_medssl.io.slides.opening import is_slide, open_slide
from napari_medssl.io.sniff import picture_kind
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, ToolButton, row_of
from napari_medssl.widgets.similar.pick_tool import Role
from napari_medssl.widgets.similar.slide_places import SlidePlaces

_WARM_PIXELS = 6_000_000
Kind = Literal["library", "slide", "document", "picture"]


def kind_of(path: Path) -> Kind:
    """Return what a file or folder is; blocks. UserError for a file that cannot be opened."""
    if is_slide(path):
        return "slide"
    if path.is_dir():
        return "library"
    return "document" if picture_kind(path) == "pdf" else "picture"


def load_slide(path: Path) -> LayerData:
    """Open a slide and read its coarse levels, so that the window does not wait; blocks."""
    slide = open_slide(path)
    try:
        data = slide_layer(slide)
        for level in reversed(data[0]):
            if level.shape[0] * level.shape[1] > _WARM_PIXELS:
                break
            _ = level[:]
    except BaseException:
        slide.close()
        raise
    return data


class DropZone(QFrame):
    """Hands pictures on, opens libraries, offers to open a slide, and refuses documents.

    Parameters
    ----------
    viewer, places
        Where slides are shown, and the widget "Slides" if it is there.
    ask_picture
        Searches for a picture: takes its path and its role.
    open_library
        Opens a library, takes its folder.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self,
        viewer: Any,
        places: SlidePlaces,
        ask_picture: Callable[[Path, Role], object],
        open_library: Callable[[Path], object],
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._places = places
        self._ask_picture = ask_picture
        self._open_library = open_library
        self._offered: tuple[Path, Role] = (Path(), "new")
        self.background = Background("medssl-similar-drop", self)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.open_button = PushButton("Open it", "Show the slide", self.open_offered)
        self.picture_button = PushButton(
            "Search for it", "Take all of it as one picture of a tile", self.search_offered
        )
        buttons = row_of([self.open_button, self.picture_button])
        buttons.addStretch(1)
        buttons.addWidget(ToolButton("✕", "Do neither", self.hide))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.words)
        layout.addLayout(buttons)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.hide()

    def drop(self, event: QDropEvent) -> None:
        """Take the first file or folder of a drop; Shift adds a picture to the examples."""
        urls = event.mimeData().urls()
        if urls:
            is_added = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self.take(Path(urls[0].toLocalFile()), "wanted" if is_added else "new")

    def take(self, path: Path, role: Role) -> None:
        """Do with a file or folder what it is for, once that is known."""
        self.hide()
        take = partial(self._on_kind, path, role)
        self.background.submit("kind", partial(kind_of, path), take, self._refuse)

    def _on_kind(self, path: Path, role: Role, kind: Kind) -> None:
        if kind == "library":
            self._open_library(path)
        elif kind == "picture":
            self._ask_picture(path, role)
        elif kind == "document":
            self.told.emit(
                f"{self._name(path)} is a document. Save what you look for as a picture, and drop "
                "that.",
                True,
            )
        else:
            self._offered = path, role
            self.words.setText(f"<b>{self._name(path)}</b> is a slide, not a picture of a tile.")
            self.show()

    def open_offered(self) -> None:
        """Open the slide that was dropped."""
        self.hide()
        path = self._offered[0]
        self.told.emit(f"Opening {self._name(path)} ...", False)
        take = partial(self._show, path)
        self.background.submit("open", partial(load_slide, path), take, self._refuse)

    def search_offered(self) -> None:
        """Search for the slide as if it were a picture."""
        self.hide()
        self._ask_picture(*self._offered)

    def _show(self, path: Path, data: LayerData) -> None:
        self.told.emit("", False)
        slides = self._places.slides()
        levels, options, _ = data
        if slides is None:
            layer = self._viewer.add_image(levels, **options)
            self._viewer.canvas.overlays.scale_bar.visible = True
            self._viewer.layers.selection.active = layer
            self._viewer.reset_view()
            return
        levels[0].slide.close()  # it opens the file itself, which is warm by now
        key = slides.session.library.sources().get(str(path))
        if key is None:
            (key,) = slides.files.add_sources([str(path)])
        slides.open_slide(key)

    def _name(self, path: Path) -> str:
        return "This file" if self._places.is_masked else repr(path.name)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)


def accepts(widget: QWidget, event: Any) -> None:
    """Let files be dragged onto a widget."""
    if widget.isEnabled() and event is not None and event.mimeData().hasUrls():
        event.acceptProposedAction()
