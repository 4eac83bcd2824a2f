"""The first row: the menu of libraries, which one is open, its collections, and the keys."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

from napari_medssl.widgets._buttons import MenuEntry, ToolButton
from napari_medssl.widgets.similar.library_choice import LibraryChoice
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import SlidePlaces


class Header(QWidget):
    """Names the library that is open; its menu opens others and hides names.

    Parameters
    ----------
    session, places, choice
        What is open, what hides names, what opens libraries.
    show_keys
        Shows the cheat sheet.
    """

    def __init__(
        self,
        session: SimilarSession,
        places: SlidePlaces,
        choice: LibraryChoice,
        show_keys: Callable[[], object],
    ) -> None:
        super().__init__()
        self._session = session
        self._places = places
        menu = QMenu(self)
        choice.fill_menu(menu)
        menu.addSeparator()
        self.mask_entry = MenuEntry(
            menu, "Hide names", "Show short names that tell nothing of the patient", self._mask
        )
        self.mask_entry.setCheckable(True)
        menu.addAction(self.mask_entry)
        button = QPushButton("Library")
        button.setToolTip("Open a library of embeddings, or begin one")
        button.setMenu(menu)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.title = QLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (button, self.title):
            row.addWidget(widget)
        row.addWidget(choice.box, 1)
        row.addWidget(ToolButton("?", "Show all keys", show_keys))
        session.library_changed.connect(self._show)
        session.slides_changed.connect(self._show)
        self._show()

    def _mask(self) -> None:
        self._places.mask(self.mask_entry.isChecked())

    def _show(self) -> None:
        library, collection = self._session.library, self._session.collection
        self.title.setText("No library" if library is None else f"<b>{library.folder.name}</b>")
        if collection is None:
            self.title.setToolTip("Open a library, or begin one")
            return
        slides = len(self._session.records)
        self.title.setToolTip(
            f"{collection.tile_count} tiles of {slides} slide{'s' * (slides != 1)}"
        )
