"""Paint a few masks, get the rest: training from painted masks in a real window."""

from __future__ import annotations

import pickle
import sys
import threading

import numpy as np
import pytest
from painted_world import DirectEngine, disk, write_disks
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from segmentation_world import wait_until
from separation_world import NO_KEYS

from napari_medssl._errors import UserError
from napari_medssl.backend import training
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import load_card
from napari_medssl.backend.training_workspace import Workspace, in_use, unfinished
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.segmentation import trainer

pytestmark = pytest.mark.gui
LEARNS = "napari_medssl.backend.train_action"


@pytest.fixture
def painted(segmentation_window, tmp_path):
    """The widget with six pictures of disks, and the backend as its engine."""
    world = segmentation_window
    world.begin(tmp_path, count=0)
    write_disks(tmp_path / "cells")
    world.open(tmp_path / "cells")
    former, engine = world.widget.segmenting._engine, DirectEngine()
    world.widget.segmenting._engine = world.widget.uncertainty._engine = engine
    panel = world.widget.training
    world.widget.begin_training()
    panel.kinds.setCurrentIndex(0)
    panel.trainer.quick.setChecked(False)
    panel.jobs.show_error("")
    panel.name.setText("cells")
    yield world
    panel.jobs.cancel()
    world.widget.segmenting.jobs.cancel()
    wait_until(lambda: not (panel.jobs.is_busy or world.widget.segmenting.jobs.is_busy))
    world.widget.doubt_box.setChecked(False)
    world.widget.list.order_box.setChecked(False)
    world.widget.segmenting._engine = world.widget.uncertainty._engine = former


def paint(world, number, value=1):
    """Paint the disk of a picture, as filling does."""
    keys = list(world.store)
    world.choose(keys[number])
    due = disk(number).astype(np.uint8) * np.uint8(value)
    where = np.nonzero(world.mask_layer.data != due)  # also of what a model made there
    world.mask_layer.data_setitem(where, due[where])
    wait_until(lambda: world.store[keys[number]].is_edited)
    world.wait_saved()


def train(world, button=None):
    panel = world.widget.training
    world.widget.begin_training()
    world.settle()
    world.press_button(button or panel.train_button)
    wait_until(lambda: not panel.jobs.is_busy)
    wait_until(lambda: not world.widget.segmenting.jobs.is_busy)
    world.settle()


def test_two_painted_of_six_train_a_model_and_the_others_get_its_masks(painted, tmp_path):
    panel = painted.widget.training
    assert panel.trainer.key == "painted"
    for number in (0, 1):
        paint(painted, number)
    keys = list(painted.store)
    train(painted)
    assert not panel.jobs._error.text()
    out = tmp_path / "models" / "cells.safetensors"
    card = load_card(out)
    assert card.config["classes"] == ["class 1"]
    assert (card.metrics["labelled_images"], card.metrics["unlabelled_images"]) == (2, 4)
    assert painted.widget.model.name == str(out)
    items = painted.store
    assert [items[key].is_edited for key in keys] == [True, True, False, False, False, False]
    assert all(items[key].model == "cells" for key in keys[2:])
    assert all(items[key].uncertainty is not None for key in keys[2:])
    for number in (0, 1):
        assert (painted.session.folder.held(keys[number]) == disk(number)).all()
    assert [step for step, _ in panel.curve.points("loss")] == [1, 2, 3]
    assert not list((tmp_path / "models" / "training").iterdir())
    config = painted.painted.jobs[0].config
    assert (config.stages, config.minutes, config.start) == ("anatomical", 5.0, "imagenet")
    assert str(tmp_path) not in out.with_suffix(".json").read_text("utf-8")
    painted.widget.export.write_methods(tmp_path / "methods.md")
    wait_until(lambda: not painted.widget.export.jobs.is_busy)
    assert "Methods written to" in painted.widget.status.text()
    assert "2 labelled images and 4 unlabelled images" in (tmp_path / "methods.md").read_text()


def test_what_trains_is_imported_in_the_process_that_trains_alone(painted, monkeypatch):
    """An import holds the lock of Python, in whatever thread, and with it the window."""
    sent = []

    def run_in_child(work, config, **_):
        sent.append(pickle.dumps((work, config)))
        raise Cancelled

    monkeypatch.setattr(training, "run_in_child", run_in_child)
    monkeypatch.setattr(painted.widget.training, "_work", trainer.run_training)
    paint(painted, 0)
    monkeypatch.delitem(sys.modules, LEARNS, raising=False)
    painted.press_button(painted.widget.training.train_button)
    wait_until(lambda: not painted.widget.training.jobs.is_busy)
    (packed,) = sent
    assert LEARNS not in sys.modules
    assert b"train_action:train_action" in packed


def test_while_the_process_starts_no_time_left_is_told(painted, monkeypatch):
    """The last of the images was collected: "0 s left" of that would stand there for seconds."""
    words, go = [], threading.Event()

    def run_in_child(*_, **__):
        go.wait(60)
        raise Cancelled

    monkeypatch.setattr(training, "run_in_child", run_in_child)
    panel = painted.widget.training
    monkeypatch.setattr(panel, "_work", trainer.run_training)
    paint(painted, 0)
    panel.jobs.progressed.connect(lambda progress: words.append(progress.message))
    painted.press_button(panel.train_button)
    wait_until(lambda: words and words[-1] != "collecting the images")
    assert panel.jobs._words.text() == "starting the process that learns"
    assert panel.jobs._bar.maximum() == 0
    go.set()
    wait_until(lambda: not panel.jobs.is_busy)


def test_the_next_training_begins_with_the_model_of_this_set_and_asks_nothing(
    painted, tmp_path, monkeypatch
):
    paint(painted, 0)
    train(painted)
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: asked.append(text))
    paint(painted, 3)
    painted.widget.training.trainer.quick.setChecked(True)
    train(painted)
    first, second = painted.painted.jobs
    assert (len(first.painted.labelled), len(second.painted.labelled)) == (1, 2)
    assert second.config.start == str(tmp_path / "models" / "cells.safetensors")
    assert (second.config.stages, second.config.minutes) == ("supervised", 0.7)
    assert not asked
    assert (painted.session.folder.held(next(iter(painted.store))) == disk(0)).all()


def test_a_class_renamed_after_a_training_has_its_new_name_in_masks_to_come(painted, tmp_path):
    session = painted.session
    session.name_class(session.add_class(), "disk")
    paint(painted, 0)
    train(painted)
    keys = list(painted.store)
    session.name_class(1, "nucleus")
    painted.choose(keys[2])
    painted.segment()
    assert {item.classes for item in painted.store.as_dict().values()} == {(), ("nucleus",)}
    paint(painted, 3)
    painted.widget.training.trainer.quick.setChecked(True)
    train(painted)
    assert painted.painted.jobs[1].config.start == str(tmp_path / "models" / "cells.safetensors")
    assert load_card(tmp_path / "models" / "cells.safetensors").config["classes"] == ["nucleus"]


def test_stop_and_keep_gives_the_model_as_it_is(painted, tmp_path):
    paint(painted, 0)
    painted.painted.is_held = True
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    wait_until(lambda: painted.painted.done)
    painted.settle()
    painted.press_button(panel.stop_button)
    wait_until(lambda: len(painted.painted.jobs) == 2 and not panel.jobs.is_busy)
    wait_until(lambda: not painted.widget.segmenting.jobs.is_busy)
    card = load_card(tmp_path / "models" / "cells.safetensors")
    assert card.recipe.steps == 1
    assert "Stopped early: 1 of 3 steps were taken." in panel.words.text()
    assert not unfinished(tmp_path / "models")
    assert painted.store[list(painted.store)[5]].model == "cells"


def test_a_pause_keeps_it_to_go_on_or_to_use_as_it_is(painted, tmp_path):
    paint(painted, 0)
    painted.painted.is_held = True
    painted.painted.changes = {"preview_every": 1}
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    wait_until(lambda: painted.painted.done)
    wait_until(lambda: panel.preview.has_picture)
    assert (tmp_path / "models" / "cells.preview.png").is_file()
    assert panel.jobs._cancel.text() == "Pause"
    painted.press_button(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy)
    assert panel.words.text().startswith("Paused.")
    assert panel.stopped.text().startswith("'cells' was stopped after 1")
    assert panel.keep_button.isVisible()
    assert panel.go_on_button.isVisible()
    painted.painted.is_held = False
    train(painted, panel.go_on_button)
    assert painted.painted.done == [1, 2, 3]
    assert [step for step, _ in panel.curve.points("loss")] == [1, 2, 3]  # all of it
    assert not (tmp_path / "models" / "cells.preview.png").exists()
    assert (tmp_path / "models" / "cells.safetensors").is_file()


def test_nothing_is_shown_any_more_of_a_training_that_is_discarded(painted, tmp_path, monkeypatch):
    paint(painted, 0)
    painted.painted.is_held = True
    painted.painted.changes = {"preview_every": 1}
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    wait_until(lambda: painted.painted.done and panel.preview.has_picture)
    painted.press_button(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy)
    assert panel.curve.isVisible()
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: not asked.append(text))
    painted.press_button(panel.discard_button)
    assert asked == ["Delete what 'cells' has learnt in 1 step?"]
    assert not list((tmp_path / "models").glob("cells*"))
    shown = (panel.curve, panel.preview, panel.go_on_button, panel.discard_button)
    assert not any(part.isVisible() for part in shown)
    assert not panel.words.text()
    painted.painted.is_held = False
    train(painted)
    assert [step for step, _ in panel.curve.points("loss")] == [1, 2, 3]


def test_nothing_painted_says_what_to_do(painted):
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    assert "No mask is painted yet." in panel.jobs._error.text()
    paint(painted, 0)
    painted.mask_layer.data_setitem(np.nonzero(disk(0)), 0)  # all erased again
    painted.wait_saved()
    train(painted)
    assert "No mask is painted yet." in panel.jobs._error.text()
    assert panel.curve.isHidden() is not panel.curve.has_points  # nothing was learnt
    paint(painted, 1, 40)
    train(painted)
    assert "Class 40 came; a model learns the classes 1 to 31." in panel.jobs._error.text()


def test_a_training_of_another_window_is_told_of_before_any_question(
    painted, tmp_path, monkeypatch
):
    """Whether it may be replaced is not theirs to say; and nothing runs here then."""
    paint(painted, 0)
    panel = painted.widget.training
    asked, other = [], Workspace("cells", tmp_path / "models")
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: not asked.append(text))
    other.models.mkdir(exist_ok=True)
    other.checkpoint.write_bytes(b"of the other window")
    with in_use(other):
        train(painted)
    assert "'cells' is being trained by another program" in panel.jobs._error.text()
    assert not asked
    assert other.checkpoint.exists()
    assert not painted.painted.jobs

    def fails(job, **_):
        raise UserError("It ran out of memory.")

    monkeypatch.setattr(painted, "painted", fails)
    train(painted)
    assert asked
    assert panel.jobs._error.text() == "It ran out of memory."
    assert not panel.words.text()


def press(world, key):
    world.viewer.layers.selection.active = world.mask_layer
    QTest.keyClick(world.canvas, key)
    world.settle()


def state(world, number):
    return world.widget.list.model.state(list(world.store)[number])


def test_accept_reject_and_next_go_through_predictions_by_keys(painted):
    paint(painted, 0)
    train(painted)
    keys = list(painted.store)
    painted.choose(keys[0])
    doubts = {key: painted.store[key].uncertainty for key in keys[1:]}
    order = sorted(doubts, key=doubts.get, reverse=True)
    press(painted, Qt.Key.Key_Q)
    assert painted.session.image == order[0]
    painted.wait_shown()
    made = painted.mask_layer.data.copy()
    press(painted, Qt.Key.Key_A)
    assert painted.store[order[0]].review == "accepted"
    assert painted.session.image == order[1]
    painted.wait_shown()
    press(painted, Qt.Key.Key_D)
    assert painted.store[order[1]].review == "rejected"
    assert not painted.mask_layer.data.any()
    assert not painted.store[order[1]].has_mask
    press(painted, Qt.Key.Key_D)  # brings it back
    painted.wait_shown()
    assert painted.store[order[1]].is_prediction
    wait_until(lambda: painted.widget.layers.front == order[1])
    press(painted, Qt.Key.Key_D)
    assert painted.widget.review.reject_button.text() == "Bring back"
    wait_until(lambda: "4 to review" in painted.widget.review.words.text())
    assert {state(painted, keys.index(key)) for key in order[:2]} == {
        "\N{CHECK MARK} accepted",
        "\N{BALLOT X} rejected",
    }
    painted.widget.list.order_box.click()
    model = painted.widget.list.model
    due = [*order[2:], order[1], keys[0], order[0]]  # those to review first, labels last
    assert [model.key_at(row) for row in range(len(keys))] == due
    painted.widget.list.order_box.click()
    # What was accepted is learnt from, and left as it is; what was rejected is made anew.
    train(painted)
    job = painted.painted.jobs[-1]
    assert len(job.painted.labelled) == 2
    assert painted.store[order[0]].review == "accepted"
    painted.choose(order[0])
    assert (painted.mask_layer.data == made).all()
    assert painted.store[order[1]].is_prediction
    press(painted, Qt.Key.Key_A)  # not accepted any more
    assert painted.store[order[0]].is_prediction


CTRL = Qt.KeyboardModifier.ControlModifier


def undo(world):
    world.viewer.layers.selection.active = world.mask_layer
    QTest.keyClick(world.canvas, Qt.Key.Key_Z, CTRL)
    world.settle()
    world.wait_saved()


def test_a_stroke_that_is_taken_back_is_not_learnt_from(painted):
    """A slip of the brush and Ctrl+Z: else the image would be learnt as empty."""
    painted.widget.pages.setCurrentIndex(0)
    paint(painted, 0)
    keys = list(painted.store)
    painted.choose(keys[1])
    press(painted, Qt.Key.Key_2)
    painted.paint((30, 30), (50, 50))
    assert state(painted, 1) == "edited by you"
    undo(painted)
    assert not painted.mask_layer.data.any()
    assert state(painted, 1) == "no mask"
    train(painted)
    (job,) = painted.painted.jobs
    assert len(job.painted.labelled) == 1
    assert painted.store[keys[1]].is_prediction
    painted.choose(keys[2])
    press(painted, Qt.Key.Key_A)
    painted.choose(keys[2])
    press(painted, Qt.Key.Key_2)
    painted.paint((70, 70), (85, 85))
    assert state(painted, 2) == "edited by you"
    undo(painted)
    assert state(painted, 2) == "\N{CHECK MARK} accepted"


def test_an_image_filled_by_a_click_among_others_is_noted_beside_train(painted):
    """The model would learn that everything is the class; where all are so, it is refused."""
    note = painted.widget.painted.full
    for number in (0, 1):
        paint(painted, number)
    keys = list(painted.store)
    painted.choose(keys[2])
    press(painted, Qt.Key.Key_4)
    QTest.mouseClick(painted.canvas, Qt.MouseButton.LeftButton, NO_KEYS, painted.on_canvas(80, 20))
    painted.wait_saved()
    assert painted.mask_layer.data.all()
    wait_until(note.words.isVisible)
    assert note.words.text().startswith("cell2.png is painted to the last pixel, unlike the others")
    assert painted.widget.training.train_button.isEnabled()
    painted.widget.pages.setCurrentIndex(0)
    undo(painted)
    painted.widget.begin_training()
    wait_until(lambda: not note.words.isVisible())
    paint(painted, 2)
    for number in range(2):  # most of them: labelled so on purpose
        painted.choose(keys[number])
        painted.mask_layer.data_setitem(np.nonzero(painted.mask_layer.data == 0), 2)
        painted.wait_saved()
    wait_until(lambda: note._is_full == {keys[0]: True, keys[1]: True, keys[2]: False})
    assert not note.words.isVisible()


def test_ctrl_z_brings_back_what_was_rejected_after_the_strokes_on_it(painted):
    paint(painted, 0)
    train(painted)
    keys = list(painted.store)
    painted.choose(keys[2])
    before, made = painted.store[keys[2]], painted.mask_layer.data.copy()
    press(painted, Qt.Key.Key_2)
    press(painted, Qt.Key.Key_D)
    assert state(painted, 2) == "\N{BALLOT X} rejected"
    painted.paint((30, 30), (50, 50))
    assert state(painted, 2) == "edited by you"
    undo(painted)
    assert state(painted, 2) == "\N{BALLOT X} rejected"
    assert not painted.mask_layer.data.any()
    undo(painted)
    painted.wait_shown()
    assert painted.store[keys[2]] == before
    assert (painted.mask_layer.data == made).all()
    assert painted.mask_layer.mode == "paint"  # the brush is still in hand
    assert "is there again" in painted.widget.status.text()


def test_ctrl_z_brings_a_rejected_mask_back_as_that_of_the_model_also_over_strokes_of_before(
    painted, monkeypatch
):
    paint(painted, 0)
    train(painted)
    key = list(painted.store)[2]
    painted.choose(key)
    press(painted, Qt.Key.Key_2)
    painted.paint((30, 30), (50, 50))
    monkeypatch.setattr(questions, "may", lambda *_: True)
    painted.segment()  # over the stroke, which napari's undo holds
    made = painted.mask_layer.data.copy()
    press(painted, Qt.Key.Key_D)
    undo(painted)
    painted.wait_shown()
    assert painted.store[key].is_prediction
    assert (painted.mask_layer.data == made).all()


def test_a_set_begins_with_a_brush_of_one_of_its_classes(painted):
    session, layers = painted.session, painted.widget.layers
    for name in ("rim", "nucleus"):
        session.name_class(session.add_class(), name)
    session.remove_class(1)
    assert layers.label == 1
    place = session.folder.folder
    painted.widget.files.close_set()
    hidden = {layer.name for layer in painted.viewer.layers}
    assert not any("cell" in name for name in hidden)  # nothing of the set is left to paint on
    painted.widget.files.open(place)
    wait_until(lambda: not painted.widget.files.is_busy)
    painted.wait_shown()
    assert painted.mask_layer.name == "cell0.png mask"
    assert (layers.label, painted.widget.areas.marked) == (2, 2)
    assert painted.mask_layer.editable
    painted.widget.pages.setCurrentIndex(0)
    session.name_class(session.add_class(), "third")
    layers.choose_label(3)
    painted.settle()
    painted.press_button(painted.widget.classes.remove_button)
    assert layers.label == 2


def test_a_new_set_begins_with_class_1_whatever_was_in_hand(painted, tmp_path):
    for _ in range(2):
        painted.session.add_class()
    painted.widget.layers.choose_label(2)
    press(painted, Qt.Key.Key_2)
    painted.widget.files.close_set()
    write_disks(tmp_path / "others", 1)
    painted.open(tmp_path / "others")
    assert not painted.session.class_names(painted.session.image)
    assert (painted.widget.layers.label, painted.mask_layer.mode) == (1, "paint")
    painted.paint((30, 30), (50, 50))
    classes = painted.widget.classes
    wait_until(lambda: classes.areas.marked == 1)
    assert classes.color_button.isEnabled()  # it is marked, and no class was added


def test_one_image_alone_is_trained_segmented_and_gone_through(painted, tmp_path, monkeypatch):
    painted.widget.files.close_set()
    write_disks(tmp_path / "others", 1)
    painted.open(tmp_path / "others")
    paint(painted, 0)
    train(painted)
    assert "Every image has your mask; open more to use it." in painted.widget.status.text()
    assert (painted.session.folder.held(painted.session.image) == disk(0)).all()
    monkeypatch.setattr(questions, "may", lambda *_: True)
    painted.segment()
    press(painted, Qt.Key.Key_Q)
    words = "This is the last one: every other image is painted, corrected or accepted."
    assert words in painted.widget.status.text()
    press(painted, Qt.Key.Key_A)
    assert "is accepted. Nothing is left: every image is" in painted.widget.status.text()


def test_what_was_said_of_a_mask_goes_with_its_image_and_the_list_says_it(painted):
    paint(painted, 0)
    train(painted)
    keys = list(painted.store)
    rows = painted.widget.list
    doubt = painted.store[keys[2]].uncertainty
    assert rows.model._detail(keys[2]) == f"{doubt:.0%} undecided, by cells"
    painted.choose(keys[2])
    press(painted, Qt.Key.Key_D)
    assert "D or Ctrl+Z brings it back" in painted.widget.status.text()
    assert rows.model._detail(keys[2]) == "the mask was taken off"
    painted.choose(keys[3])
    assert "brings it back" not in painted.widget.status.text()
    press(painted, Qt.Key.Key_A)  # what is said of the step to the next image stays
    assert "is accepted. Next: " in painted.widget.status.text()
    assert rows.model._detail(keys[3]) == "class 1 by cells"
    words = "5 of 6 have a mask, 1 edited by you, 1 accepted"
    wait_until(lambda: rows.progress.text() == words)
    assert rows.progress.wordWrap()  # no word is cut off where the window is narrow


def test_a_painted_mask_is_neither_rejected_nor_accepted(painted):
    paint(painted, 0)
    painted.widget.pages.setCurrentIndex(0)
    before = painted.mask_layer.data.copy()
    for key in (Qt.Key.Key_D, Qt.Key.Key_A):
        press(painted, key)
        assert "You have painted the mask of 'cell0.png'" in painted.widget.error.text()
    assert (painted.mask_layer.data == before).all()
    painted.choose(list(painted.store)[1])
    press(painted, Qt.Key.Key_D)
    assert "has no mask to reject" in painted.widget.error.text()


def test_images_that_were_asked_for_come_first(painted):
    assert painted.widget.set_next_images(["cell4.png", "cell2.png", "other.png"]) == 2
    keys = list(painted.store)
    for due in (4, 2):
        press(painted, Qt.Key.Key_Q)
        assert painted.session.image == keys[due]
        painted.wait_shown()
    with pytest.raises(UserError, match="No image of this set"):
        painted.widget.set_next_images(["other.png"])


def test_uncertainty_is_a_layer_below_the_mask_and_told_where_it_is_not_known(painted):
    painted.widget.model.choose("retina-vessels")
    view = painted.widget.uncertainty
    painted.widget.pages.setCurrentIndex(0)
    painted.widget.doubt_box.click()
    wait_until(lambda: painted.widget.error.text())
    assert "cannot say how sure it is" in painted.widget.error.text()
    assert not painted.widget.doubt_box.isChecked()
    paint(painted, 0)
    train(painted)
    press(painted, Qt.Key.Key_U)
    wait_until(lambda: view.layer is not None and not view.is_busy)
    names = [layer.name for layer in painted.viewer.layers if layer.visible]
    assert names.index("cell0.png uncertainty") < names.index("cell0.png mask")
    assert view.layer.data.shape == (96, 96)
    assert 0 <= view.layer.data.min() <= view.layer.data.max() <= 1
    assert painted.viewer.layers.selection.active is painted.mask_layer
    press(painted, Qt.Key.Key_U)
    assert not view.layer.visible


def test_a_training_that_may_end_early_says_how_much_changes(painted):
    """Ticked, it is asked for; the line below the curve tells."""
    trainer = painted.widget.training.trainer
    assert not trainer.early.isChecked()
    trainer.early.setChecked(True)
    try:
        paint(painted, 0)
        painted.painted.changes = {"steps": 5, "stages": "supervised"}
        painted.painted.is_held = True
        train_button = painted.widget.training.train_button
        painted.press_button(train_button)
        wait_until(lambda: painted.painted.done)
        assert painted.painted.jobs[0].config.early_stop
        assert trainer.words({"changed": 0.034}) == "Of what it finds 3% has changed lately."
        assert trainer.words({"loss": 1.0}) == ""
    finally:
        trainer.early.setChecked(False)


def test_the_recipe_says_what_it_learns_from(painted):
    painted.widget.training.kinds.setCurrentIndex(0)
    box = painted.widget.training.trainer.recipe
    assert box.currentText() == "ACTION's last stage"
    assert "your masks, its own sure guesses" in box.toolTip().lower()
    box.setCurrentIndex(box.findData("supervised"))
    assert "Nothing but your masks" in box.toolTip()
