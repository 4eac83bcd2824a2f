"""The widget "Segmentation" as the menu of napari opens it: what is painted is kept."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy
from segmentation_world import wait_until, write_pictures

from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.training_workspace import Workspace, in_use
from napari_medssl.widgets import docks
from napari_medssl.widgets.segmentation import SegmentationWidget

pytestmark = pytest.mark.gui


def test_strokes_of_a_widget_from_the_menu_are_kept(menu_window, tmp_path):
    world = menu_window
    assert isinstance(world.widget, SegmentationWidget)
    write_pictures(tmp_path / "eyes", 2)
    world.open(tmp_path / "eyes")
    world.widget.classes.add()
    layer = world.viewer.layers.selection.active
    assert type(layer) is Labels
    layer.mode = "paint"
    world.paint((40, 60), (90, 60))
    (key, _) = world.store
    painted = np.array(layer.data)
    assert painted.any()
    assert world.store[key].is_edited
    assert (world.session.folder.held(key) == painted).all()
    world.widget.files.close_set()
    world.open(tmp_path / "eyes")
    assert (world.mask_layer.data == painted).all()


def test_copies_of_a_training_killed_before_it_saved_are_cleared_by_the_next_window(menu_window):
    world, spaces = menu_window, []
    for name in ("killed", "running"):
        spaces.append(Workspace(name, user_models_folder()))
        write_pictures_of(spaces[-1])
    killed, running = spaces
    with in_use(running):
        again = docks.Segmentation(PublicOnlyProxy(world.viewer))
        dock = world.viewer.window.add_dock_widget(again, name="again", area="right")
        try:
            wait_until(lambda: not killed.folder.exists())
            assert (running.images / "eye0.png").exists()
            assert not again.training.go_on_button.isVisible()
        finally:
            world.viewer.window.remove_dock_widget(dock)
            again.shut_down()


def write_pictures_of(workspace: Workspace) -> None:
    workspace.folder.mkdir(parents=True)
    write_pictures(workspace.images, 1)
