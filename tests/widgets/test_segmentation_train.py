"""Training from shapes in a real window: begin, cancel, go on, use the model; errors in words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from segmentation_world import HEIGHT, WIDTH, wait_until

from napari_medssl.backend.models import load_card
from napari_medssl.backend.training_workspace import unfinished
from napari_medssl.widgets import _questions as questions

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(segmentation):
    panel = segmentation.widget.training
    segmentation.widget.begin_training()
    panel.kinds.setCurrentIndex(panel.kinds.findData("shape-guided"))
    panel.trainer._layer = panel.trainer._folder = None
    panel.jobs.show_error("")
    panel.name.setText("bars")
    yield panel
    panel.jobs.cancel()
    wait_until(lambda: not panel.jobs.is_busy)


def bars():
    """Return a mask of crossing bars, as another modality would show them."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[40:48] = mask[:, 60:68] = 1
    return mask


def take_layer(segmentation, panel):
    layer = segmentation.viewer.add_labels(bars(), name="shapes")
    segmentation.viewer.layers.selection.active = layer
    panel.trainer.use_layer()
    segmentation.viewer.layers.remove(layer)


def finish(segmentation, panel, button):
    segmentation.press_button(button)
    wait_until(lambda: not panel.jobs.is_busy)


def test_a_model_is_trained_from_a_layer_of_shapes_and_chosen(segmentation, panel, tmp_path):
    take_layer(segmentation, panel)
    assert panel.trainer.chosen.text() == "layer 'shapes', 11.3% of it are shapes"
    finish(segmentation, panel, panel.train_button)
    out = tmp_path / "models" / "bars.safetensors"
    assert not panel.jobs._error.text()
    card = load_card(out)
    assert card.config["classes"] == ["bar"]
    assert card.metrics["images"] == 3
    assert segmentation.widget.model.name == str(out)
    assert segmentation.widget.pages.currentIndex() == 0
    assert "bars is trained and chosen" in segmentation.widget.status.text()
    assert [step for step, _ in panel.curve.points("render")] == [1, 2, 3]
    assert not list((tmp_path / "models" / "training").iterdir())
    assert segmentation.widget.config().model == str(out)


def test_a_training_that_was_stopped_goes_on_also_in_another_window(segmentation, panel, tmp_path):
    take_layer(segmentation, panel)
    segmentation.small.is_held = True
    segmentation.press_button(panel.train_button)
    wait_until(lambda: segmentation.small.done)
    assert not panel.train_button.isVisible()
    segmentation.press_button(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy)
    assert panel.stopped.text() == "'bars' was stopped after 1 of 3 steps."
    (stopped,) = unfinished(tmp_path / "models")
    assert (stopped.trainer, stopped.done) == ("shape-guided", 1)
    panel.trainer._layer = None  # nothing is left of it in this window
    segmentation.small.is_held = False
    finish(segmentation, panel, panel.go_on_button)
    assert segmentation.small.done == [1, 2, 3]
    assert (tmp_path / "models" / "bars.safetensors").is_file()
    assert not panel.go_on_button.isVisible()


def test_what_was_learnt_is_replaced_and_deleted_only_after_a_question(
    segmentation, panel, tmp_path, monkeypatch
):
    take_layer(segmentation, panel)
    segmentation.small.is_held = True
    segmentation.press_button(panel.train_button)
    wait_until(lambda: segmentation.small.done)
    segmentation.press_button(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy)
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: asked.append(text))
    segmentation.press_button(panel.train_button)
    assert not panel.jobs.is_busy
    assert "what 'bars' had learnt when it was stopped" in asked[0]
    segmentation.press_button(panel.discard_button)
    assert len(unfinished(tmp_path / "models")) == 1
    monkeypatch.setattr(questions, "may", lambda *_: True)
    segmentation.press_button(panel.discard_button)
    assert not unfinished(tmp_path / "models")
    assert not panel.go_on_button.isVisible()


def test_what_is_missing_is_told_before_anything_runs(segmentation, panel):
    segmentation.press_button(panel.train_button)
    assert "No shapes are chosen" in panel.jobs._error.text()
    panel.trainer.use_folder(segmentation.paths[0].parent)
    for name, words in (("a/b", "cannot be named 'a/b'"), ("retina-vessels", "is shipped")):
        panel.name.setText(name)
        segmentation.press_button(panel.train_button)
        assert words in panel.jobs._error.text()
    panel.name.setText("bars")
    for key in list(segmentation.store)[1:]:
        segmentation.session.folder.remove_images([key])
    segmentation.press_button(panel.train_button)
    assert "The set has 1 image; due are at least 2" in panel.jobs._error.text()
    image = segmentation.widget.layers.image_layer(segmentation.session.image)
    segmentation.viewer.layers.selection.active = image
    panel.trainer.use_layer()
    assert panel.trainer.chosen.text().startswith("layer 'eye0.png'")
    segmentation.viewer.layers.selection.clear()
    panel.trainer.use_layer()
    assert "No Labels or Image layer is selected" in panel.trainer.chosen.text()


def test_an_error_is_brought_into_sight_in_a_low_window(segmentation, panel):
    page = segmentation.widget.pages.currentWidget()
    page.verticalScrollBar().setValue(0)
    segmentation.press_button(panel.train_button)
    error = panel.jobs._error
    assert error.text()
    wait_until(lambda: error.visibleRegion().boundingRect().height() >= error.height())


def test_an_error_of_the_child_is_shown_in_its_own_words(segmentation, panel, tmp_path):
    shapes = tmp_path / "photographs"
    shapes.mkdir()
    Image.new("L", (64, 64)).save(shapes / "black.png")
    panel.trainer.use_folder(shapes)
    segmentation.small.is_in_child = True
    finish(segmentation, panel, panel.train_button)
    assert "holds no shape. 'black.png' holds no shape that is wide enough" in (
        panel.jobs._error.text()
    )
    assert panel.train_button.isEnabled()
    assert not panel.go_on_button.isVisible()
