"""The list of images: which have a mask, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QLabel

from napari_medssl.state.mask_items import ACCEPTED
from napari_medssl.state.mask_queue import to_correct
from napari_medssl.widgets._image_list import ImageSetList
from napari_medssl.widgets._item_model import (
    DETAIL_ROLE,
    STATE_ROLE,
    ItemFilter,
    ItemModel,
)
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.segmentation.session import MaskSession

NONE, MADE, EDITED, FAILED = "no mask", "segmented", "edited by you", "failed"
TAKEN, REFUSED = "\N{CHECK MARK} accepted", "\N{BALLOT X} rejected"
STATE_COLORS = {
    NONE: "#8a8f98",
    MADE: "#3b7dd8",
    EDITED: "#2f9e5b",
    TAKEN: "#17808f",
    REFUSED: "#8d5a2b",
    FAILED: "#c0485a",
}
_REORDER_MS = 200
_HINT = (
    "1.  Drop images here, or use Open\n"
    "2.  Segment with a model, or paint and train\n"
    "3.  Correct the mask with napari's brush\n"
    "4.  Save the masks, export the areas"
)


class ImageModel(ItemModel):
    """A row for each image of the set."""

    def __init__(self, session: MaskSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(thumbnails, parent)
        self._session = session
        self.is_by_doubt = False
        self._wanted: Sequence[int] = ()
        self._reorder = QTimer(self)
        self._reorder.setSingleShot(True)
        self._reorder.setInterval(_REORDER_MS)
        self._reorder.timeout.connect(self.reorder)
        session.item_changed.connect(self._on_item)
        session.set_changed.connect(self.start_anew)
        session.list_changed.connect(self.refresh)
        session.item_changed.connect(self.touch)
        thumbnails.ready.connect(self._on_thumbnail)
        self.reload()

    def read_keys(self) -> list[int]:
        """See `ItemModel.read_keys`."""
        if not self.is_by_doubt:
            return list(self._session.store)
        items = self._session.store.as_dict()
        return to_correct(items, self._wanted) + [
            key for key, item in items.items() if item.is_label
        ]

    def sort_by_doubt(self, is_on: bool) -> None:
        """Have the most undecided predictions first and labels last, or all in their order."""
        self.is_by_doubt = is_on
        self.reorder()

    def put_first(self, wanted: Sequence[int]) -> None:
        """Have images that were asked for lead that order, as they lead the queue."""
        self._wanted = wanted
        if self.is_by_doubt:
            self.reorder()

    def _on_item(self, _key: int) -> None:
        if self.is_by_doubt:
            self._reorder.start()

    def name(self, key: int) -> str:
        """See `ItemModel.name`."""
        store = self._session.store
        return store[key].name if key in store else ""

    def value(self, key: int, role: int) -> Any:
        """See `ItemModel.value`."""
        store = self._session.store
        if key not in store:
            return None
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(str(key))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._session.problems.get(key) or store[key].source
        if role == STATE_ROLE:
            return self.state(key)
        return self._detail(key) if role == DETAIL_ROLE else None

    def state(self, key: int) -> str:
        """Return in a word or two how far an image is."""
        if key in self._session.problems:
            return FAILED
        item = self._session.store[key]
        if item.is_edited:
            return EDITED
        if item.review:
            return TAKEN if item.review == ACCEPTED else REFUSED
        return MADE if item.has_mask else NONE

    def _detail(self, key: int) -> str:
        problem = self._session.problems.get(key)
        if problem is not None:
            return problem
        item = self._session.store[key]
        if not item.has_mask:
            return "the mask was taken off" if item.review else "not segmented yet"
        names = ", ".join(item.classes)
        if not item.model:
            return "painted by hand"
        if item.is_prediction and item.uncertainty is not None:  # no room for classes as well
            return f"{item.uncertainty:.0%} undecided, by {item.model}"
        return f"{names} by {item.model}"

    def _on_thumbnail(self, key: str) -> None:
        self.touch(int(key))


class ImageFilter(ItemFilter):
    """The rows whose image has a name and a state."""

    def __init__(self, model: ImageModel, session: MaskSession, parent: Any = None) -> None:
        super().__init__(model, parent)
        self._images = model
        session.item_changed.connect(self.look_later)

    def is_in_state(self, key: int) -> bool:
        """See `ItemFilter.is_in_state`."""
        return bool(self._images.state(key) == self.state)


class ImageList(ImageSetList):
    """Search field, states and list; a click puts an image in front."""

    model: ImageModel

    def __init__(self, session: MaskSession, thumbnails: Thumbnails, parent: Any = None) -> None:
        model = ImageModel(session, thumbnails)
        shown = ImageFilter(model, session)
        super().__init__(session, model, shown, STATE_COLORS, tuple(STATE_COLORS), _HINT, parent)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        self.hint.setContentsMargins(12, 0, 12, 0)
        self.progress = QLabel()
        self.progress.setWordWrap(True)
        self.progress.setToolTip("How many images have a mask, and how many of them you edited")
        self.order_box = QCheckBox("Undecided first")
        self.order_box.setToolTip(
            "Order the images by how undecided the model was about them; before them come those "
            "that were asked for on the map"
        )
        self.order_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.order_box.toggled.connect(model.sort_by_doubt)
        self.column.addWidget(self.progress)
        for signal in (session.item_changed, session.list_changed, session.set_changed):
            signal.connect(self.count_later)
        self.count_anew()

    def count_anew(self) -> None:
        """Show how many images have a mask."""
        items = self._session.store.as_dict().values()
        done, edited = sum(i.has_mask for i in items), sum(i.is_edited for i in items)
        words = f"{done} of {len(items)} have a mask, {edited} edited by you"
        accepted = sum(i.review == ACCEPTED for i in items)
        words += f", {accepted} accepted" * bool(accepted)
        self.progress.setText(words if items else "")
        self.progress.setVisible(bool(items))
        self.hint.setVisible(not items)
        self._show_current()
