"""napari's command palette holds all that the widget can do, and does it in the open widget."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialog, QFileDialog, QMessageBox
from separation_world import FixedSeparator, wait_until

from napari_medssl.io.boxes import Box
from napari_medssl.widgets._palette import PLUGIN
from napari_medssl.widgets.segmentation import palette as segmentation_palette
from napari_medssl.widgets.separation import palette
from napari_medssl.widgets.separation.commands import COMMANDS
from napari_medssl.widgets.separation.separate_job import GivenFinder
from napari_medssl.widgets.similar import palette as similar_palette
from napari_medssl.widgets.slides import palette as slides_palette

pytestmark = pytest.mark.gui
PALETTES = [palette, slides_palette, similar_palette, segmentation_palette]


@pytest.mark.parametrize("module", PALETTES, ids=lambda module: module.PALETTE.widget)
def test_the_manifest_holds_the_commands_of_the_table(module):
    from npe2 import PluginManifest

    commands = PluginManifest.from_distribution("napari-medssl").contributions.commands
    found = [
        {"id": c.id, "title": c.title, "python_name": c.python_name}
        for c in commands
        if c.python_name.startswith(module.__name__ + ":")
    ]
    assert found == module.PALETTE.manifest_entries(), "run scripts/palette_manifest.py"


def test_every_key_comes_from_the_table(world):
    bound = {shortcut.keys for shortcut in world.widget.keys}
    assert bound == {key for command in COMMANDS.values() for key in command.keys}


def test_a_name_that_is_no_command_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        palette.fly  # noqa: B018


def test_readers_and_writers_cannot_be_chosen():
    """The palette would call them without the file that they need."""
    from npe2 import PluginManifest

    contributions = PluginManifest.from_distribution("napari-medssl").contributions
    with_files = {c.command for c in (*contributions.readers, *contributions.writers)}
    off = {c.id for c in contributions.commands if c.enablement == "False"}
    assert off == with_files


class Palette:
    """napari's own palette, opened by its key and typed into."""

    def __init__(self, world):
        from napari._app_model import get_app_model
        from napari.plugins import _initialize_plugins

        _initialize_plugins()
        self.world = world
        assert f"{PLUGIN}.accept" in get_app_model().commands

    def run(self, words):
        world = self.world
        # What Ctrl+Shift+P does in a window that has the focus.
        world.viewer.window._toggle_command_palette()
        world.settle(0.2)
        box = world.viewer.window._qt_window._command_palette
        assert box.isVisible()
        QTest.keyClicks(box._line, words)
        world.settle()
        self.found = [command.title for command in box._list.iter_command()]
        QTest.keyClick(box._line, Qt.Key.Key_Return)
        world.settle(0.2)


@pytest.fixture
def typed(world):
    return Palette(world)


def test_typing_merge_merges_in_the_open_widget(world, typed):
    keys = world.store.add(Box(0, 0, 100, 100), Box(100, 0, 200, 100))
    world.session.selection.replace(keys)
    typed.run("merge")
    assert typed.found[0] == "Figure separation: Merge the selected boxes (MedSSL)"
    assert world.stored() == [(0, 0, 200, 100)]
    typed.run("undo")
    assert len(world.store) == 2


def test_typing_accept_goes_to_the_next_figure(world, typed):
    first = world.session.current
    typed.run("accept")
    wait_until(lambda: world.session.current != first)
    assert world.session.project.state(first).value == "done"


def test_what_is_refused_is_told_in_the_widget(world, typed):
    typed.run("delete boxes")
    assert "No box is selected" in world.widget.error.text()
    typed.run("improve")
    assert "accept a figure first" in world.widget.error.text()


def test_save_as_asks_for_a_place(world, typed, tmp_path, monkeypatch):
    place = tmp_path / "mine.medssl"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(place), ""))
    typed.run("save project")
    assert world.session.project.folder == place
    wait_until(lambda: world.session.current is not None)


def test_no_command_raises(world, monkeypatch):
    """What cannot be done is told."""
    for ask in ("getOpenFileName", "getSaveFileName", "getOpenFileNames"):
        empty = [] if ask.endswith("s") else ""
        monkeypatch.setattr(QFileDialog, ask, lambda *_, empty=empty: (empty, ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Close)
    monkeypatch.setattr(world.widget.improve, "_work", lambda *_, **__: None)  # trains for minutes
    world.widget.detection.use(GivenFinder(FixedSeparator))
    for command in COMMANDS.values():
        if world.store is not None and not world.session.selection:
            world.session.selection.replace(world.store.add(Box(10, 10, 190, 140)))
        command.run(world.widget)
        world.settle()
    wait_until(lambda: not world.widget.jobs.is_busy)
    for dialog in world.widget.findChildren(QDialog):
        dialog.close()
