"""The Shapes layer and the box store stay in step, by mouse and by key."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers.shapes._shapes_constants import Box as Handles
from PIL import Image
from qtpy.QtCore import Qt
from separation_world import wait_until, write_figures

from napari_medssl.io.boxes import Box
from napari_medssl.state.project import Project
from napari_medssl.widgets.separation.layer_view import BoxLayer
from napari_medssl.widgets.separation.session import Session

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier


def add_quarters(world):
    """Boxes on the panels of the figure."""
    keys = world.store.add(
        Box(0, 0, 190, 140), Box(210, 0, 400, 140), Box(0, 160, 190, 300), Box(210, 160, 400, 300)
    )
    world.settle()
    return keys


def test_store_changes_show_in_the_layer(world):
    keys = add_quarters(world)
    world.assert_in_step()
    world.store.move([keys[0]], 5, 7)
    world.assert_in_step()
    world.store.remove([keys[1]])
    world.assert_in_step()
    world.store.undo()
    world.store.undo()
    world.assert_in_step()


def test_box_drawn_with_the_mouse_is_whole_and_snapped(world):
    world.press(Qt.Key.Key_R)
    assert world.layer.mode == "add_rectangle"
    world.drag((20, 20), (187, 137))
    (key,) = world.store
    box = world.store[key]
    assert (box.x1, box.y1) == (190, 140)  # the ink ends there
    assert all(float(v).is_integer() for v in (box.x0, box.y0))
    assert box.score is None
    assert len(world.store.history) == 1
    world.assert_in_step()


def test_box_drawn_over_the_border_is_clamped(world):
    world.session.is_snapping = False
    world.press(Qt.Key.Key_R)
    world.drag((300, 200), (430, 330))
    (box,) = world.store.boxes()
    assert (box.x1, box.y1) == (400, 300)
    world.assert_in_step()


def test_slip_of_the_mouse_makes_no_box(world):
    world.press(Qt.Key.Key_R)
    world.click(50, 50)
    world.settle()
    assert len(world.store) == 0
    assert world.drawn() == []


def test_drag_of_a_box_is_one_entry_and_undone_by_key(world):
    keys = add_quarters(world)
    before = world.stored()
    entries = len(world.store.history)
    world.click(100, 70)
    assert world.session.selected_keys() == [keys[0]]
    world.drag((100, 70), (120, 80))
    assert world.store[keys[0]].x0 == pytest.approx(20, abs=2)
    assert world.store[keys[0]].width == 190
    assert len(world.store.history) == entries + 1
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL)
    assert world.stored() == before
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert world.stored() != before
    world.assert_in_step()


def test_drag_out_of_the_image_is_clamped(world):
    keys = add_quarters(world)
    world.click(100, 70)
    world.drag((100, 70), (60, 20))
    box = world.store[keys[0]]
    assert (box.x0, box.y0) == (0, 0)
    world.assert_in_step()


def test_resize_at_a_corner_moves_two_edges_only(world):
    world.session.is_snapping = False
    (key,) = world.store.add(Box(100, 80, 200, 180))
    world.settle()
    world.click(150, 130)
    world.drag((200, 180), (240, 200))
    box = world.store[key]
    assert (box.x0, box.y0) == (100, 80)
    assert box.x1 == pytest.approx(240, abs=3)
    assert box.y1 == pytest.approx(200, abs=3)
    world.assert_in_step()


def test_delete_key_deletes_and_undo_brings_back_the_same_id(world):
    keys = add_quarters(world)
    world.click(100, 70)
    world.press(Qt.Key.Key_Delete)
    assert keys[0] not in world.store
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL)
    assert keys[0] in world.store
    world.assert_in_step()


def test_napari_own_delete_goes_to_the_store(world):
    keys = add_quarters(world)
    world.click(100, 70)
    world.layer.remove_selected()
    assert keys[0] not in world.store
    world.assert_in_step()


def test_arrows_nudge_by_one_and_ten(world):
    (key,) = world.store.add(Box(100, 80, 200, 180))
    world.settle()
    world.click(150, 130)
    world.press(Qt.Key.Key_Right)
    world.press(Qt.Key.Key_Down, SHIFT)
    assert world.store[key] == Box(101, 90, 201, 190)
    world.assert_in_step()
    assert world.session.selected_keys() == [key]


@pytest.mark.parametrize(
    ("key", "modifier", "expected"),
    [
        (Qt.Key.Key_Right, ALT, Box(100, 80, 201, 180)),
        (Qt.Key.Key_Left, ALT, Box(99, 80, 200, 180)),
        (Qt.Key.Key_Up, ALT, Box(100, 79, 200, 180)),
        (Qt.Key.Key_Down, ALT | SHIFT, Box(100, 80, 200, 190)),
        (Qt.Key.Key_Right, CTRL, Box(101, 80, 200, 180)),
        (Qt.Key.Key_Left, CTRL, Box(100, 80, 199, 180)),
        (Qt.Key.Key_Up, CTRL, Box(100, 80, 200, 179)),
        (Qt.Key.Key_Down, CTRL | SHIFT, Box(100, 90, 200, 180)),
    ],
)
def test_edges_move_by_key(world, key, modifier, expected):
    (box,) = world.store.add(Box(100, 80, 200, 180))
    world.settle()
    world.click(150, 130)
    world.press(key, modifier)
    assert world.store[box] == expected
    world.assert_in_step()


def test_tab_cycles_the_boxes_under_the_mouse(world):
    large, small = world.store.add(Box(50, 50, 350, 250), Box(150, 100, 250, 200))
    world.settle()
    world.hover(200, 150)
    seen = []
    for _ in range(3):
        world.press(Qt.Key.Key_Tab)
        seen += world.session.selected_keys()
    assert seen == [small, large, small]


def test_smallest_box_is_picked_though_a_large_one_was_drawn_later(world):
    small, large = world.store.add(Box(150, 100, 250, 200), Box(50, 50, 350, 250))
    world.settle()
    world.click(200, 150)
    assert world.session.selected_keys() == [small]
    world.click(70, 70)
    assert world.session.selected_keys() == [large]


def test_gutter_dragged_with_the_mouse_moves_both_neighbours(world):
    a, b, c, d = add_quarters(world)
    entries = len(world.store.history)
    world.drag((200, 70), (230, 70))
    moved = world.store[a].x1
    assert moved == pytest.approx(220, abs=2)
    assert world.store[a] == Box(0, 0, moved, 140)
    assert world.store[b] == Box(moved + 20, 0, 400, 140)
    assert world.store[c] == Box(0, 160, 190, 300)
    assert world.store[d] == Box(210, 160, 400, 300)
    assert len(world.store.history) == entries + 1
    assert world.layer.mode == "select"
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL)
    assert world.store[a] == Box(0, 0, 190, 140)


def test_touching_boxes_have_a_gutter_to_drag_with_alt(world):
    a, b = world.store.add(Box(0, 0, 200, 140), Box(200, 0, 400, 140))
    world.settle()
    world.drag((200, 70), (180, 70), ALT)
    assert world.store[a].x1 == world.store[b].x0 == pytest.approx(180, abs=1)
    world.assert_in_step()


def test_cut_follows_the_gutter_under_the_mouse(world):
    world.store.add(Box(0, 0, 400, 140))
    world.settle()
    world.hover(205, 70)
    world.press(Qt.Key.Key_C)
    assert world.stored() == [(0, 0, 190, 140), (210, 0, 400, 140)]
    world.assert_in_step()
    world.press(Qt.Key.Key_Z, CTRL)
    assert world.stored() == [(0, 0, 400, 140)]


def test_cut_away_from_a_gutter_is_at_the_mouse(world):
    world.store.add(Box(0, 0, 190, 140))
    world.settle()
    world.hover(80, 70)
    world.press(Qt.Key.Key_C, SHIFT)
    (top, bottom) = world.stored()
    assert top[3] == bottom[1] == pytest.approx(70, abs=1)


def test_merge_by_key(world):
    a, b, _, _ = add_quarters(world)
    world.click(100, 70)
    world.click(300, 70, SHIFT)
    assert world.session.selected_keys() == [a, b]
    world.press(Qt.Key.Key_M)
    assert (0, 0, 400, 140) in world.stored()
    assert len(world.store) == 3
    world.assert_in_step()


def test_tools_for_other_shapes_lead_back_to_boxes(world):
    world.layer.mode = "add_ellipse"
    wait_until(lambda: world.layer.mode == "add_rectangle")
    world.layer.mode = "direct"
    wait_until(lambda: world.layer.mode == "select")


def test_all_shapes_assigned_by_a_script_become_the_boxes(world):
    add_quarters(world)
    world.layer.data = [[[10, 10], [10, 60], [40, 60], [40, 10]]]
    world.settle()
    assert world.stored() == [(10.5, 10.5, 60.5, 40.5)]
    world.press(Qt.Key.Key_Z, CTRL)
    assert len(world.store) == 4
    world.assert_in_step()


def test_copy_and_paste_by_key(world):
    (key,) = world.store.add(Box(100, 80, 200, 180))
    world.settle()
    world.click(150, 130)
    world.press(Qt.Key.Key_C, CTRL)
    world.press(Qt.Key.Key_V, CTRL)
    assert len(world.store) == 2
    assert world.session.selected_keys() != [key]
    world.assert_in_step()


def test_rotated_box_is_drawn_back_upright(world):
    add_quarters(world)
    before = world.stored()
    world.click(100, 70)
    handle = world.layer._selected_box[Handles.HANDLE]
    world.drag((float(handle[1]) + 0.5, float(handle[0]) + 0.5), (60, 200))
    assert world.stored() == before
    world.assert_in_step()


def test_layers_are_locked_against_deletion(world):
    """A Shapes layer that is removed makes software OpenGL crash at the next image."""
    add_quarters(world)
    world.viewer.layers.selection = set(world.viewer.layers)
    world.viewer.layers.remove_selected()
    assert {layer.name for layer in world.viewer.layers} == {"figure", "panels"}


def test_layer_that_was_removed_is_made_again(tmp_path):
    viewer = ViewerModel()
    session = Session(Project.create(tmp_path / "job.medssl"))
    view = BoxLayer(viewer, session)
    keys = session.project.add_images([(path, None) for path in write_figures(tmp_path, 2)])
    session.show_figure(keys[0], (400, 300), None)
    session.store.add(Box(10, 10, 50, 50))
    viewer.layers.clear()
    session.store.add(Box(60, 10, 90, 50))
    session.show_figure(keys[1], (400, 300), None)
    session.show_figure(keys[0], (400, 300), None)
    assert len(view.layer.data) == 2
    session.project.close()


def test_layer_that_a_person_deletes_comes_back_with_its_keys(world):
    """The box store holds all that the layer shows."""
    (key,) = world.store.add(Box(6, 6, 190, 140), name="draw")
    world.layer.locked = False
    world.viewer.layers.remove(world.layer)
    wait_until(lambda: "panels" in world.viewer.layers)
    world.assert_in_step()
    assert world.viewer.layers.selection.active is world.layer
    assert world.layer.locked
    world.session.selection.replace([key])
    world.press(Qt.Key.Key_Right)
    assert world.store[key].x0 == 7
    world.click(100, 70)
    assert world.session.selected_keys() == [key]


def test_words_follow_the_ground_under_them(world, tmp_path):
    image = np.full((300, 400, 3), 255, np.uint8)
    image[:, 200:] = 0
    Image.fromarray(image).save(tmp_path / "half.png")
    (key,) = world.session.project.add_images([(tmp_path / "half.png", None)])
    world.widget.open_figure(key)
    wait_until(lambda: world.session.current == key)
    world.store.add(Box(0, 0, 200, 300, 0.9, "a"), Box(200, 0, 400, 300, 0.9, "b"))
    world.settle(0.3)
    assert list(world.layer.features["color"]) == ["#8f0052", "#ffe14d"]
    seen = world.viewer.screenshot(canvas_only=True, flash=False)
    yellow = (seen[..., 0] > 200) & (seen[..., 1] > 180) & (seen[..., 2] < 140)
    assert yellow.sum() > 20  # the words are drawn in it
    assert list(world.layer.features["panel"]) == ["a  0.90", "b  0.90"]
