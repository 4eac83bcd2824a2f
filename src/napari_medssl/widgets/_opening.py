"""Open a widget without the window standing still: what it needs is imported in a thread.

A widget imports 100 to 200 modules, which takes 0.2 to 0.7 s once in a program; napari's settings
of a plugin, which it asks for, take as long again. A line stands in the dock meanwhile.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, ClassVar, NoReturn

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QVBoxLayout, QWidget

from napari_medssl.widgets._background import Background
from napari_medssl.widgets._quiet_imports import collector_paused

_WIDTH = 340  # as wide as the widgets are at least: the canvas keeps its size


class Docked(QWidget):
    """What the manifest names: makes the widget, or a line that stands for it until it can.

    The widget comes at once where its module was imported before. A class rather than a function,
    since napari gives the viewer only to what has an `__init__` with that parameter; of QWidget,
    since its menu takes no other classes.
    """

    module: ClassVar[str]
    kind: ClassVar[str]
    title: ClassVar[str]

    def __new__(cls, napari_viewer: Any) -> Any:
        # napari gives plugins a stand-in of its viewer, whose layers are stand-ins, too: none of
        # them is the layer that an event comes from, so that strokes would be taken for another's.
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        made = getattr(sys.modules.get(cls.module), cls.kind, None)
        return Opening(cls, viewer) if made is None else made(viewer)

    def __init__(self, napari_viewer: Any) -> None:
        raise AssertionError("what is made is another class")

    @classmethod
    def load(cls) -> Any:
        """Import all that the widget needs and return its class; for a thread."""
        with collector_paused():
            kind = getattr(import_module(cls.module), cls.kind)
            from napari_medssl.widgets._settings import read_settings

            read_settings()  # napari keeps them; first it reads the manifest of every plugin
        return kind


class Opening(QWidget):
    """A line in the dock that gives its place to the widget as soon as that can be made.

    Parameters
    ----------
    docked
        Which widget.
    napari_viewer
        The viewer whose window it is for.
    """

    def __init__(self, docked: type[Docked], napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.label = QLabel(f"Opening {docked.title} ...")
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.label.setWordWrap(True)
        QVBoxLayout(self).addWidget(self.label)
        self.setMinimumWidth(_WIDTH)
        self._docked = docked
        self._background = Background("medssl opening", self)
        self._background.submit("open", docked.load, self._open, self._refuse)

    def _dock(self) -> QDockWidget | None:
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QDockWidget):
            parent = parent.parentWidget()
        return parent

    def open_now(self) -> Any:
        """Make the widget and return it, for a command that cannot wait; None if it was closed."""
        return self._open(self._docked.load())

    def _open(self, kind: Any) -> Any:
        self._background.close()
        dock = self._dock()
        if dock is None:  # it was closed meanwhile
            return None
        try:
            widget = kind(self._viewer)
        except BaseException as error:
            self._refuse(error)
        self.setParent(None)
        dock.setWidget(widget)
        widget.show()  # with the dock: it may be a tab behind another, or not drawn yet
        self.deleteLater()
        return widget

    def _refuse(self, error: BaseException) -> NoReturn:
        self.label.setText(f"{self._docked.title} could not be opened: {error}")
        raise error  # napari shows it, with what led to it
