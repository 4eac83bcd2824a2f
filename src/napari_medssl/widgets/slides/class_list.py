"""The classes of regions: choose the one that new regions get, name and colour them."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QPoint, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QColorDialog,
    QHBoxLayout,
    QInputDialog,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_medssl._errors import UserError
from napari_medssl.widgets._buttons import ToolButton, add_entry
from napari_medssl.widgets._shortcuts import passed_on
from napari_medssl.widgets.slides.region_session import RegionSession

_KEY = int(Qt.ItemDataRole.UserRole)
_ICON = 14


class _Rows(QListWidget):
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if not passed_on(event):
            super().keyPressEvent(event)


class ClassList(QWidget):
    """The list, with a row for "no class"; a click gives the class to the regions selected.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: RegionSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._is_filling = False
        self.view = _Rows()
        self.view.setIconSize(QSize(_ICON, _ICON))
        self.view.setAccessibleName("Classes of regions")
        self.view.setToolTip(
            "Click a class: new regions get it, and so do those selected. Right-click to change it"
        )
        self.view.setMinimumHeight(66)
        self.view.itemClicked.connect(self._on_clicked)
        self.view.itemActivated.connect(self._on_clicked)  # Enter
        self.view.itemDoubleClicked.connect(self._on_double_clicked)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.add = ToolButton("+", "Add a class", self.ask_add)
        self.color = ToolButton("◩", "Change the colour of the class", self.ask_color)
        self.take = ToolButton("−", "Delete the class; its regions stay", self.remove)
        buttons = QVBoxLayout()
        buttons.setSpacing(2)
        for button in (self.add, self.color, self.take):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.view, 1)
        layout.addLayout(buttons)
        session.opened.connect(self._fill)
        session.changed.connect(self._on_changed)
        session.class_chosen.connect(self._show_chosen)
        self._fill()

    def _on_changed(self, _edit: object) -> None:
        self._fill()

    def _fill(self) -> None:
        store = self._session.store
        classes = {} if store is None else {k: store.region_class(k) for k in store.class_keys()}
        counts = {} if store is None else store.class_counts()
        rows: list[tuple[int | None, str, tuple[int, int, int] | None]] = [(None, "No class", None)]
        for key, item in classes.items():
            if item is not None:
                count = counts.get(key, 0)
                rows.append((key, f"{item.name}  ({count})" if count else item.name, item.color))
        if [self._row(n) for n in range(self.view.count())] != [(k, t) for k, t, _ in rows] or (
            store is not None and self._colors() != [c for _, _, c in rows]
        ):
            self._is_filling = True
            self.view.clear()
            for row in rows if store is not None else ():
                self.view.addItem(_item(*row))
            self._is_filling = False
        for button in (self.add, self.color, self.take):
            button.setEnabled(store is not None)
        self._show_chosen()

    def _row(self, number: int) -> tuple[int | None, str]:
        item = self.view.item(number)
        return item.data(_KEY), item.text()

    def _colors(self) -> list[Any]:
        return [self.view.item(n).data(_KEY + 1) for n in range(self.view.count())]

    def _show_chosen(self) -> None:
        for number in range(self.view.count()):
            if self.view.item(number).data(_KEY) == self._session.active_class:
                self.view.setCurrentRow(number)

    def _on_clicked(self, item: QListWidgetItem) -> None:
        if not self._is_filling:
            self._session.set_class(item.data(_KEY))

    def _on_double_clicked(self, item: QListWidgetItem) -> None:
        if item.data(_KEY) is not None:
            self.ask_color()

    def _show_menu(self, at: QPoint) -> None:
        item = self.view.itemAt(at)
        key = None if item is None else item.data(_KEY)
        if key is None:
            return
        self._session.choose_class(key)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_entry(menu, "Rename ...", "Give the class another name", self.ask_rename)
        add_entry(menu, "Colour ...", "Give the class another colour", self.ask_color)
        add_entry(
            menu, "Select its regions", "Select all regions of the class", self.select_regions
        )
        add_entry(menu, "Delete", "Take the class off the list; its regions stay", self.remove)
        menu.exec(self.view.viewport().mapToGlobal(at))

    def ask_add(self) -> None:
        """Ask for the name of a new class."""
        text, is_given = QInputDialog.getText(self, "New class", "Name:")
        if is_given:
            self.add_class(text)

    def add_class(self, name: str) -> None:
        """Add a class and choose it."""
        store = self._session.store
        if store is not None:
            self._try(lambda: self._session.choose_class(store.add_class(name)))

    def ask_rename(self) -> None:
        """Ask for another name of the class chosen."""
        store, key = self._session.store, self._session.active_class
        found = None if store is None else store.region_class(key)
        if store is None or key is None or found is None:
            return
        text, is_given = QInputDialog.getText(self, "Rename class", "Name:", text=found.name)
        if is_given:
            self._try(partial(store.rename_class, key, text))

    def ask_color(self) -> None:
        """Ask for another colour of the class chosen."""
        store, key = self._session.store, self._session.active_class
        found = None if store is None else store.region_class(key)
        if store is None or key is None or found is None:
            self.told.emit("Choose a class first: regions without one have no colour.", True)
            return
        color = QColorDialog.getColor(QColor(*found.color), self, f"Colour of {found.name}")
        if color.isValid():
            store.recolor_class(key, (color.red(), color.green(), color.blue()))

    def select_regions(self) -> None:
        """Select all regions of the class chosen."""
        store = self._session.store
        if store is not None:
            self._session.selection.replace(store.keys_of_class(self._session.active_class))

    def remove(self) -> None:
        """Delete the class chosen; its regions stay."""
        store, key = self._session.store, self._session.active_class
        if store is not None and key is not None:
            self._try(partial(store.remove_class, key))

    def _try(self, action: Any) -> None:
        try:
            action()
        except UserError as error:
            self.told.emit(str(error), True)


def _item(key: int | None, text: str, color: tuple[int, int, int] | None) -> QListWidgetItem:
    picture = QPixmap(_ICON, _ICON)
    picture.fill(QColor(*color) if color is not None else QColor(0, 0, 0, 0))
    item = QListWidgetItem(QIcon(picture), text)
    item.setData(_KEY, key)
    item.setData(_KEY + 1, color)
    return item
