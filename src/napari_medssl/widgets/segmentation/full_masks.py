"""A note beside "Train" on images that are painted to the last pixel where the others are not.

A click with the fill tool on the ground does that, and the model would learn that all is the class.
There may be such images: it is a note, and no refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.io.class_files import read_class_file
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._messages import wrapped
from napari_medssl.widgets.segmentation.mask_reading import Mask
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import mask_of

_LATER_MS = 200
_SOME = 3


class FullMasks(QWidget):
    """Looks through the masks that are learnt from, in a thread, while it is on a page in sight.

    Parameters
    ----------
    session
        Whose images are learnt from.
    """

    def __init__(self, session: MaskSession) -> None:
        super().__init__()
        self._session = session
        self._is_full: dict[int, bool] = {}  # of masks that were looked at, as they are now
        self.background = Background("medssl-full-masks", self)
        self.words: QLabel = wrapped("What is not painted counts as the rest: here nothing does")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.words)
        self.words.hide()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER_MS)
        self._later.timeout.connect(self._look)
        session.set_changed.connect(self._forget_all)
        session.list_changed.connect(self._look_later)
        for signal in (session.mask_changed, session.item_changed):
            signal.connect(self._forget)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look at what has changed since it was last shown."""
        super().showEvent(event)
        self._look_later()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Look no more."""
        super().hideEvent(event)
        self._later.stop()
        self.background.drop("look")

    def _forget_all(self) -> None:
        self._is_full.clear()
        self._look_later()

    def _forget(self, key: int) -> None:
        self._is_full.pop(key, None)
        self._look_later()

    def _look_later(self) -> None:
        self.background.drop("look")  # what it looks at may be what has changed
        if self.isVisible():
            self._later.start()

    def _look(self) -> None:
        labelled = self._labelled()
        session = self._session
        masks = {key: mask_of(session, key) for key in labelled if key not in self._is_full}
        if masks:
            self.background.submit("look", partial(_find_full, masks), self._on_found, self._on_bad)
        else:
            self._show(labelled)

    def _on_found(self, found: Mapping[int, bool]) -> None:
        self._is_full.update(found)
        self._show(self._labelled())

    def _on_bad(self, error: BaseException) -> None:
        """Leave what is said: a mask that cannot be read is told by the training."""

    def _labelled(self) -> list[int]:
        items = self._session.store.as_dict().items()
        return [key for key, item in items if item.is_label and item.has_mask]

    def _show(self, labelled: Sequence[int]) -> None:
        full = [key for key in labelled if self._is_full.get(key)]
        # Where most are so the images are labelled to the last pixel on purpose.
        is_odd = 0 < len(full) <= len(labelled) / 2
        names = [self._session.store[key].name for key in full]
        self.words.setText(_told(names) if is_odd else "")
        self.words.setVisible(is_odd)


def _find_full(masks: Mapping[int, Mask | Path]) -> dict[int, bool]:
    """Say of each mask whether it leaves no pixel as the rest; one that is lost leaves some."""
    found = {}
    for key, mask in masks.items():
        try:
            values = read_class_file(mask) if isinstance(mask, Path) else mask
        except UserError:  # said where it is learnt from
            found[key] = False
            continue
        found[key] = bool(values.all())
    return found


def _told(names: Sequence[str]) -> str:
    some = ", ".join(names[:_SOME]) + (" ..." if len(names) > _SOME else "")
    are = "is" if len(names) == 1 else "are"
    return (
        f"{some} {are} painted to the last pixel, unlike the others. Was the ground filled by a "
        "click? Ctrl+Z takes that back, or erase what does not belong to it."
    )
