"""The buttons by which masks, areas and methods leave the widget."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMenu, QPushButton, QVBoxLayout, QWidget

from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.segmentation.mask_exchange import MaskExchange
from napari_medssl.widgets.segmentation.mask_export import MaskExport


class LeavingButtons(QWidget):
    """Two rows of buttons, which act once an image has a mask.

    Parameters
    ----------
    exchange, export
        What they call.
    """

    def __init__(self, exchange: MaskExchange, export: MaskExport) -> None:
        super().__init__()
        self.save = PushButton(
            "Save masks ...",
            "Write STEM.png of class numbers for each image (Ctrl+S)",
            exchange.ask_save,
        )
        self.areas = PushButton(
            "Export areas ...",
            "Write area and objects of each class of all images as CSV",
            exchange.ask_export,
        )
        menu = QMenu(self)
        export.fill_formats(menu)
        self.formats = QPushButton("Export masks")
        self.formats.setToolTip("Write the masks as TIFF, NIfTI or outlines for QuPath")
        self.formats.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.formats.setMenu(menu)
        self.methods = PushButton(
            "Methods ...",
            "Write a methods paragraph, and the config file that repeats the run",
            export.ask_methods,
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addLayout(row_of([self.save, self.areas]))
        column.addLayout(row_of([self.formats, self.methods]))

    def enable(self, is_enabled: bool) -> None:
        """Let them act, or not."""
        for button in (self.save, self.areas, self.formats, self.methods):
            button.setEnabled(is_enabled)
