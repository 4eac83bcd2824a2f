"""A form shows every field of a config and gives the config back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.widgets._form import ConfigForm

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Config:
    """All kinds of fields."""

    steps: int = option(10, help="Number of steps.", min=1, max=100, unit="steps")
    rate: float = option(1e-4, help="Rate.", min=0.0)
    score: float | None = option(None, help="Score.", min=0, max=1)
    kind: Literal["photo", "plot"] = option("photo", help="Kind.", advanced=True)
    flip: bool = option(True, help="Flip.")
    name: str = option("x", help="Name.")
    sizes: tuple[int, ...] = option((1, 2), help="Sizes.")
    folder: Path | None = option(None, help="Folder.")


@pytest.fixture
def form(qtbot):
    form = ConfigForm(Config)
    qtbot.addWidget(form)
    return form


def test_a_number_that_is_chosen_automatically_shows_none(form):
    holder = form.editor("score")
    box, shown = holder.findChild(QCheckBox), holder.findChild(QDoubleSpinBox)
    assert not shown.isVisibleTo(holder)
    form.suggest("score", 0.3)
    assert form.config().score is None
    box.setChecked(True)
    assert shown.isVisibleTo(holder)
    assert form.config().score == 0.3


def test_a_new_form_gives_the_default_config(form):
    assert form.config() == Config()


def test_a_config_put_in_comes_out(form):
    config = Config(3, 0.5, 0.25, "plot", False, "y z", (4, 5, 6), Path("a b"))
    form.set_config(config)
    assert form.config() == config
    form.set_config(Config())
    assert form.config() == Config()


def test_every_editor_has_a_tooltip(form):
    for name in ("steps", "rate", "score", "kind", "flip", "name", "sizes", "folder"):
        editor = form.editor(name)
        assert editor.toolTip()
        assert all(w.toolTip() for w in editor.findChildren(QCheckBox))


def test_ranges_hold_in_the_form(form):
    form.editor("steps").setValue(1000)
    assert form.config().steps == 100


def test_every_edit_is_told(form, qtbot):
    with qtbot.waitSignal(form.changed):
        form.editor("flip").toggle()
    with qtbot.waitSignal(form.changed):
        form.editor("steps").setValue(5)


def test_a_wrong_item_of_a_list_is_named(form):
    form.editor("sizes").setText("1, two")
    with pytest.raises(UserError, match="'sizes' is 'two'; due is a whole number"):
        form.config()


def test_a_skipped_field_has_no_row_and_keeps_its_default(qtbot):
    form = ConfigForm(Config, skip=["steps"])
    qtbot.addWidget(form)
    assert form.findChild(QWidget, "steps") is None
    assert form.config() == Config()
