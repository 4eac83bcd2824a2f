"""The widget "Segmentation" in a real window: segment, paint, never lost, regions, areas, files."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QLineEdit
from segmentation_world import HEIGHT, WIDTH, picture, truth, wait_until, write_pictures
from separation_world import NO_KEYS

from napari_medssl.io.class_files import read_class_file
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets import _image_thumbnails
from napari_medssl.widgets import _questions as questions

pytestmark = pytest.mark.gui
CONTROL = Qt.KeyboardModifier.ControlModifier


def answering(monkeypatch, answer):
    """Answer questions; return their texts."""
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: asked.append(text) or answer)
    return asked


def test_segment_puts_the_mask_beside_the_image(segmentation):
    first, *others = segmentation.store
    assert not segmentation.mask_layer.data.any()
    segmentation.segment()
    assert (segmentation.mask_layer.data == truth(0)).all()
    item = segmentation.store[first]
    assert (item.model, item.classes, item.is_edited) == ("retina-vessels", ("vessel",), False)
    assert not any(segmentation.store[key].has_mask for key in others)
    assert "1 image segmented." in segmentation.widget.status.text()
    table = segmentation.widget.areas
    wait_until(lambda: not table.is_waiting and table.rowCount() == 1)
    cells = [table.item(0, column).text() for column in (0, 1, 3, 4)]
    part = f"{1000 / WIDTH / HEIGHT:.2%}"
    wait_until(lambda: table.item(0, 4).text())
    assert cells == ["vessel", "1,000", part, part]  # there is no rim
    assert segmentation.viewer.layers.selection.active is segmentation.mask_layer


def test_segment_all_shows_each_image_with_its_own_mask(segmentation):
    segmentation.segment(every=True)
    for number, key in enumerate(segmentation.store):
        segmentation.choose(key)
        assert (segmentation.mask_layer.data == truth(number)).all()
        image = segmentation.widget.layers.image_layer(key)
        assert (image.data == picture(number)).all()
        shown = {layer.name for layer in segmentation.viewer.layers if layer.visible}
        assert shown == {image.name, segmentation.mask_layer.name}
    words = "3 of 3 have a mask, 0 edited by you"
    wait_until(lambda: segmentation.widget.list.progress.text() == words)


def test_dim_images_are_as_light_in_the_list_as_on_the_canvas(segmentation, tmp_path, monkeypatch):
    """Also the pages of a stack, whose line is that of all; made in a thread."""
    threads, read_image = set(), _image_thumbnails.read_image

    def read(*args, **options):
        threads.add(threading.current_thread())
        return read_image(*args, **options)

    monkeypatch.setattr(_image_thumbnails, "read_image", read)
    dim = picture(0) // 3
    Image.fromarray(dim).save(tmp_path / "dim.png")
    pages = np.stack([dim[..., 0], dim[..., 0] // 2])
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    known = set(segmentation.store)
    segmentation.open(tmp_path / "dim.png", tmp_path / "stack.tif")
    thumbnails, tops = segmentation.widget.thumbnails, []
    for key in sorted(set(segmentation.store) - known):
        segmentation.choose(key)
        wait_until(lambda key=key: thumbnails.get(str(key)) is not None)
        shown = thumbnails.get(str(key)).toImage().convertToFormat(QImage.Format.Format_RGB888)
        lines = np.frombuffer(shown.constBits().asstring(shown.sizeInBytes()), np.uint8)
        rows = lines.reshape(HEIGHT, shown.bytesPerLine())[:, : 3 * WIDTH]
        layer = segmentation.widget.layers.image_layer(key).data
        assert (rows.reshape(HEIGHT, WIDTH, 3) == layer).all()
        tops.append(int(layer.max()))
    assert tops[:2] == [255, 255]
    assert 90 < tops[2] < 130
    assert threads
    assert threading.main_thread() not in threads


def test_strokes_of_the_brush_are_on_disk_a_moment_later_and_undo_is_too(segmentation, tmp_path):
    key = segmentation.session.image
    segmentation.segment()
    layer = segmentation.mask_layer
    layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    painted = np.array(layer.data)
    assert painted[80, 70] == 1
    assert segmentation.store[key].is_edited
    assert (segmentation.session.folder.held(key) == painted).all()
    segmentation.press(Qt.Key.Key_Z, CONTROL)
    segmentation.wait_saved()
    assert (segmentation.session.folder.held(key) == truth(0)).all()
    layer.mode = "pan_zoom"


def test_a_stroke_ends_where_another_image_comes_in_front(segmentation):
    first, left = segmentation.session.image, Qt.MouseButton.LeftButton
    layer = segmentation.mask_layer
    layer.mode = "paint"
    segmentation.paint((40, 80), (60, 80))
    one = np.array(layer.data)
    start, stop = segmentation.on_canvas(40, 100), segmentation.on_canvas(100, 100)
    QTest.mousePress(segmentation.canvas, left, NO_KEYS, start)
    segmentation.move_pressed(stop, NO_KEYS)
    segmentation.press(Qt.Key.Key_N)
    segmentation.wait_shown()
    QTest.mouseRelease(segmentation.canvas, left, NO_KEYS, stop)
    assert not segmentation.mask_layer.data.any()
    segmentation.choose(first)
    assert layer.data[100, 80] == 1
    segmentation.paint((40, 60), (60, 60))
    for _ in range(2):  # the third stroke, then the second alone
        segmentation.press(Qt.Key.Key_Z, CONTROL)
    assert (layer.data == one).all()
    layer.mode = "pan_zoom"


def test_a_new_run_never_replaces_what_a_person_painted_unasked(segmentation, monkeypatch):
    key = segmentation.session.image
    layer = segmentation.mask_layer
    layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    layer.mode = "pan_zoom"
    painted = np.array(layer.data)
    segmentation.segment(every=True)
    assert (layer.data == painted).all()
    assert "Left as you edited it: eye0.png" in segmentation.widget.status.text()
    asked = answering(monkeypatch, False)
    segmentation.press_button(segmentation.widget.segment_button)
    assert "You have edited the mask of 'eye0.png'" in asked[0]
    assert (layer.data == painted).all()
    answering(monkeypatch, True)
    segmentation.segment()
    assert (layer.data == truth(0)).all()
    assert not segmentation.store[key].is_edited
    segmentation.press(Qt.Key.Key_Z, CONTROL)  # even that is taken back
    segmentation.wait_saved()
    assert (segmentation.session.folder.held(key) == painted).all()


def test_masks_that_are_left_are_told_by_what_the_person_did(segmentation):
    first, second, _ = segmentation.store
    segmentation.segment(every=True)
    segmentation.choose(first)
    segmentation.press_button(segmentation.widget.review.accept_button)
    segmentation.wait_shown()
    assert segmentation.store[first].review == "accepted"
    segmentation.segment(every=True)
    told = "2 images segmented. Left as you accepted it: eye0.png."
    assert told in segmentation.widget.status.text()
    segmentation.choose(second)
    segmentation.mask_layer.data_setitem((np.array([2, 3]), np.array([2, 3])), 1)
    wait_until(lambda: segmentation.store[second].is_edited)
    segmentation.segment(every=True)
    told = "1 image segmented. Left as you edited or accepted them: eye0.png, eye1.png."
    assert told in segmentation.widget.status.text()


def test_images_asked_for_lead_the_list_that_is_ordered_by_doubt(segmentation, monkeypatch):
    """In the order in which Q comes to them."""
    segment, doubts = segmentation.engine.segment, iter((0.2, 0.9, 0.5))
    monkeypatch.setattr(
        segmentation.engine,
        "segment",
        lambda *args: replace(segment(*args), uncertainty=next(doubts)),
    )
    segmentation.segment(every=True)
    first, second, third = segmentation.store
    box, model = segmentation.widget.list.order_box, segmentation.widget.list.model

    def order():
        return [model.key_at(row) for row in range(model.rowCount())]

    wait_until(box.isVisible)
    box.click()
    assert order() == [second, third, first]
    assert segmentation.widget.set_next_images(["eye0.png", "eye2.png"]) == 2
    assert order() == [first, third, second]
    segmentation.choose(first)
    segmentation.press(Qt.Key.Key_Q)
    assert segmentation.session.image == third
    box.click()
    assert order() == [first, second, third]
    segmentation.widget.files.close_set()
    assert model._wanted == ()


def test_what_is_painted_while_a_run_goes_on_is_kept(segmentation):
    key = segmentation.session.image
    segmentation.engine.go.clear()
    segmentation.press_button(segmentation.widget.segment_all_button)
    wait_until(lambda: segmentation.engine.asked)
    layer = segmentation.mask_layer
    layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    layer.mode = "pan_zoom"
    painted = np.array(layer.data)
    segmentation.engine.go.set()
    wait_until(lambda: not segmentation.widget.segmenting.jobs.is_busy)
    assert (segmentation.session.folder.held(key) == painted).all()
    assert sum(item.has_mask for item in segmentation.store.as_dict().values()) == 3


def test_what_is_painted_after_segment_was_pressed_is_kept_too(segmentation, monkeypatch):
    key = segmentation.session.image
    asked = answering(monkeypatch, True)
    for is_asked in (False, True):
        segmentation.engine.go.clear()
        segmentation.engine.asked.clear()
        segmentation.press_button(segmentation.widget.segment_button)
        assert len(asked) == is_asked
        wait_until(lambda: segmentation.engine.asked)
        segmentation.mask_layer.mode = "paint"
        y = 80 + 20 * is_asked
        segmentation.paint((40, y), (100, y))
        segmentation.mask_layer.mode = "pan_zoom"
        painted = np.array(segmentation.mask_layer.data)
        segmentation.engine.go.set()
        wait_until(lambda: not segmentation.widget.segmenting.jobs.is_busy)
        assert (segmentation.session.folder.held(key) == painted).all()
        assert (segmentation.mask_layer.data == painted).all()
        assert "Left as you edited it: eye0.png" in segmentation.widget.status.text()


def test_a_set_that_cannot_be_saved_is_not_closed_unasked(segmentation, monkeypatch):
    segmentation.mask_layer.mode = "paint"
    folder = segmentation.session.folder
    away = folder.folder.rename(folder.folder.with_suffix(".away"))
    segmentation.mask_layer.data[80, 40:60] = 1
    segmentation.mask_layer.refresh()
    wait_until(lambda: folder.save_error)
    wait_until(lambda: "Changes cannot be saved" in segmentation.widget.error.text())
    asked = answering(monkeypatch, False)
    assert not segmentation.widget.files.close_set()
    assert "was deleted or moved" in asked[0]
    assert segmentation.session.folder is folder
    assert not folder.is_closed
    segmentation.mask_layer.data[90, 40:60] = 1  # one can go on
    segmentation.mask_layer.refresh()
    wait_until(lambda: not segmentation.widget.layers.is_waiting)
    out = folder.folder.parent / "out"
    segmentation.widget.exchange.save(out)
    both = "They are kept in memory. 1 mask written to"
    wait_until(lambda: both in segmentation.widget.error.text())
    away.rename(folder.folder)
    wait_until(lambda: not folder.save_error)
    wait_until(lambda: not segmentation.widget.error.text())
    assert segmentation.widget.files.close_set()
    with MaskFolder.open(folder.folder) as again:
        mask = read_class_file(again.mask_file(1))
    assert mask[80, 50] == mask[90, 50] == 1


def test_a_file_that_cannot_be_opened_is_still_told_when_the_others_are_shown(
    segmentation_window, tmp_path
):
    world = segmentation_window
    world.begin(tmp_path, count=0)
    write_pictures(tmp_path / "others", 2)
    (tmp_path / "others" / "empty.png").write_bytes(b"")
    world.open(tmp_path / "others")
    assert "empty.png" in world.widget.error.text()
    world.widget.files.add_paths([tmp_path / "others" / "eye0.png"])
    wait_until(lambda: not world.widget.files.is_busy)
    assert "All are in the set already." in world.widget.status.text()


def test_a_first_image_that_cannot_be_shown_is_told_beside_files_that_could_not_be_opened(
    segmentation_window, tmp_path
):
    world = segmentation_window
    world.begin(tmp_path, count=0)
    paths = write_pictures(tmp_path / "others", 3)
    (tmp_path / "others" / "empty.png").write_bytes(b"")
    paths[0].write_bytes(paths[0].read_bytes()[:-60])  # its header can be read
    world.open(tmp_path / "others")
    assert world.session.item.name == "eye1.png"
    for _ in range(2):
        assert "empty.png" in world.widget.error.text()
        assert "eye0.png" in world.widget.error.text()
        world.settle(0.6)  # it looks whether all is saved
    world.choose(list(world.store)[2])
    assert "empty.png" in world.widget.error.text()
    assert "eye0.png" not in world.widget.error.text()
    world.session.choose(next(iter(world.store)))
    wait_until(lambda: "eye0.png" in world.widget.error.text())
    assert "empty.png" in world.widget.error.text()
    world.choose(list(world.store)[1])
    assert "eye0.png" not in world.widget.error.text()


def test_a_folder_without_images_says_what_is_due(segmentation, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "heart.mha").write_bytes(b"")
    segmentation.widget.files.add_paths([tmp_path / "scans"])
    wait_until(lambda: segmentation.widget.error.text())
    words = segmentation.widget.error.text()
    assert "no images in" in words
    assert "Choose a folder of PNG, JPEG, TIFF, WebP, BMP, GIF, PDF or NIfTI files." in words


def test_a_set_that_is_closed_while_it_is_segmented_leaves_no_words(segmentation):
    segmentation.engine.go.clear()
    segmentation.press_button(segmentation.widget.segment_all_button)
    wait_until(lambda: segmentation.engine.asked)
    place = segmentation.session.folder.folder
    segmentation.widget.files.close_set()
    wait_until(lambda: not segmentation.widget.segmenting.jobs.is_busy)
    segmentation.settle()
    assert not segmentation.widget.status.text()
    assert not segmentation.widget.error.text()
    segmentation.engine.go.set()
    segmentation.widget.files.open(place)
    wait_until(lambda: not segmentation.widget.files.is_busy)
    segmentation.wait_shown()
    assert len(segmentation.store) == 3


def test_cancel_keeps_what_is_finished(segmentation):
    segmentation.segment()
    segmentation.engine.go.clear()
    segmentation.press_button(segmentation.widget.segment_all_button)
    wait_until(lambda: len(segmentation.engine.asked) == 2)
    segmentation.press_button(segmentation.widget.segmenting.jobs._cancel)
    wait_until(lambda: not segmentation.widget.segmenting.jobs.is_busy)
    assert [item.has_mask for item in segmentation.store.as_dict().values()] == [True, False, False]
    assert "Stopped." in segmentation.widget.status.text()


def test_the_same_folder_brings_the_masks_back(segmentation, tmp_path, monkeypatch):
    segmentation.segment(every=True)
    segmentation.mask_layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    segmentation.mask_layer.mode = "pan_zoom"
    painted = np.array(segmentation.mask_layer.data)
    segmentation.widget.files.close_set()
    assert not any(layer.visible for layer in segmentation.viewer.layers)
    segmentation.open(tmp_path / "eyes")
    assert (segmentation.mask_layer.data == painted).all()
    answering(monkeypatch, True)
    segmentation.segment()  # undo brings back what was painted in another session
    assert (segmentation.mask_layer.data == truth(0)).all()
    segmentation.press(Qt.Key.Key_Z, CONTROL)
    segmentation.wait_saved()
    assert (segmentation.session.folder.held(segmentation.session.image) == painted).all()
    assert [item.is_edited for item in segmentation.store.as_dict().values()] == [
        True,
        False,
        False,
    ]


def test_more_images_than_layers_keep_their_masks_and_never_share_undo(
    segmentation_window, tmp_path
):
    world = segmentation_window
    world.begin(tmp_path, count=6)
    world.segment(every=True)
    keys = list(world.store)
    for key in keys:
        world.choose(key)
    labels = [layer for layer in world.viewer.layers if layer.name.endswith(" mask")]
    assert len(labels) == 4
    for number, key in enumerate(keys):
        world.choose(key)
        world.press(Qt.Key.Key_Z, CONTROL)
        world.wait_saved()
        assert (world.mask_layer.data == truth(number)).all()


def test_no_layer_stays_of_images_that_are_closed_or_taken_off(segmentation, tmp_path):
    keys = list(segmentation.store)
    for key in keys:
        segmentation.choose(key)
    assert len(segmentation.viewer.layers) == 6
    segmentation.session.folder.remove_images(keys[:2])
    wait_until(lambda: len(segmentation.viewer.layers) == 2)
    assert [one.name for one in segmentation.viewer.layers] == ["eye2.png", "eye2.png mask"]
    segmentation.mask_layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    painted = segmentation.mask_layer.data.copy()
    assert painted.any()
    segmentation.widget.files.close_set()
    wait_until(lambda: not segmentation.viewer.layers)
    segmentation.open(tmp_path / "eyes")
    segmentation.choose(
        next(key for key, item in segmentation.store.as_dict().items() if item.has_mask)
    )
    assert (segmentation.mask_layer.data == painted).all()
    assert segmentation.mask_layer.mode == "paint"  # what was in hand is so still


def test_a_layer_that_was_deleted_comes_back_with_its_mask(segmentation):
    segmentation.segment()
    first, second, _ = segmentation.store
    segmentation.viewer.layers.remove(segmentation.mask_layer)
    segmentation.choose(second)
    segmentation.choose(first)
    assert (segmentation.mask_layer.data == truth(0)).all()


def test_a_set_whose_first_image_is_broken_shows_the_next(segmentation, tmp_path):
    segmentation.widget.files.close_set()
    paths = write_pictures(tmp_path / "others", 2)
    paths[0].write_bytes(paths[0].read_bytes()[:60])
    segmentation.open(tmp_path / "others")
    broken, second = segmentation.store
    wait_until(lambda: segmentation.session.image == second)
    segmentation.wait_shown()
    assert segmentation.widget.layers.layer(second) is not None
    assert "eye0.png" in segmentation.session.problems[broken]


def test_an_image_is_tried_again_where_the_compute_process_was_killed(segmentation):
    segmentation.engine.kills = ["eye1.png"]
    segmentation.segment(every=True)
    words = "3 images segmented. The compute process ended once and began anew."
    assert segmentation.widget.status.text().startswith(words)
    assert not segmentation.widget.error.text()
    segmentation.engine.kills = ["eye1.png"] * 2
    segmentation.segment(every=True)
    ended = "The compute process ended once and began anew. 1 failed: The compute process ended"
    assert ended in segmentation.widget.error.text()
    assert list(segmentation.session.problems) == [list(segmentation.store)[1]]
    segmentation.segment(every=True)
    assert not segmentation.session.problems


def test_what_cannot_be_segmented_is_told_and_the_others_go_on(segmentation):
    segmentation.engine.bad = {"eye1.png"}
    segmentation.segment(every=True)
    words = "2 images segmented. 1 failed: eye1.png is too small."
    assert segmentation.widget.error.text() == words
    assert [item.has_mask for item in segmentation.store.as_dict().values()] == [True, False, True]
    segmentation.engine.bad, segmentation.engine.refusal = set(), "Model 'x' segments nothing."
    segmentation.press_button(segmentation.widget.segment_button)
    jobs = segmentation.widget.segmenting.jobs
    wait_until(lambda: not jobs.is_busy)
    assert jobs._error.text() == "Model 'x' segments nothing."
    jobs.show_error("")


def test_regions_have_the_same_colours_in_all_images(segmentation):
    first, second, _ = segmentation.store
    segmentation.widget.regions_box.setChecked(True)
    view = segmentation.widget.regions
    wait_until(lambda: not view.is_busy and view.layer is not None)
    colors = [view.layer.get_color(number) for number in (1, 2)]
    assert (view.layer.data == truth(0) + 1).all()
    layers = segmentation.viewer.layers
    order = [layers.index(layer) for layer in (view.layer, segmentation.mask_layer)]
    image = layers.index(segmentation.widget.layers.image_layer(first))
    assert image < order[0] < order[1]
    segmentation.choose(second)
    wait_until(lambda: (view.layer.data == truth(1) + 1).all())
    assert all((view.layer.get_color(n) == c).all() for n, c in zip((1, 2), colors, strict=True))
    assert not view.layer.editable
    segmentation.choose(first)
    assert segmentation.engine.asked.count("regions of eye0.png") == 1
    view.forget()  # the model was trained again
    wait_until(lambda: segmentation.engine.asked.count("regions of eye0.png") == 2)
    wait_until(lambda: not view.is_busy)
    segmentation.widget.regions_box.setChecked(False)
    assert not view.layer.visible
    view.forget()
    segmentation.widget.regions_box.setChecked(True)
    segmentation.widget.regions_box.setChecked(False)
    assert "Looking" not in segmentation.widget.status.text()


def test_a_model_without_regions_is_refused_in_words(segmentation):
    segmentation.engine.refusal = "Model 'x' has no regions."
    segmentation.widget.regions_box.setChecked(True)
    wait_until(lambda: not segmentation.widget.regions_box.isChecked())
    assert segmentation.widget.error.text() == "Model 'x' has no regions."


def test_masks_are_saved_as_class_numbers_and_nothing_is_overwritten_unasked(
    segmentation, tmp_path, monkeypatch
):
    segmentation.segment(every=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "eye1.png").write_bytes(b"mine")
    asked = answering(monkeypatch, False)
    segmentation.widget.exchange.save(out)
    assert "1 of 3 files are in" in asked[0]
    assert [path.name for path in out.iterdir()] == ["eye1.png"]
    answering(monkeypatch, True)
    segmentation.widget.exchange.save(out)
    wait_until(lambda: not segmentation.widget.exchange.is_busy)
    for number in range(3):
        assert (read_class_file(out / f"eye{number}.png") == truth(number)).all()
    segmentation.widget.exchange.save(tmp_path / "eyes")
    assert "is one of your images and would be overwritten" in segmentation.widget.error.text()
    assert (np.asarray(Image.open(tmp_path / "eyes" / "eye0.png")) == picture(0)).all()


def test_areas_are_exported_in_pixels_and_mm2(segmentation, tmp_path):
    exchange = segmentation.widget.exchange
    exchange.export(tmp_path / "areas.csv")
    assert "No image has a mask yet" in segmentation.widget.error.text()
    segmentation.segment()
    exchange.set_spacing(0.1)
    exchange.export(tmp_path / "areas.csv")
    wait_until(lambda: not exchange.is_busy)
    with (tmp_path / "areas.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["image"], r["name"], r["area_px"], r["area_mm2"]) for r in rows] == [
        ("eye0.png", "vessel", "1000", "10.0")
    ]
    table = segmentation.widget.areas
    wait_until(
        lambda: not table.is_waiting and table.rowCount() and table.item(0, 2).text() == "10"
    )
    table.item(0, 0).setText("artery")
    wait_until(lambda: segmentation.store[segmentation.session.image].classes == ("artery",))


def test_a_class_is_added_named_coloured_painted_and_kept(segmentation, tmp_path):
    _, second, _ = segmentation.store
    panel, table = segmentation.widget.classes, segmentation.widget.areas
    segmentation.widget.model.choose("retina-vessels")
    segmentation.press_button(panel.add_button)  # before a mask: number 1 is the model's
    assert segmentation.mask_layer.selected_label == 2
    editor = table.findChild(QLineEdit)
    QTest.keyClicks(editor, "drusen")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    segmentation.session.color_class(2, "#ff8800")
    segmentation.segment()
    wait_until(lambda: not table.is_waiting and table.rowCount() == 2)
    assert [table.item(row, 0).text() for row in (0, 1)] == ["vessel", "drusen"]
    assert segmentation.mask_layer.colormap.map(2)[:3] == pytest.approx((1, 136 / 255, 0), abs=0.01)
    segmentation.mask_layer.mode = "paint"
    segmentation.paint((40, 80), (100, 80))
    assert segmentation.mask_layer.data[80, 70] == 2
    segmentation.choose(second)  # the tool stays in hand, and the class is there
    assert (segmentation.mask_layer.mode, segmentation.mask_layer.selected_label) == ("paint", 2)
    told = list(segmentation.mask_layer.features["class"])
    assert told[:4] == ["", "vessel", "drusen", "class 3"]
    segmentation.mask_layer.mode = "pan_zoom"
    exchange = segmentation.widget.exchange
    exchange.export(tmp_path / "areas.csv")
    exchange.save(tmp_path / "out")
    wait_until(lambda: not exchange.is_busy)
    with (tmp_path / "areas.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["class"], r["name"], r["area_px"] != "0") for r in rows] == [
        ("1", "vessel", True),
        ("2", "drusen", True),
    ]
    assert set(np.unique(read_class_file(tmp_path / "out" / "eye0.png"))) == {0, 1, 2}
    segmentation.wait_saved()
    folder = segmentation.session.folder.folder
    segmentation.widget.files.close_set()
    assert table.rowCount() == 0
    segmentation.widget.files.open(folder)
    wait_until(lambda: table.rowCount() == 2)
    assert segmentation.session.class_colors() == {2: "#ff8800"}
    segmentation.wait_shown()


def test_the_first_class_is_number_1_and_a_model_that_has_another_one_is_asked_about(
    segmentation, monkeypatch
):
    asked = answering(monkeypatch, False)
    segmentation.press_button(segmentation.widget.classes.add_button)  # nobody chose a model
    assert segmentation.mask_layer.selected_label == 1
    editor = segmentation.widget.areas.findChildren(QLineEdit)[-1]
    QTest.keyClicks(editor, "drusen")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait_until(lambda: segmentation.session.folder.classes[1].name == "drusen")
    segmentation.press_button(segmentation.widget.segment_button)
    assert asked[0].startswith("Class 1 is 'drusen', which you added. 'retina-vessels' finds")
    assert not segmentation.engine.asked
    asked = answering(monkeypatch, True)
    segmentation.segment()
    segmentation.segment(every=True)  # once is enough
    assert len(asked) == 1
    assert all(item.has_mask for item in segmentation.store.as_dict().values())


def test_no_page_is_wider_than_the_dock(segmentation):
    pages = segmentation.widget.pages
    for number in range(pages.count()):
        pages.setCurrentIndex(number)
        scroll = pages.currentWidget()
        page, view = scroll.widget(), scroll.viewport()
        wait_until(lambda page=page, view=view: page.width() == view.width())
    pages.setCurrentIndex(0)


def test_a_click_on_a_class_takes_its_brush_and_the_brush_marks_its_class(segmentation):
    segmentation.segment()
    table, panel = segmentation.widget.areas, segmentation.widget.classes
    segmentation.session.add_class()
    wait_until(lambda: not table.is_waiting and table.rowCount() == 2)
    place = table.visualItemRect(table.item(1, 1)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert segmentation.mask_layer.selected_label == 2
    segmentation.mask_layer.selected_label = 1
    assert table.marked == 1
    segmentation.press_button(panel.remove_button)
    assert "Class 1 is one of retina-vessels" in segmentation.widget.error.text()
    table.item(1, 0).setText("Vessel")
    assert "Class 1 is called 'vessel' already" in segmentation.widget.error.text()
    wait_until(lambda: not table.is_waiting and table.item(1, 0).text() == "class 2")
    segmentation.mask_layer.selected_label = 2
    segmentation.press_button(panel.remove_button)
    assert table.rowCount() == 1


def test_who_adds_a_class_is_told_how_to_paint(segmentation):
    widget = segmentation.widget
    assert widget.help.isHidden()
    segmentation.press_button(widget.classes.add_button)
    assert not widget.help.isHidden()
    assert "2 brush, 3 polygon, 4 fill" in widget.help.text()


def test_keys_act_after_a_click_on_an_image_or_a_class(segmentation):
    """What has the focus then would look for a row that begins with the letter."""
    widget = segmentation.widget
    segmentation.press_button(widget.classes.add_button)
    name = widget.areas.findChild(QLineEdit)
    QTest.keyClicks(name, "bar")
    QTest.keyClick(name, Qt.Key.Key_Return)
    key = list(segmentation.store)[1]
    for view, row in ((widget.list.view, 1), (widget.areas, 0)):
        place = view.visualRect(view.model().index(row, 0)).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        view.setFocus()  # as a click does in a window that is in front
        segmentation.wait_shown()
        assert segmentation.session.image == key
        for letter, mode in (("2", "paint"), ("4", "fill"), ("6", "pan_zoom")):
            QTest.keyClick(view, letter)
            assert segmentation.mask_layer.mode == mode
        QTest.keyClick(view, "h")
        assert not segmentation.mask_layer.visible
        QTest.keyClick(view, "h")
    for box in (widget.model.box, widget.list.states, widget.classes.whole.table):
        assert box.focusPolicy() in (Qt.FocusPolicy.NoFocus, Qt.FocusPolicy.TabFocus)


def test_a_page_gets_its_height_and_what_is_cut_off_can_be_scrolled(segmentation):
    segmentation.segment()
    panel, parts = segmentation.widget.classes, segmentation.widget.parts
    for name in ("drusen", "fovea"):
        segmentation.press_button(panel.add_button)
        segmentation.widget.areas.findChildren(QLineEdit)[-1].setText(name)
    panel.areas.take_name()
    wait_until(lambda: not panel.areas.is_waiting and panel.areas.rowCount() == 3)
    assert [panel.areas.item(row, 0).text() for row in range(3)] == ["vessel", "drusen", "fovea"]
    scroll = parts.pages.currentWidget()
    wait_until(lambda: not scroll.verticalScrollBar().maximum())
    assert panel.areas.geometry().bottom() < panel.add_button.geometry().top()
    segmentation.viewer.window.resize(900, 480)
    wait_until(lambda: scroll.verticalScrollBar().maximum())
    parts.reveal(segmentation.widget.export_button)
    button = segmentation.widget.export_button
    wait_until(lambda: not button.visibleRegion().isEmpty())
    segmentation.viewer.window.resize(1100, 700)


def test_two_tables_asked_for_at_once_are_both_written(segmentation, tmp_path):
    segmentation.segment()
    exchange = segmentation.widget.exchange
    for name in ("a.csv", "b.csv", "c.csv"):
        exchange.export(tmp_path / name)
    exchange.save(tmp_path / "out")
    wait_until(lambda: not exchange.is_busy)
    for name in ("a.csv", "b.csv", "c.csv", "out/eye0.png"):
        assert (tmp_path / name).is_file()


def test_layers_of_the_viewer_are_segmented_where_they_lie(segmentation_window, tmp_path):
    world = segmentation_window
    world.begin(tmp_path, count=0)
    layer = world.viewer.add_image(
        picture(1), rgb=True, name="scan", scale=(0.5, 0.5), translate=(7, 9)
    )
    layer.units = ("mm", "mm")
    world.viewer.layers.selection = {layer}
    world.widget.files.add_layers()
    wait_until(lambda: not world.widget.files.is_busy and len(world.store) == 1)
    world.wait_shown()
    assert not layer.visible
    world.segment()
    assert (world.mask_layer.data == truth(1)).all()
    # In microns, as slides are: napari brings lengths together, and warns of pixels beside them.
    assert [str(unit) for unit in world.mask_layer.units] == ["micrometer", "micrometer"]
    assert tuple(world.mask_layer.scale) == (500, 500)
    assert tuple(world.mask_layer.translate) == (7000, 9000)
    assert world.store[world.session.image].spacing_mm == (0.5, 0.5)
    world.viewer.layers.remove(layer)
    folder = world.session.folder.folder
    world.widget.files.close_set()
    with MaskFolder.open(folder) as again:  # its pixels are kept, too
        (item,) = again.store.as_dict().values()
        assert (np.asarray(Image.open(item.source)) == picture(1)).all()


def test_an_image_that_is_gone_is_told_and_the_mask_stays(segmentation, tmp_path):
    segmentation.segment(every=True)
    segmentation.widget.files.close_set()
    segmentation.paths[0].unlink()
    folder = next((tmp_path / "sets").glob("*.masks"))
    segmentation.widget.files.open(folder)
    wait_until(lambda: segmentation.widget.error.text())
    assert "eye0.png" in segmentation.widget.error.text()
    first = next(iter(segmentation.store))
    assert segmentation.store[first].has_mask
    write_pictures(tmp_path / "eyes")


def test_removing_an_image_asks_if_it_has_a_mask(segmentation, monkeypatch):
    segmentation.segment()
    asked = answering(monkeypatch, False)
    segmentation.widget.exchange.remove_current()
    assert "goes with it" in asked[0]
    assert len(segmentation.store) == 3
    answering(monkeypatch, True)
    segmentation.widget.exchange.remove_current()
    segmentation.wait_shown()
    assert len(segmentation.store) == 2


def test_no_command_raises(segmentation, monkeypatch):
    """What cannot be done is told."""
    from napari_medssl.widgets.segmentation import mask_exchange
    from napari_medssl.widgets.segmentation.commands import COMMANDS

    for ask in ("getOpenFileName", "getSaveFileName", "getOpenFileNames"):
        empty = [] if ask.endswith("s") else ""
        monkeypatch.setattr(QFileDialog, ask, lambda *_, empty=empty: (empty, ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    monkeypatch.setattr(mask_exchange.QInputDialog, "getDouble", lambda *_, **__: (0.0, False))
    answering(monkeypatch, False)
    for command in COMMANDS.values():
        command.run(segmentation.widget)
        segmentation.settle(0.02)
    wait_until(lambda: not segmentation.widget.segmenting.jobs.is_busy)
    segmentation.widget.regions_box.setChecked(False)
    for dialog in segmentation.widget.findChildren(questions.QWidget):
        if dialog.isWindow():
            dialog.close()
