"""Go through what a model made: accept it, reject it, and come to where a correction helps most."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.state.mask_items import ACCEPTED, REJECTED, MaskImage
from napari_medssl.state.mask_queue import keys_of, next_to_correct, to_correct
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.session import MaskSession

_COUNT_MS = 50


class ReviewPanel(QWidget):
    """Buttons to accept or reject the mask in front, and to go to the next one to correct.

    Parameters
    ----------
    session, layers
        The set, and what shows its masks.
    parent
        Qt parent.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    wanted_changed
        Ids of the images that come first in the queue, a tuple.
    """

    told = Signal(str, bool)
    wanted_changed = Signal(object)

    def __init__(
        self, session: MaskSession, layers: MaskLayers, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._layers = session, layers
        self._wanted: list[int] = []
        self._passed: set[int] = set()  # were in front, and left as they were
        self._rejected: dict[int, MaskImage] = {}  # what brings their masks back
        self._acts = self._has_told = False
        self.accept_button = PushButton(
            "Accept", "The mask is right: the next training learns from it (A)", self.accept
        )
        self.reject_button = PushButton(
            "Reject",
            "The mask is of no use: take it off; again, or Ctrl+Z, brings it back (D)",
            self.reject,
        )
        self.next_button = PushButton(
            "Next to correct",
            "Go to the image where a correction helps most: the most undecided one (Q)",
            self.go_next,
        )
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setEnabled(False)
        self.words.setToolTip("Images that nobody has painted, corrected or accepted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row_of([self.accept_button, self.reject_button, self.next_button]))
        self.order = QWidget()
        self.foot = QHBoxLayout(self.order)
        self.foot.setContentsMargins(0, 0, 0, 0)
        self.foot.addWidget(self.words, 1)
        column.addWidget(self.order)
        # Many images may change at once, when they are segmented: counted once for all.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_COUNT_MS)
        self._later.timeout.connect(self._count)
        session.set_changed.connect(self._on_set)
        session.current_changed.connect(self._on_current)
        for signal in (session.item_changed, session.list_changed, session.current_changed):
            signal.connect(self._show)
        self._show()
        self._count()

    def accept(self) -> None:
        """Stand for the mask in front and go on to the next one; once more takes that back."""
        self._try(self._accept)

    def reject(self) -> None:
        """Take the mask that a model made off the image in front; once more brings it back."""
        self._try(self._reject)

    def undo(self) -> None:
        """Bring back the mask that was rejected; else take back the last stroke on it."""
        self._layers.take_in()
        if self._can_bring_back():
            self._try(self._reject)
            return
        layer = self._layers.layer(self._session.image)
        if layer is not None:
            layer.undo()

    def go_next(self) -> None:
        """Put the image in front where a correction helps most."""
        self._try(self._go_next)

    def want(self, names: Iterable[str]) -> int:
        """Have images come first in the queue, and return how many of the set they are.

        Parameters
        ----------
        names
            Names, file names or sources of images; those that are not in the set are passed over.

        Raises
        ------
        UserError
            If none is in the set.
        """
        self._session.checked_folder()
        self._wanted = keys_of(self._session.store.as_dict(), names)
        self.wanted_changed.emit(tuple(self._wanted))
        self._passed.clear()
        self._show()
        return len(self._wanted)

    def begin_anew(self, *_: object) -> None:
        """Begin with the first of the queue again: there are new predictions."""
        self._passed.clear()

    # -- inside ----------------------------------------------------------------------------------

    def _try(self, act: Callable[[], str]) -> None:
        self._acts = True
        try:
            self.told.emit(act(), False)
        except UserError as error:
            self.told.emit(str(error), True)
        self._acts, self._has_told = False, True
        self._show()

    def _on_current(self) -> None:
        """Take back what was said of another image: "brings it back" is not of this one."""
        if self._has_told and not self._acts:
            self._has_told = False
            self.told.emit("", False)

    def _front(self) -> tuple[int, MaskImage]:
        key = self._session.checked_image()
        self._layers.take_in()
        item = self._session.store[key]
        if item.is_edited:
            raise UserError(
                f"You have painted the mask of {item.name!r}: it counts as yours already. Erase "
                "what is wrong, or press Segment to have it made anew."
            )
        return key, item

    def _accept(self) -> str:
        key, item = self._front()
        folder = self._session.checked_folder()
        if item.review == ACCEPTED:
            folder.accept(key, is_accepted=False)
            return f"{item.name} is not accepted any more."
        if not item.has_mask:
            raise UserError(
                f"{item.name!r} has no mask to accept. Press Segment, or paint it: that counts too."
            )
        folder.accept(key)
        return f"{item.name} is accepted. {self._go_next()}"

    def _reject(self) -> str:
        key, item = self._front()
        folder = self._session.checked_folder()
        if self._can_bring_back():
            folder.restore(key, self._rejected.pop(key))
            self._layers.read_again(key)
            self._session.mask_changed.emit(key)
            return f"The mask of {item.name} is there again."
        if not item.has_mask:
            raise UserError(f"{item.name!r} has no mask to reject. Press Segment first.")
        self._rejected[key] = folder.reject(key)
        layer = self._layers.layer(key)
        if layer is not None:
            self._layers.replace(key, np.zeros_like(layer.data))
        else:
            self._session.mask_changed.emit(key)
        words = "D or Ctrl+Z brings it back; or paint it yourself."
        return f"The mask of {item.name} is taken off. {words}"

    def _can_bring_back(self) -> bool:
        item = self._session.item
        is_rejected = item is not None and item.review == REJECTED
        return is_rejected and self._session.image in self._rejected

    def _go_next(self) -> str:
        self._session.checked_image()
        items = self._session.store.as_dict()
        front = self._session.image
        if front is not None:
            self._passed.add(front)
        key = next_to_correct(items, front, self._wanted, self._passed)
        if key is None:  # all were looked at: once more from the first
            self._passed.clear()
            key = next_to_correct(items, front, self._wanted)
        if key is None:
            is_left = front is not None and not items[front].is_label
            last = "This is the last one: every other" if is_left else "Nothing is left: every"
            return f"{last} image is painted, corrected or accepted."
        self._passed.add(key)
        self._session.choose(key)
        doubt = items[key].uncertainty
        known = "" if doubt is None else f", {doubt:.0%} undecided"
        return f"Next: {items[key].name}{known}."

    def _on_set(self) -> None:
        self._wanted, self._rejected = [], {}
        self.wanted_changed.emit(())
        self._passed.clear()
        self._show()

    def _show(self, *_: object) -> None:
        item, is_back = self._session.item, self._can_bring_back()
        is_accepted = item is not None and item.review == ACCEPTED
        self.accept_button.setText("Not accepted" if is_accepted else "Accept")
        self.reject_button.setText("Bring back" if is_back else "Reject")
        can_say = item is not None and (item.is_prediction or is_accepted)
        self.accept_button.setEnabled(can_say)
        self.reject_button.setEnabled(can_say or is_back)
        self._later.start()

    def _count(self) -> None:
        """Say how many images are left."""
        items = self._session.store.as_dict()
        queue = to_correct(items, self._wanted)
        self.next_button.setEnabled(bool(queue))
        self.words.setText(f"{len(queue)} to review")
        self.setVisible(bool(self._wanted) or any(item.has_mask for item in items.values()))
        # Of models that cannot say how sure they are, there is no order.
        self.order.setVisible(any(item.uncertainty is not None for item in items.values()))
