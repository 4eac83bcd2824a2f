"""A widget that napari opens is imported in a thread, with a line in its place meanwhile."""

from __future__ import annotations

import importlib
import sys
import threading

import pytest
from napari._qt._qplugins import _qnpe2
from npe2 import PluginManifest
from qtpy.QtWidgets import QLabel
from separation_world import wait_until

from napari_medssl.widgets import docks
from napari_medssl.widgets._commands import Command
from napari_medssl.widgets._opening import Docked, Opening
from napari_medssl.widgets._palette import Palette

pytestmark = pytest.mark.gui
MADE = [one for one in vars(docks).values() if isinstance(one, type) and one is not Docked]
SLOW = """
import threading
from qtpy.QtWidgets import QLabel
thread = threading.current_thread()
gate.wait(10)
class Slow(QLabel):
    def __init__(self, napari_viewer):
        super().__init__("here")
        self.viewer = napari_viewer
"""


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A widget whose module is imported when the gate opens."""
    (tmp_path / "slow_to_come.py").write_text("from test_opening_gate import gate\n" + SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    gate = threading.Event()
    holder = type(sys)("test_opening_gate")
    holder.gate = gate
    monkeypatch.setitem(sys.modules, "test_opening_gate", holder)

    class Slow(Docked):
        module, kind, title = "slow_to_come", "Slow", "Slow thing"

    Slow.gate = gate
    yield Slow
    gate.set()
    sys.modules.pop("slow_to_come", None)


def dock(viewer, docked):
    return viewer.window.add_dock_widget(docked(viewer), name="slow", area="right")


def test_a_line_stands_there_until_the_widget_takes_its_place(viewer, slow):
    place = dock(viewer, slow)
    assert isinstance(place.widget(), Opening)
    assert place.widget().label.text() == "Opening Slow thing ..."
    slow.gate.set()
    wait_until(lambda: isinstance(viewer.window.dock_widgets["slow"], QLabel))
    widget = place.widget()
    assert widget.isVisible()
    assert widget.viewer is viewer
    assert sys.modules["slow_to_come"].thread is not threading.main_thread()


def test_what_is_imported_comes_at_once(viewer, slow):
    slow.gate.set()
    importlib.import_module("slow_to_come")
    assert isinstance(dock(viewer, slow).widget(), QLabel)


def test_a_command_does_not_wait_and_the_widget_is_made_once(viewer, slow, qtbot):
    place = dock(viewer, slow)
    line = place.widget()
    slow.gate.set()
    widget = line.open_now()
    assert place.widget() is widget
    qtbot.wait(100)  # what the thread sends then finds nobody
    assert viewer.window.dock_widgets["slow"] is widget
    assert widget.isVisible()


def test_in_a_dock_that_is_hidden_it_comes_with_the_dock(viewer, slow):
    place = dock(viewer, slow)
    place.hide()
    slow.gate.set()
    wait_until(lambda: isinstance(place.widget(), QLabel))
    assert not place.widget().isVisible()
    place.show()
    assert place.widget().isVisible()


def test_a_command_of_a_widget_that_is_being_opened_is_done_there(viewer, slow, monkeypatch):
    done = []
    slow.gate.set()
    place = dock(viewer, slow)
    assert isinstance(place.widget(), Opening)
    monkeypatch.setattr(viewer.window, "add_plugin_dock_widget", lambda *_: (place, place.widget()))
    kind = importlib.import_module("slow_to_come").Slow
    commands = {"do": Command("do", "Do", "general", done.append)}
    palette = Palette(__name__, "slow", kind, commands, lambda widget: True)
    palette.run("do")
    assert done == [place.widget()]
    assert isinstance(done[0], kind)


def test_one_that_is_closed_meanwhile_is_not_made(viewer, slow, monkeypatch):
    place = dock(viewer, slow)
    line = place.widget()
    viewer.window.remove_dock_widget(line)
    ended = []
    monkeypatch.setattr(line, "_dock", lambda: ended.append(True))
    slow.gate.set()
    wait_until(lambda: ended)
    assert "slow" not in viewer.window.dock_widgets
    line.deleteLater()


@pytest.mark.parametrize("fault", ["module", "widget"])
def test_what_goes_wrong_is_told(viewer, slow, qtbot, tmp_path, fault):
    word = "    def" if fault == "widget" else "gate.wait"
    text = (tmp_path / "slow_to_come.py").read_text()
    before = (
        "        raise OSError('no room')\n" if fault == "widget" else "raise OSError('no room')\n"
    )
    if fault == "widget":
        text = text.replace('        super().__init__("here")\n', before)
    else:
        text = text.replace(word, before + word, 1)
    (tmp_path / "slow_to_come.py").write_text(text)
    place = dock(viewer, slow)
    with qtbot.capture_exceptions() as raised:
        slow.gate.set()
        wait_until(lambda: raised)
    assert "no room" in str(raised[0][1])
    assert place.widget().label.text() == "Slow thing could not be opened: no room"


@pytest.mark.parametrize("docked", MADE, ids=lambda one: one.__name__)
def test_the_menu_of_napari_gives_each_the_viewer(docked, viewer, monkeypatch):
    """The menu takes another way than `add_plugin_dock_widget` and asks for more."""
    name = docked.title
    monkeypatch.setattr(docked, "load", list)  # the viewer is what matters, not the widget
    monkeypatch.delitem(sys.modules, docked.module, raising=False)
    monkeypatch.setattr(_qnpe2, "get_widget_contribution", lambda *_: (docked, name))
    made, title = _qnpe2._toggle_or_get_widget("napari-medssl", name, f"{name} (MedSSL)")
    assert title == f"{name} (MedSSL)"
    assert isinstance(made, Opening)
    assert made._viewer is viewer  # no stand-in, whose layers are none that events come from
    assert made._docked is docked
    made._background.close()
    made.deleteLater()


@pytest.mark.parametrize("docked", MADE, ids=lambda one: one.__name__)
def test_the_manifest_has_each_with_its_name(docked):
    contributions = PluginManifest.from_distribution("napari-medssl").contributions
    names = {command.id: command.python_name for command in contributions.commands}
    titles = {names[widget.command]: widget.display_name for widget in contributions.widgets}
    assert titles[f"{docks.__name__}:{docked.__name__}"] == docked.title
    assert len(titles) == len(MADE)
    assert hasattr(importlib.import_module(docked.module), docked.kind)
