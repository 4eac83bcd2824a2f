"""The context menu of the list: what can be done to the slides marked there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPoint, Qt
from qtpy.QtWidgets import QMenu

from napari_medssl.state.slide_entry import CHANGED
from napari_medssl.widgets._buttons import add_entry

if TYPE_CHECKING:
    from napari_medssl.widgets.slides.widget import SlidesWidget


class SlideMenu(QObject):
    """Open, verify, find again or take off the list."""

    def __init__(self, widget: SlidesWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        view = widget.list.view
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._show)

    def _show(self, at: QPoint) -> None:
        menu = self.make(self._widget.list.selected_keys())
        if menu is not None:
            menu.exec(self._widget.list.view.viewport().mapToGlobal(at))

    def make(self, keys: list[int]) -> QMenu | None:
        """Return the menu for some slides, None for none."""
        if not keys:
            return None
        widget, files = self._widget, self._widget.files
        menu = QMenu(widget)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        what = "this slide" if len(keys) == 1 else f"{len(keys)} slides"
        entries = widget.session.entries(keys)
        if len(keys) == 1:
            add_entry(menu, "Open", "Show it", partial(widget.open_slide, keys[0]))
            beside = "Show it in a view of its own, its camera linked with the main one"
            add_entry(menu, "Open beside", beside, partial(widget.open_beside, keys[0]))
            menu.addSeparator()
        add_entry(
            menu,
            f"Verify {what}",
            "Open and compare with what was there when it was added",
            partial(files.verify, keys),
        )
        add_entry(
            menu,
            "Convert ...",
            "Write an OME-Zarr store of it; not needed to view it",
            partial(widget.convert, keys),
        )
        changed = [key for key, entry in entries.items() if entry.problem == CHANGED]
        if changed:
            add_entry(
                menu,
                "Take as it is now",
                "The file was replaced on purpose: its present content counts from now on",
                partial(files.accept, changed),
            )
        if len(keys) == 1:
            add_entry(
                menu,
                "Find again ...",
                "Say where the file lies now, if it was moved or renamed",
                partial(widget.relocation.ask, keys[0]),
            )
            add_entry(
                menu,
                "Label and macro ...",
                "Show them once, after a warning: they may name a patient",
                partial(widget.private.ask, keys[0]),
            )
        menu.addSeparator()
        add_entry(
            menu,
            f"Take {what} off the list",
            "The files stay; regions stay in the folder of the library",
            partial(files.remove, keys),
        )
        return menu
