"""The rows of tools: what picks examples, and the switches of the search."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.similar.pick_tool import PickTool
from napari_medssl.widgets.similar.session import SimilarSession


class SearchTools(QWidget):
    """Buttons for "Pick", "Box" and a picture; switches that act on the session at once.

    Parameters
    ----------
    session
        Its switches are set.
    pick
        Its modes are switched.
    ask_picture
        Asks for a picture to search for.

    Attributes
    ----------
    no_slide, no_patient, no_stain, why
        The switches; what `why` does is up to who listens to it.
    """

    def __init__(
        self, session: SimilarSession, pick: PickTool, ask_picture: Callable[[], object]
    ) -> None:
        super().__init__()
        self._session = session
        self._pick = pick
        self.pick_button = PushButton(
            "Pick", "Click a tile of the slide to search for it (Q)", self._toggle_pick
        )
        self.box_button = PushButton(
            "Box", "Draw a box on the slide to search for it (Shift+Q)", self._toggle_box
        )
        for button in (self.pick_button, self.box_button):
            button.setCheckable(True)
        picture = PushButton(
            "Picture ...", "Search for a picture of a tile; or drop one here", ask_picture
        )
        self.no_slide = _switch("slide", "Find nothing in the slides that the + examples are from")
        self.no_patient = _switch(
            "patient",
            "Find nothing of the patients that the + examples are from, nor in their slides. Say "
            "on the page Index whose a slide is",
        )
        self.no_stain = _switch(
            "without stain",
            "Rank the hits with the stain taken away: all are brought to one stain and compared "
            "anew. An S marks a hit that stands out for its stain",
        )
        self.why = _switch(
            "why",
            "Mark the patches that make query and hit alike when the mouse rests on a hit "
            "(Shift+W)",
        )
        self.no_slide.toggled.connect(self._on_left_out)
        self.no_patient.toggled.connect(self._on_left_out)
        self.no_stain.toggled.connect(self._on_no_stain)
        pick.mode_changed.connect(self._on_mode)
        self._lay_out(picture)

    def _lay_out(self, picture: QWidget) -> None:
        tools = row_of([self.pick_button, self.box_button, picture])
        tools.addStretch(1)
        for box in (self.no_stain, self.why):
            tools.addWidget(box)
        switches = row_of([QLabel("Leave out the same"), self.no_slide, self.no_patient])
        switches.addStretch(1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(3)
        rows.addLayout(tools)
        rows.addLayout(switches)

    def _toggle_pick(self) -> None:
        self._pick.toggle("tile")
        self._on_mode()

    def _toggle_box(self) -> None:
        self._pick.toggle("box")
        self._on_mode()

    def _on_mode(self) -> None:
        self.pick_button.setChecked(self._pick.mode == "tile")
        self.box_button.setChecked(self._pick.mode == "box")

    def _on_left_out(self, _is_on: bool) -> None:
        self._session.leave_out(
            slide=self.no_slide.isChecked(), patient=self.no_patient.isChecked()
        )

    def _on_no_stain(self, is_on: bool) -> None:
        self._session.take_stain_away(is_on)


def _switch(title: str, tip: str) -> QCheckBox:
    box = QCheckBox(title)
    box.setToolTip(tip)
    box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return box
