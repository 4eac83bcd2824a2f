"""Classes of the set: add one to paint, name it, give it a colour; areas here and in the set."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QColorDialog, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.segmentation.area_panel import AreaPanel
from napari_medssl.widgets.segmentation.colors import class_color
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.model_choice import ModelChoice
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import PaintedAs, count_painted, mask_of
from napari_medssl.widgets.segmentation.set_panel import SetPanel


class ClassPanel(QWidget):
    """The table of classes with what can be done to them.

    Parameters
    ----------
    session, layers, model
        What it works on, whose brush it chooses, and whose classes keep their numbers once a
        person has chosen it.
    parent
        Qt parent.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self,
        session: MaskSession,
        layers: MaskLayers,
        model: ModelChoice,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._layers, self._model = session, layers, model
        self.areas = AreaPanel(session, self)
        self.areas.chosen.connect(layers.choose_label)
        self.areas.named.connect(self._on_named)
        layers.label_chosen.connect(self._on_label)
        self.add_button = PushButton(
            "Add class", "Add a class, name it, and paint it with the brush", self.add
        )
        self.color_button = PushButton(
            "Colour ...", "Change the colour of the class marked, in all images", self.ask_color
        )
        self.remove_button = PushButton(
            "Remove", "Take the class marked off the list; its pixels stay", self.remove
        )
        self.whole = SetPanel(session, self)
        self.whole.hide()
        self.whole_box = QCheckBox("Whole set")
        self.whole_box.setToolTip("Show each class over all masks instead of the image in front")
        self.whole_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.whole_box.toggled.connect(self._on_whole)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.areas)
        column.addWidget(self.whole)
        buttons = [self.add_button, self.color_button, self.remove_button, self.whole_box]
        column.addLayout(row_of(buttons))
        self.areas.listed.connect(self._show)
        for signal in (session.set_changed, session.list_changed, session.classes_changed):
            signal.connect(self._show)
        self._show()

    def add(self) -> None:
        """Add a class, let the brush paint it, and let a person type its name."""
        self.areas.take_name()
        try:
            self._session.checked_image()
            number = self._session.add_class([*self.areas.numbers, self._model.kept_count])
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self.whole_box.setChecked(False)  # the name is typed in the table of the image
        self._layers.choose_label(number)
        self.areas.mark(number)
        self._show()
        self.areas.rename(number)

    def ask_color(self) -> None:
        """Ask for the colour of the class that is marked."""
        self.areas.take_name()
        number = self.areas.marked
        if number:
            now = self._session.class_colors().get(number, class_color(number))
            color = QColorDialog.getColor(QColor(now), self, "Colour of the class")
            if color.isValid():
                self._try(partial(self._session.color_class, number, color.name()))

    def remove(self) -> None:
        """Take the class that is marked off the list; ask first if anything is painted as it."""
        self.areas.take_name()
        number = self.areas.marked
        if not number or not self._try(partial(self._session.check_removable, number)):
            return
        name = self._session.class_names(self._session.checked_image()).get(number, "")
        words = f"{name!r} is off the list; nothing is painted as it."
        painted = self._count(number)
        if painted.pixels:
            words = f"{name!r} is off the list; what is painted as it stays, as 'class {number}'."
            if not questions.may(self, "Remove the class?", _asked(number, name, painted)):
                return
        if self._try(partial(self._session.remove_class, number), words):
            self._layers.choose_listed()  # else the next stroke would bring it back

    def _count(self, number: int) -> PaintedAs:
        """Count what is painted as a class in the whole set, while the window is drawn."""
        self._layers.take_in()
        items = self._session.store.as_dict().items()
        masks = [mask_of(self._session, key) for key, item in items if item.has_mask]
        return wait_for(partial(count_painted, masks, number))

    def close_down(self) -> None:
        """Stop counting."""
        self.areas.close_down()
        self.whole.close_down()

    def _on_whole(self, is_whole: bool) -> None:
        self.areas.setVisible(not is_whole)
        self.whole.setVisible(is_whole)
        self._show()

    def _on_named(self, number: int, name: str) -> None:
        self._try(partial(self._session.name_class, number, name))
        self.areas.count_later()  # shows the former name if it was refused

    def _on_label(self, number: int) -> None:
        self.areas.mark(number)
        self._show()

    def _try(self, work: partial[None], words: str = "") -> bool:
        """Do it, tell it and return True; False if it was refused, which is told."""
        try:
            work()
        except UserError as error:
            self.told.emit(str(error), True)
            return False
        self.told.emit(words, False)  # what was wrong before is so no more
        return True

    def _show(self) -> None:
        self.add_button.setEnabled(self._session.image is not None)
        for button in (self.color_button, self.remove_button):
            button.setEnabled(bool(self.areas.marked) and not self.whole_box.isChecked())


def _asked(number: int, name: str, painted: PaintedAs) -> str:
    """Return what is asked before a class with pixels is taken off the list."""
    pixels = f"{painted.pixels:,} pixel{'s' * (painted.pixels != 1)}"
    images = f"{painted.images:,} image{'s' * (painted.images != 1)}"
    unread = f" {painted.unread} more masks could not be read." if painted.unread else ""
    return (
        f"{pixels} in {images} are painted as {name!r}.{unread} They stay in the masks, as "
        f"'class {number}'; a double click on that row gives it a name again. A colour that you "
        f"chose is lost.\n\nTake {name!r} off the list?"
    )
