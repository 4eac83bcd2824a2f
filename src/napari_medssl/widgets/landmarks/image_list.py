"""The list of images: how far each is, in the order of the set or the least certain first."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QProgressBar

from napari_medssl.state.landmark_items import Point
from napari_medssl.state.landmark_queue import image_uncertainty, progress
from napari_medssl.widgets._image_list import ImageSetList
from napari_medssl.widgets._item_list import narrow_choice
from napari_medssl.widgets._item_model import (
    DETAIL_ROLE,
    STATE_ROLE,
    ItemFilter,
    ItemModel,
)
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.landmarks.session import LandmarkSession

TEMPLATE, TO_CHECK, DONE, WAITING, FAILED = "template", "to check", "done", "waiting", "unreadable"
STATE_COLORS = {
    TEMPLATE: "#b8860b",
    TO_CHECK: "#d9822b",
    DONE: "#2f9e5b",
    WAITING: "#8a8f98",
    FAILED: "#c0485a",
}
_HINT = "No images yet.\n\nDrop images or a folder here,\nor use Open."


class ImageModel(ItemModel):
    """A row for each image of the set."""

    def __init__(
        self, session: LandmarkSession, thumbnails: Thumbnails, parent: Any = None
    ) -> None:
        super().__init__(thumbnails, parent)
        self._session = session
        self._is_by_doubt = False
        self._touched: set[int] = set()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(60)
        self._later.timeout.connect(self._touch_some)
        session.set_changed.connect(self.start_anew)
        session.list_changed.connect(self._on_list)
        session.front_changed.connect(self.touch_all)
        session.seen_changed.connect(self._touch_later)
        session.items_changed.connect(self._on_items)
        thumbnails.ready.connect(self._on_thumbnail)
        self.reload()

    def read_keys(self) -> list[int]:
        """See `ItemModel.read_keys`."""
        store = self._session.store
        images = list(store.images())
        if self._is_by_doubt:
            images.sort(key=lambda key: -image_uncertainty(store, key))
        return images

    def set_by_doubt(self, is_by_doubt: bool) -> None:
        """Order by what a look is worth, else as the images were added."""
        self._is_by_doubt = is_by_doubt
        self.reorder()

    def name(self, key: int) -> str:
        """See `ItemModel.name`."""
        store = self._session.store
        return store.image(key).name if key in store else ""

    def value(self, key: int, role: int) -> Any:
        """See `ItemModel.value`."""
        store = self._session.store
        if key not in store:
            return None
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(str(key))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._session.problems.get(key) or store.image(key).source
        if role == STATE_ROLE:
            return self.state(key)
        return self._detail(key) if role == DETAIL_ROLE else None

    def state(self, key: int) -> str:
        """Return in one word how far an image is."""
        session = self._session
        if key in session.problems:
            return FAILED
        if key == session.front:
            return TEMPLATE
        told = progress(session.store, key)
        if told.total and told.decided == told.total:
            return DONE
        return TO_CHECK if told.found else WAITING

    def _detail(self, key: int) -> str:
        session = self._session
        if key in session.problems:
            return session.problems[key]
        told = progress(session.store, key)
        if not told.total:
            return "compared" if key in session.seen else "not looked at yet"
        words = f"{told.decided} of {told.total} checked"
        return words if key in session.seen else f"{words}, not looked at yet"

    def _on_list(self) -> None:
        if self._keys != self.read_keys():
            self.refresh()
        self.touch_all()

    def _on_items(self, edit: Any) -> None:
        for item in (*edit.before.values(), *edit.after.values()):
            if isinstance(item, Point):
                self._touched.add(item.image)
        self._later.start()

    def _touch_later(self, key: int) -> None:
        self._touched.add(key)
        self._later.start()

    def _touch_some(self) -> None:
        touched, self._touched = self._touched, set()
        for key in touched:
            self.touch(key)

    def _on_thumbnail(self, key: str) -> None:
        self.touch(int(key))


class ImageFilter(ItemFilter):
    """The rows whose image has a name and a state."""

    def __init__(self, model: ImageModel, session: LandmarkSession, parent: Any = None) -> None:
        super().__init__(model, parent)
        self._images = model
        session.items_changed.connect(self.look_later)

    def is_in_state(self, key: int) -> bool:
        """See `ItemFilter.is_in_state`."""
        return bool(self._images.state(key) == self.state)


class ImageList(ImageSetList):
    """Search field, filters, list and progress; a click puts an image in front."""

    model: ImageModel

    def __init__(
        self, session: LandmarkSession, thumbnails: Thumbnails, parent: Any = None
    ) -> None:
        model = ImageModel(session, thumbnails)
        shown = ImageFilter(model, session)
        states = (TO_CHECK, DONE, WAITING, FAILED)
        super().__init__(session, model, shown, STATE_COLORS, states, _HINT, parent)
        self.order = narrow_choice([("As added", False), ("Uncertain first", True)])
        self.order.setToolTip("Order of the list: as added, or first where a look mends most")
        self.order.currentIndexChanged.connect(self._on_order)
        self.choices.addWidget(self.order, 1)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setToolTip("How many points a person has decided about")
        self.progress = QLabel()
        self.column.addWidget(self.bar)
        self.column.addWidget(self.progress)
        for signal in (session.items_changed, session.set_changed):
            signal.connect(self.count_later)
        self.model.layoutChanged.connect(self._show_current)
        self.count_anew()

    def _on_order(self, _index: int) -> None:
        self.model.set_by_doubt(bool(self.order.currentData()))

    def count_anew(self) -> None:
        """Show how many points are decided about."""
        told = progress(self._session.store)
        self.bar.setRange(0, max(1, told.total))
        self.bar.setValue(told.decided)
        has_images = bool(self._session.store.images())
        self.progress.setText(told.text if has_images else "")
        self.hint.setVisible(not has_images)
