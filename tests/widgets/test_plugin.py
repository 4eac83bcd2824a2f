"""The plugin in a real viewer: every sample opens, every widget docks quickly."""

import time

import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest

from napari_medssl.__main__ import PLUGIN, SAMPLE, open_window
from napari_medssl.state import drafts
from napari_medssl.widgets.separation import palette, project_files

pytestmark = pytest.mark.gui

CONTRIBUTIONS = PluginManifest.from_distribution(PLUGIN).contributions
SAMPLES = [sample.key for sample in CONTRIBUTIONS.sample_data]
WIDGETS = [widget.display_name for widget in CONTRIBUTIONS.widgets or ()]


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    PluginManager.instance().discover()
    return make_napari_viewer_proxy()


@pytest.fixture
def viewer_of_drafts(make_napari_viewer, monkeypatch, tmp_path):
    monkeypatch.setattr(project_files, "drafts_folder", lambda: tmp_path)
    monkeypatch.setattr(drafts, "drafts_folder", lambda: tmp_path)
    PluginManager.instance().discover()
    return make_napari_viewer()


@pytest.mark.parametrize("key", SAMPLES)
def test_a_sample_opens_as_images(viewer, key):
    viewer.open_sample(PLUGIN, key)
    assert [layer.rgb for layer in viewer.layers] == [True] * (5 if key == "retina_views" else 1)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_docks_in_less_than_400_ms(viewer, name):
    viewer.window.add_plugin_dock_widget(PLUGIN, name)  # the first time imports napari's parts
    viewer.window.remove_dock_widget("all")
    began = time.process_time()
    viewer.window.add_plugin_dock_widget(PLUGIN, name)
    assert time.process_time() - began < 0.4


def test_the_start_command_names_a_sample_that_is_there():
    assert SAMPLE in SAMPLES


def test_the_start_command_shows_the_whole_sample_beside_the_widget(make_napari_viewer, qtbot):
    PluginManager.instance().discover()
    viewer = make_napari_viewer(show=True)
    open_window(viewer, has_sample=True)
    qtbot.wait(200)  # the window takes its final layout
    (layer,) = viewer.layers
    height, width = viewer.canvas.size
    shown = [length * viewer.scene.camera.zoom for length in layer.data.shape[:2]]
    assert shown[0] <= height
    assert shown[1] <= width


def test_a_command_of_the_palette_opens_the_widget(viewer_of_drafts):
    viewer = viewer_of_drafts
    palette.PALETTE.run("undo")
    widget = palette.PALETTE.find_widget(viewer)
    assert "No figure is open" in widget.error.text()
    assert palette.PALETTE.find_widget(viewer) is widget
    widget.shut_down()
    palette.PALETTE.run("undo")
    assert "was closed" in notification_manager.records[-1].message
