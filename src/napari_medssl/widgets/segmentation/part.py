"""The beginning of the parts that are not shown themselves."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl.backend.jobs import error_text


class Part(QObject):
    """A part of the widget that has something to say.

    Parameters
    ----------
    parent
        Of questions and panels.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)
