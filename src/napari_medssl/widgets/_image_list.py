"""A list of the images of a set beside the session that says which one is in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, Qt

from napari_medssl.widgets._item_list import ROW_HEIGHT, ItemList, RowDelegate
from napari_medssl.widgets._item_model import KEY_ROLE, ItemFilter, ItemModel


class ImageSetList(ItemList):
    """Search field, states and list; a click puts an image in front.

    `session` has `image`, `choose` and `current_changed`; `colors` are those of every state, of
    which a person may choose `states`. The rest is as of `ItemList`.
    """

    def __init__(
        self,
        session: Any,
        model: ItemModel,
        shown: ItemFilter,
        colors: Mapping[str, str],
        states: Sequence[str],
        hint: str,
        parent: Any = None,
    ) -> None:
        choices = [("All", None), *((state.capitalize(), state) for state in states)]
        super().__init__(model, shown, RowDelegate(colors), choices, hint, parent)
        self._session = session
        self.view.setMinimumHeight(ROW_HEIGHT + 4)
        self.view.setToolTip("Images of the set; click one to put it in front")
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().currentChanged.connect(self._on_current)
        self.states.setToolTip("Show only images in this state")
        session.current_changed.connect(self._show_current)

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        key = current.data(KEY_ROLE) if current.isValid() else None
        if key is not None and key != self._session.image:
            self._session.choose(key)

    def _show_current(self) -> None:
        if self._session.image is not None:
            self.mark(self._session.image)
