"""The widget "Segmentation" as the menu of napari opens it: what is painted is kept."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from segmentation_world import write_pictures

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
