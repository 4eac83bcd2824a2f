"""Paint a few masks, get the rest: training from painted masks in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from painted_world import DirectEngine, disk, write_disks
from segmentation_world import wait_until

from napari_medssl.backend.models import load_card
from napari_medssl.backend.training_workspace import unfinished
from napari_medssl.widgets import _questions as questions

pytestmark = pytest.mark.gui


@pytest.fixture
def painted(segmentation_window, tmp_path):
    """The widget with six pictures of disks, and the backend as its engine."""
    world = segmentation_window
    world.begin(tmp_path, count=0)
    write_disks(tmp_path / "cells")
    world.open(tmp_path / "cells")
    former, world.widget.segmenting._engine = world.widget.segmenting._engine, DirectEngine()
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
    world.widget.segmenting._engine = former


def paint(world, number, value=1):
    """Paint the disk of a picture, as filling does."""
    keys = list(world.store)
    world.choose(keys[number])
    world.mask_layer.data_setitem(np.nonzero(disk(number)), value)
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
    assert (config.stages, config.minutes, config.start) == ("action", 5.0, "imagenet")
    assert str(tmp_path) not in out.with_suffix(".json").read_text("utf-8")


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
    assert (second.config.stages, second.config.minutes) == ("supervised", 0.5)
    assert not asked
    assert (painted.session.folder.held(next(iter(painted.store))) == disk(0)).all()


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


def test_cancel_keeps_it_to_go_on_or_to_use_as_it_is(painted, tmp_path):
    paint(painted, 0)
    painted.painted.is_held = True
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    wait_until(lambda: painted.painted.done)
    painted.press_button(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy)
    assert panel.stopped.text().startswith("'cells' was stopped after 1")
    assert panel.keep_button.isVisible()
    assert panel.go_on_button.isVisible()
    painted.painted.is_held = False
    train(painted, panel.go_on_button)
    assert painted.painted.done == [1, 2, 3]
    assert (tmp_path / "models" / "cells.safetensors").is_file()


def test_nothing_painted_says_what_to_do(painted):
    panel = painted.widget.training
    painted.press_button(panel.train_button)
    assert "No mask is painted yet." in panel.jobs._error.text()
    paint(painted, 0)
    painted.mask_layer.data_setitem(np.nonzero(disk(0)), 0)  # all erased again
    painted.wait_saved()
    train(painted)
    assert "No mask is painted yet." in panel.jobs._error.text()
    paint(painted, 1, 40)
    train(painted)
    assert "Class 40 came; a model learns the classes 1 to 31." in panel.jobs._error.text()
