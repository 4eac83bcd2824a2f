"""The widget "Landmarks" in a real window: click, matches, candidates, drag, undo, never lost."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from landmarks_world import OTHER, SHIFTS, picture, wait_until, write_pictures
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.widgets import _questions as questions

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
SPOT = (50, 40)


def near(x, y):
    return pytest.approx((x, y), abs=1.0)  # a pixel of the screen is about half of the picture's


def test_a_click_on_the_template_shows_the_match_in_every_other_image(landmarks):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    point = landmarks.store.point(images[0], a)
    assert (point.state, point.is_template) == ("confirmed", True)
    assert point.place == near(*SPOT)
    shown = landmarks.shown_points()
    for image, shift in zip(images[1:], SHIFTS[1:], strict=False):
        found = landmarks.store.point(image, a)
        assert found.state == "found"
        assert found.place == near(SPOT[0] + shift[0], SPOT[1] + shift[1])
        assert shown[image, a] == pytest.approx(found.place)
    assert landmarks.session.current == (images[0], b)  # the next one of the list
    landmarks.place(images[0], 110, 45)
    assert all(landmarks.store.point(image, b).place for image in images)
    table = landmarks.widget.table
    assert [table.item(row, 1).text() for row in range(2)] == ["confirmed, template"] * 2
    assert landmarks.widget.list.progress.text() == "2 of 8 points checked (25 %), 6 to check"


def test_letters_in_the_table_do_not_search_its_rows(landmarks):
    _, (a, _) = landmarks.ids()
    table = landmarks.widget.table
    table.setCurrentCell(0, 0)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_B)  # the second landmark is B
    assert (table.currentRow(), landmarks.session.name) == (0, a)


def test_clicks_name_landmarks_where_the_list_is_empty(landmarks_window, tmp_path):
    landmarks_window.begin(tmp_path, names=())
    images = landmarks_window.store.images()
    landmarks_window.place(images[0], *SPOT)
    landmarks_window.place(images[0], 110, 45)
    names = landmarks_window.store.names()
    assert [landmarks_window.store.name(k).name for k in names] == ["landmark 1", "landmark 2"]
    assert all(landmarks_window.store.point(i, n).place for i in images for n in names)
    landmarks_window.press(Qt.Key.Key_Z, CONTROL)  # the name goes with its point
    assert landmarks_window.store.names() == names[:1]


def test_tab_goes_through_the_candidates_and_undo_goes_back(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.session.choose(images[1], a)
    first = landmarks.store.point(images[1], a).place
    landmarks.press(Qt.Key.Key_Tab)
    point = landmarks.store.point(images[1], a)
    assert point.place == pytest.approx((first[0] + OTHER[1][0], first[1] + OTHER[1][1]))
    assert point.is_picked
    assert landmarks.widget.status.text().startswith("Candidate 2 of 3.")
    assert landmarks.shown_points()[images[1], a] == pytest.approx(point.place)
    landmarks.press(Qt.Key.Key_Backtab, SHIFT)
    assert landmarks.store.point(images[1], a).place == pytest.approx(first)
    landmarks.press(Qt.Key.Key_Tab)
    landmarks.press(Qt.Key.Key_Z, CONTROL)
    assert landmarks.store.point(images[1], a).place == pytest.approx(first)


def test_a_drag_corrects_and_pans_nothing(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    before = landmarks.viewer.scene.camera.center
    place = landmarks.store.point(images[2], a).place
    landmarks.drag_point(images[2], place, (70, 80))
    point = landmarks.store.point(images[2], a)
    assert (point.state, point.score) == ("confirmed", None)
    assert point.place == near(70, 80)
    assert landmarks.viewer.scene.camera.center == before
    assert landmarks.viewer.scene.camera.mouse_pan
    assert landmarks.session.current == (images[2], a)
    landmarks.press(Qt.Key.Key_Z, CONTROL)
    assert landmarks.store.point(images[2], a).place == pytest.approx(place)
    assert landmarks.store.point(images[2], a).state == "found"
    landmarks.press(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert landmarks.store.point(images[2], a).place == near(70, 80)


def test_a_hand_that_shakes_in_a_click_moves_no_point_and_still_places(landmarks):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    found = landmarks.store.point(images[2], a)
    landmarks.session.choose(images[0], b)
    grip = landmarks.on_canvas(images[2], *found.place) + QPoint(4, 3)
    landmarks.shake(grip)
    assert landmarks.store.point(images[2], a) == found
    assert landmarks.session.current == (images[2], a)
    landmarks.session.choose(images[0], b)
    landmarks.shake(landmarks.on_canvas(images[0], 110, 45))
    assert landmarks.store.point(images[0], b).place == near(110, 45)


def test_a_point_that_is_taken_beside_its_middle_does_not_jump(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    spot, zoom = landmarks.widget.images.mosaic.spots[images[2]], landmarks.viewer.scene.camera.zoom
    x, y = landmarks.store.point(images[2], a).place
    aside = 6 / (spot.scale * zoom)  # pixels of the screen
    landmarks.drag_point(images[2], (x + aside, y), (70 + aside, 80))
    assert landmarks.store.point(images[2], a).place == near(70, 80)


def test_napari_s_own_tools_leave_the_points_alone(landmarks):
    layer = landmarks.widget.points.layer
    layer.mode, layer.editable = "add", True
    assert (layer.editable, layer.mode) == (False, "pan_zoom")


def test_the_mouse_is_not_ours_where_the_camera_can_turn(landmarks, monkeypatch):
    widget, viewer = landmarks.widget, landmarks.viewer
    viewer.layers.selection.active = widget.points.layer
    assert widget._is_ours()
    turned = SimpleNamespace(layers=viewer.layers, dims=SimpleNamespace(ndisplay=3))
    monkeypatch.setattr(widget, "_viewer", turned)
    assert not widget._is_ours()


def test_enter_in_a_field_decides_nothing(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.session.choose(images[1], a)
    widget = landmarks.widget
    for field in (widget.list.search, widget.page_box, widget.new_name):
        field.setFocus()
        if field is widget.new_name:
            QTest.keyClicks(field, "C")
        QTest.keyClick(field, Qt.Key.Key_Return)
        landmarks.settle()
        assert landmarks.store.point(images[1], a).state == "found"
        assert not widget.error.text()
    assert [landmarks.store.name(key).name for key in landmarks.store.names()] == ["A", "B", "C"]


def test_landmarks_typed_in_a_row_are_placed_in_that_order(landmarks):
    images, (a, b) = landmarks.ids()
    field = landmarks.widget.new_name
    landmarks.place(images[0], *SPOT)
    landmarks.place(images[0], 110, 45)
    for name in "CD":
        field.setFocus()
        QTest.keyClicks(field, name)
        QTest.keyClick(field, Qt.Key.Key_Return)
        landmarks.settle()
    _, (*_, c, d) = landmarks.ids()
    places = {c: (80, 90), d: (30, 70)}
    for name, place in places.items():
        assert landmarks.session.name == name
        landmarks.place(images[0], *place)
    placed = {name: landmarks.store.point(images[0], name).place for name in places}
    assert placed == {name: near(*place) for name, place in places.items()}
    assert landmarks.store.point(images[0], a).place == near(*SPOT)
    assert landmarks.store.point(images[0], b).place == near(110, 45)


def test_the_set_of_a_folder_is_called_as_the_folder(landmarks):
    """What tells folders of one name apart is shown where there are two of them."""
    widget, folder = landmarks.widget, landmarks.session.folder.folder
    assert folder.stem != "scans"
    assert widget.title.text() == "<b>scans</b>"
    widget.files._fill_recent()
    assert [entry.text() for entry in widget.files._recent_menu.actions()] == ["scans"]


def test_a_drag_beside_the_points_pans_and_places_nothing(landmarks):
    images, (a, _) = landmarks.ids()
    before = landmarks.viewer.scene.camera.center
    landmarks.drag_point(images[0], (100, 100), (60, 70))
    assert landmarks.viewer.scene.camera.center != before
    assert landmarks.store.point(images[0], a).state == "undefined"


def test_moving_the_template_moves_the_matches_but_not_what_a_person_made(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.drag_point(images[2], landmarks.store.point(images[2], a).place, (70, 80))
    landmarks.session.choose(images[3], a)
    landmarks.press(Qt.Key.Key_X)
    landmarks.drag_point(images[0], landmarks.store.point(images[0], a).place, (110, 45))
    shift = SHIFTS[1]
    assert landmarks.store.point(images[1], a).place == near(110 + shift[0], 45 + shift[1])
    assert landmarks.store.point(images[2], a).place == near(70, 80)
    assert landmarks.store.point(images[3], a).state == "absent"


def test_undo_of_the_template_takes_its_matches_away(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.press(Qt.Key.Key_Z, CONTROL)
    landmarks.wait_idle()
    assert {landmarks.store.point(image, a).state for image in images} == {"undefined"}
    assert landmarks.shown_points() == {}
    landmarks.press(Qt.Key.Key_Z, CONTROL | SHIFT)
    landmarks.wait_idle()
    assert [landmarks.store.point(image, a).state for image in images[1:]] == ["found"] * 3


def test_a_click_never_moves_a_point_that_is_decided_about(landmarks):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    place = landmarks.store.point(images[1], a).place
    landmarks.session.choose(images[1], a)
    landmarks.press(Qt.Key.Key_A)
    landmarks.session.choose(images[1], a)
    landmarks.click_image(images[1], 100, 90)
    assert landmarks.store.point(images[1], a).place == pytest.approx(place)
    assert "'A' is placed here already. Drag it" in landmarks.widget.error.text()
    landmarks.click_image(images[1], 100, 90, SHIFT)
    assert landmarks.store.point(images[1], a).place == near(100, 90)
    assert not landmarks.widget.error.text()
    landmarks.press(Qt.Key.Key_L)
    landmarks.click_image(images[1], 20, 20, SHIFT)
    assert "is locked in 'scan1.png'" in landmarks.widget.error.text()
    assert landmarks.store.point(images[1], b).state == "undefined"


def test_the_queue_begins_with_the_least_certain_point(landmarks):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.place(images[0], 110, 45)
    landmarks.press(Qt.Key.Key_N)
    assert landmarks.session.current == (images[2], a)  # its score is the lowest, .4
    landmarks.press(Qt.Key.Key_A)
    assert landmarks.store.point(images[2], a).state == "confirmed"
    assert landmarks.session.current == (images[2], b)
    landmarks.press(Qt.Key.Key_A, SHIFT)
    assert landmarks.session.image == images[3]  # .7 comes next
    while landmarks.store.point(*landmarks.session.current).state == "found":
        landmarks.press(Qt.Key.Key_A)
    assert "All points are checked" in landmarks.widget.status.text()
    model = landmarks.widget.list.model
    assert [model.state(image) for image in images] == ["template", "done", "done", "done"]


def test_the_camera_follows_where_the_point_is_out_of_sight(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    camera = landmarks.viewer.scene.camera
    before = camera.center
    landmarks.session.choose(images[1], a)
    landmarks.settle()
    assert camera.center == before  # all are in sight
    landmarks.press(Qt.Key.Key_Z)
    zoom = camera.zoom
    assert camera.center != before
    landmarks.session.choose(images[3], a)
    landmarks.settle()
    world = landmarks.widget.images.mosaic.spots[images[3]].to_world(
        landmarks.store.point(images[3], a).place
    )
    assert tuple(camera.center[-2:]) == pytest.approx(world)
    assert camera.zoom == zoom
    landmarks.press(Qt.Key.Key_Z, SHIFT)
    assert camera.zoom < zoom


def test_what_the_program_does_not_find_is_told_apart(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.engine.absent.add(str(landmarks.paths[1]))
    landmarks.place(images[0], *SPOT)
    point = landmarks.store.point(images[1], a)
    assert (point.state, point.is_decided) == ("absent", False)
    landmarks.session.choose(images[1], a)
    landmarks.settle(0.1)
    assert landmarks.widget.table.item(0, 1).text() == "absent?"
    landmarks.press(Qt.Key.Key_Tab)  # it offers its best place all the same
    assert landmarks.store.point(images[1], a).state == "found"
    landmarks.press(Qt.Key.Key_Delete)
    assert landmarks.store.point(images[1], a).state == "absent"
    landmarks.press(Qt.Key.Key_A)
    assert landmarks.store.point(images[1], a).is_decided


def test_the_mouse_with_shift_held_moves_the_matches_live(landmarks):
    images, (a, _) = landmarks.ids()
    live = landmarks.widget.points

    def is_found(x, y):
        if not landmarks.widget.hover.is_on:  # the true pointer may move late, without the key
            landmarks.move_hovering(landmarks.on_canvas(images[0], x, y), SHIFT)
        if live.live is None or len(live.live.data) != 3:
            return False
        spot = landmarks.widget.images.mosaic.spots[images[1]]
        due = near(x + SHIFTS[1][0], y + SHIFTS[1][1])
        return spot.to_place(live.live.data[0]) == due

    wait_until(lambda: is_found(80, 90))
    landmarks.move_hovering(landmarks.on_canvas(images[0], 40, 30), SHIFT)
    wait_until(lambda: is_found(40, 30))
    assert landmarks.store.point(images[1], a).state == "undefined"
    columns = itertools.cycle((45, 46))

    def is_over():
        if landmarks.widget.hover.is_on:  # vispy drops a move within 10 ms of another
            at = landmarks.on_canvas(images[0], next(columns), 30)
            landmarks.move_hovering(at, Qt.KeyboardModifier.NoModifier)
        return not landmarks.widget.hover.is_on

    wait_until(is_over)
    assert len(live.live.data) == 0


def test_similarity_maps_lie_over_the_images(landmarks):
    images, _ = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.session.choose(name=landmarks.store.names()[0])
    landmarks.press(Qt.Key.Key_M)
    landmarks.wait_idle()
    maps = landmarks.widget.maps.layers
    assert set(maps) == set(images[1:])
    layer = maps[images[1]]
    row, column = np.unravel_index(np.argmax(layer.data), layer.data.shape)
    top = layer.data_to_world((row, column))
    place = landmarks.widget.images.mosaic.spots[images[1]].to_place(top)
    assert place == pytest.approx((SPOT[0] + SHIFTS[1][0], SPOT[1] + SHIFTS[1][1]), abs=5)
    landmarks.press(Qt.Key.Key_M)
    assert not any(layer.visible for layer in landmarks.viewer.layers if "simil" in layer.name)


def test_a_corrected_point_becomes_a_second_template_when_told(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    before = landmarks.store.point(images[3], a).score
    landmarks.session.choose(images[1], a)
    landmarks.press(Qt.Key.Key_T)
    assert "Confirm it first" in landmarks.widget.error.text()
    landmarks.drag_point(images[1], landmarks.store.point(images[1], a).place, (60, 50))
    assert not landmarks.store.point(images[1], a).is_template
    landmarks.press(Qt.Key.Key_T)
    landmarks.wait_idle()
    assert len(landmarks.store.templates(a)) == 2
    assert landmarks.store.point(images[3], a).score > before  # asked with both
    assert "searched with 2 templates" in landmarks.widget.status.text()


def test_it_says_which_second_template_would_help_most(landmarks):
    images, (a, _) = landmarks.ids()
    second = landmarks.widget.second
    landmarks.press(Qt.Key.Key_H)
    assert "has no template yet" in landmarks.widget.error.text()
    landmarks.place(images[0], *SPOT)
    landmarks.session.choose(images[0], a)
    landmarks.press(Qt.Key.Key_H)
    wait_until(lambda: not second.is_busy)
    assert second.best == images[2]  # the least certain one
    assert "'go'>scan2.png</a> would help most, and help with 2 others" in second.line.text()
    second.line.linkActivated.emit("go")
    assert landmarks.session.image == second.best


def test_paste_asks_before_it_overwrites(landmarks, monkeypatch):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.place(images[0], 110, 45)
    landmarks.drag_point(images[1], landmarks.store.point(images[1], a).place, (70, 80))
    landmarks.session.choose(images[0])
    landmarks.press(Qt.Key.Key_C, CONTROL)
    landmarks.session.choose(images[1])
    asked = []
    monkeypatch.setattr(questions, "may", lambda *words: asked.append(words[-1]))
    landmarks.press(Qt.Key.Key_V, CONTROL)
    assert "1 landmark that a person made would be overwritten" in asked[0]
    assert landmarks.store.point(images[1], a).place == near(70, 80)
    assert landmarks.store.point(images[1], b).place == near(110, 45)
    monkeypatch.setattr(questions, "may", lambda *_: True)
    landmarks.press(Qt.Key.Key_V, CONTROL)
    assert landmarks.store.point(images[1], a).place == near(*SPOT)


def test_questions_take_enter_for_no(landmarks, monkeypatch):
    def question(_parent, _title, _text, _buttons, default):
        return default

    monkeypatch.setattr(QMessageBox, "question", question)
    assert not questions.may(landmarks.widget, "Overwrite?", "Really?")


def test_the_same_folder_finds_its_landmarks_again(landmarks, tmp_path):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.drag_point(images[1], landmarks.store.point(images[1], a).place, (70, 80))
    place = landmarks.store.point(images[1], a).place
    landmarks.widget.files.close_set()
    assert landmarks.session.folder is None
    landmarks.settle()
    assert landmarks.shown_points() == {}
    landmarks.open(tmp_path / "scans")
    assert landmarks.store.point(images[1], a).place == place
    assert landmarks.session.front == images[0]
    assert landmarks.session.current == (images[0], landmarks.store.names()[1])
    assert landmarks.store.undo() is not None


def test_a_set_open_elsewhere_is_refused(landmarks, tmp_path):
    landmarks.widget.files.close_set()
    with LandmarkFolder.open(tmp_path / "other.landmarks"):
        landmarks.open(tmp_path / "other.landmarks")
        assert "is open in another window" in landmarks.widget.error.text()
    assert landmarks.session.folder is None


def test_layers_are_taken_and_bad_ones_are_told(landmarks_window, tmp_path):
    world = landmarks_window
    world.begin(tmp_path, count=0)
    files = world.widget.files
    files.add_layers()
    assert "No image layers are selected" in world.widget.error.text()
    volume = world.viewer.add_image(np.zeros((3, 8, 8)), name="volume")
    files.add_layers()
    assert "no plain 2-D image: its shape is (3, 8, 8)" in world.widget.error.text()
    world.viewer.layers.remove(volume)
    holes = world.viewer.add_image(np.full((8, 8), np.nan), name="holes", contrast_limits=(0, 1))
    files.add_layers()
    wait_until(lambda: not files.is_busy)
    assert "not a number (NaN)" in world.widget.error.text()
    assert holes.visible
    world.viewer.layers.remove(holes)
    layers = [
        world.viewer.add_image(picture(s), name=f"scan{n}", scale=(0.2, 0.2), units="mm")
        for n, s in enumerate(SHIFTS[:2])
    ]
    world.viewer.layers.selection = set(layers)
    files.add_layers()
    wait_until(lambda: not files.is_busy)
    world.wait_idle()
    images = world.store.images()
    assert [world.store.image(key).name for key in images] == ["scan0", "scan1"]
    assert world.store.image(images[0]).spacing_mm == pytest.approx((0.2, 0.2))
    assert not any(layer.visible for layer in layers)
    world.place(images[0], *SPOT)
    assert world.store.point(images[1], world.store.names()[0]).state == "found"


def test_requests_that_come_at_once_are_done_in_turn(landmarks_window, tmp_path):
    world = landmarks_window
    world.begin(tmp_path, count=0)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        write_pictures(folder, 1)
        world.widget.files.add_paths([folder])
    world.widget.files.open(tmp_path / "third.landmarks")
    world.widget.files.open(tmp_path / "fourth.landmarks")
    former = []
    wait_until(lambda: former.append(world.session.folder) or not world.widget.files.is_busy)
    first = next(folder for folder in former if folder is not None)
    assert len(first.store.images()) == 2
    assert world.session.folder.folder == tmp_path / "fourth.landmarks"
    assert all(folder.is_closed for folder in former if folder not in (None, world.session.folder))


def test_a_landmark_that_is_renamed_while_it_is_searched_is_found(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.engine.go.clear()
    landmarks.click_image(images[0], *SPOT)
    wait_until(lambda: landmarks.widget.matching.is_busy)
    landmarks.store.rename(a, "S")
    landmarks.engine.go.set()
    landmarks.wait_idle()
    assert [landmarks.store.point(image, a).state for image in images[1:]] == ["found"] * 3


def test_bad_images_are_told_and_the_others_go_on(landmarks, tmp_path):
    (tmp_path / "scans" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    landmarks.open(tmp_path / "scans" / "bad.png")
    assert "bad.png" in landmarks.widget.error.text()
    landmarks.open(tmp_path / "nothing")
    assert "nothing" in landmarks.widget.error.text()
    images, (a, _) = landmarks.ids()
    landmarks.paths[3].unlink()
    landmarks.widget.matching.start_anew()
    landmarks.wait_idle()
    states = [landmarks.widget.list.model.state(image) for image in images]
    assert states == ["template", "waiting", "waiting", "unreadable", "unreadable"]
    landmarks.place(images[0], *SPOT)
    assert landmarks.store.point(images[1], a).state == "found"


def test_an_image_is_tried_again_where_the_compute_process_was_killed(landmarks):
    images, (a, _) = landmarks.ids()
    sources = [landmarks.store.image(image).source for image in images]
    model, engine = landmarks.widget.list.model, landmarks.engine
    engine.kills = [("look", sources[1]), *[("look", sources[2])] * 2]
    landmarks.widget.matching.start_anew()
    landmarks.wait_idle()
    states = [model.state(image) for image in images]
    assert states == ["template", "waiting", "unreadable", "waiting"]
    assert landmarks.widget.error.text() == "The compute process ended by itself."
    landmarks.session.choose(images[1])  # the person goes on
    landmarks.wait_idle()
    assert model.state(images[2]) == "waiting"
    assert set(landmarks.session.seen) == set(images)
    landmarks.session.choose(images[0])
    engine.kills = [("match", sources[1]), *[("match", sources[2])] * 2]
    landmarks.place(images[0], *SPOT)
    assert [landmarks.store.point(i, a).state for i in images[1:3]] == ["found", "undefined"]
    landmarks.session.choose(images[3])
    landmarks.wait_idle()
    assert landmarks.store.point(images[2], a).state == "found"


def test_a_killed_compute_process_is_told_while_it_is_tried_again(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.engine.kills = [("match", landmarks.store.image(images[1]).source)]
    landmarks.place(images[0], *SPOT)
    words = (
        "The compute process ended while it worked on 'scan1.png'. It began anew and tries again."
    )
    assert landmarks.widget.error.text() == words
    assert landmarks.store.point(images[1], a).state == "found"


def test_features_that_are_gone_are_computed_again(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.engine.gone.add(str(landmarks.paths[1]))
    landmarks.place(images[0], *SPOT)
    assert landmarks.store.point(images[1], a).state == "found"
    assert landmarks.engine.asked.count(("look", str(landmarks.paths[1]))) == 2


def test_the_window_lives_on_while_images_are_compared(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.engine.go.clear()
    landmarks.click_image(images[0], *SPOT)
    landmarks.click_image(images[0], 110, 45)  # not held up
    assert [landmarks.store.point(images[0], n).state for n in landmarks.store.names()] == [
        "confirmed"
    ] * 2
    assert landmarks.store.point(images[1], a).state == "undefined"
    landmarks.engine.go.set()
    landmarks.wait_idle()
    assert landmarks.store.point(images[1], a).state == "found"


def test_measurements_are_shown_and_written(landmarks, tmp_path):
    images, _ = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.place(images[0], 110, 45)
    panel = landmarks.widget.measure
    panel.text.setPlainText("AC = distance A C")
    panel.apply()
    assert "No image has a landmark 'C'" in landmarks.widget.error.text()
    panel.text.setPlainText("AB = distance A B")
    panel.apply()
    assert not landmarks.widget.error.text()
    landmarks.widget.exchange.set_spacing(0.5)
    landmarks.settle(0.2)
    assert panel.table.rowCount() == 4
    heads = [panel.table.horizontalHeaderItem(n).text() for n in range(3)]
    assert heads == ["image", "AB_px", "AB_mm"]
    px, mm = (float(panel.table.item(1, n).text()) for n in (1, 2))
    assert px == pytest.approx(np.hypot(60, 5), abs=1.5)
    assert mm == pytest.approx(px / 2, abs=0.01)
    panel.write(tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().startswith("image,AB_px,AB_mm\nscan0.png,")
    assert landmarks.session.folder.measurements == ("AB = distance A B",)


def test_measurements_follow_a_landmark_that_is_renamed(landmarks):
    images, (a, _) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.place(images[0], 110, 45)
    panel, folder = landmarks.widget.measure, landmarks.session.folder
    panel.text.setPlainText("AB = distance A B")
    panel.apply()
    panel.text.setPlainText("AB = distance A B\nBA = distance B A")  # not taken over yet
    length = panel.table.item(1, 1).text()
    landmarks.widget.table.item(0, 0).setText("nasion 1")  # as an editor of the cell does
    assert folder.measurements == ("AB = distance 'nasion 1' B",)
    assert panel.text.toPlainText().endswith("\nBA = distance B 'nasion 1'")
    assert panel.table.item(1, 1).text() == length
    landmarks.press(Qt.Key.Key_Z, CONTROL)
    assert landmarks.store.name(a).name == "A"
    assert folder.measurements == ("AB = distance A B",)
    assert panel.text.toPlainText() == "AB = distance A B\nBA = distance B A"
    landmarks.press(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert folder.measurements == ("AB = distance 'nasion 1' B",)


def test_files_go_out_and_come_in(landmarks, tmp_path, monkeypatch):
    images, (a, b) = landmarks.ids()
    landmarks.place(images[0], *SPOT)
    landmarks.drag_point(images[1], landmarks.store.point(images[1], a).place, (70, 80))
    exchange = landmarks.widget.exchange
    for kind, name in (("csv", "p.csv"), ("coco", "p.json"), ("slicer", "slicer")):
        exchange.write(tmp_path / name, kind)
        assert not landmarks.widget.error.text()
        assert "written to" in landmarks.widget.status.text()
    point_list = tmp_path / "slicer" / "scan1.mrk.json"
    point_list.write_text("of somebody else")
    asked = []
    monkeypatch.setattr(questions, "may", lambda *words: asked.append(words[-1]))
    exchange.write(tmp_path / "slicer", "slicer")
    assert "'scan0.mrk.json' and 3 more in" in asked[0]
    assert point_list.read_text() == "of somebody else"
    table = tmp_path / "in.csv"
    table.write_text("image,label,x,y\nscan1.png,A,9,9\nscan1.png,C,8,8\n")
    monkeypatch.setattr(questions, "may", lambda *_: False)
    exchange.read(table)
    wait_until(lambda: "imported" in landmarks.widget.status.text())
    assert "1 that you made were kept" in landmarks.widget.status.text()
    assert landmarks.store.point(images[1], a).place == near(70, 80)
    assert landmarks.store.point(images[1], landmarks.store.find_name("C")).place == (8, 8)
    assert landmarks.store.point(images[1], b).state == "undefined"
    table.write_text("image,label,x,y\nscan0.png,B,110,45\n")
    exchange.read(table)  # of the template: as if it had been clicked there
    wait_until(lambda: landmarks.store.point(images[0], b).is_template)
    landmarks.wait_idle()
    assert landmarks.store.point(images[2], b).state == "found"
    landmarks.store.undo()
    assert landmarks.store.point(images[0], b).state == "undefined"


def test_lists_are_kept_as_templates_and_used_again(landmarks, tmp_path):
    exchange = landmarks.widget.exchange
    exchange.keep_template("spots")
    assert landmarks.session.folder.template == "spots 1"
    landmarks.store.add_name("C")
    exchange.keep_template("spots")
    assert landmarks.session.folder.template == "spots 2"
    landmarks.widget.files.open(tmp_path / "new.landmarks")
    wait_until(lambda: landmarks.session.folder is not None and not landmarks.store.images())
    written = landmarks.widget.measure.text
    written.setPlainText("AB = distance A B")
    exchange.use_template("spots", 1)
    assert written.toPlainText() == "AB = distance A B"  # not applied yet, not lost
    assert [landmarks.store.name(k).name for k in landmarks.store.names()] == ["A", "B"]
    exchange.use_template("nothing")
    assert "no template 'nothing'" in landmarks.widget.error.text()


def test_every_key_is_on_the_cheat_sheet(landmarks):
    html = landmarks.widget.keys.as_html()
    assert "Confirm the point and go on" in html
    assert "Which second template would help most" in html
