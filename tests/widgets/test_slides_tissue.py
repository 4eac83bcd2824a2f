"""The tissue mask in the window: corrected by hand, kept, found anew only after a question."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox
from slides_world import wait_until

pytestmark = pytest.mark.gui


@pytest.fixture
def tissue(slides):
    slides.widget.pages.setCurrentWidget(slides.widget.regions)
    open_slide(slides, 0)
    tool = slides.widget.regions.tissue
    find(slides)
    return tool


def open_slide(slides, number):
    slides.show(number)
    wait_until(lambda: slides.widget.regions.session.store is not None)


def find(slides):
    QTest.mouseClick(slides.widget.regions.find, Qt.MouseButton.LeftButton)
    wait_until(lambda: "% of the slide is tissue" in slides.widget.status.text())


def paint(slides, tool):
    """A stroke of the brush in the upper left corner, where there is glass."""
    slides.viewer.layers.selection.active = tool.layer
    tool.layer.mode = "paint"
    tool.layer.selected_label = 1
    tool.layer.brush_size = 8
    before = np.count_nonzero(tool.layer.data)
    slides.drag((60, 60), (260, 90))
    assert np.count_nonzero(tool.layer.data) > before
    return np.asarray(tool.layer.data) != 0


def test_what_was_painted_comes_back_with_the_slide(slides, tissue):
    painted = paint(slides, tissue)
    open_slide(slides, 1)  # within the second that passes before it is written
    slides.settle(0.3)
    assert not tissue.has_mask
    open_slide(slides, 0)
    wait_until(lambda: tissue.has_mask)
    assert (np.asarray(tissue.layer.data) == painted).all()
    names = [layer.name for layer in slides.viewer.layers]
    assert names == ["slide0.svs", "tissue"]


def test_what_was_painted_is_on_the_disk_a_moment_later(slides, tissue):
    from napari_medssl.io.mask_file import read_mask

    place = slides.widget.regions.session.folder.folder / "tissue.png"
    slides.settle(1.2)
    assert not place.exists()  # found, not corrected: it can be found again
    painted = paint(slides, tissue)
    wait_until(lambda: place.exists() and (read_mask(place)[0] == painted).all())
    assert read_mask(place)[1] == tissue._downsample


def test_a_corrected_mask_is_replaced_after_a_question_only(slides, tissue, monkeypatch):
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    found = np.asarray(tissue.layer.data) != 0
    painted = paint(slides, tissue)
    tissue.find()
    assert not tissue.jobs.is_busy
    assert (np.asarray(tissue.layer.data) == painted).all()
    slides.widget.status.setText("")
    find(slides)
    assert (np.asarray(tissue.layer.data) == found).all()
    slides.widget.status.setText("")
    find(slides)  # nothing is lost this time
    assert answers == []
    open_slide(slides, 1)
    open_slide(slides, 0)
    wait_until(lambda: tissue.has_mask)
    assert (np.asarray(tissue.layer.data) == found).all()


def test_an_empty_mask_is_told(slides, tissue):
    tissue.layer.data = np.zeros_like(tissue.layer.data)
    QTest.mouseClick(slides.widget.regions.outline, Qt.MouseButton.LeftButton)
    wait_until(lambda: "The mask is empty" in slides.widget.error.text())


def test_a_damaged_mask_is_told_and_left(slides, tissue):
    place = slides.widget.regions.session.folder.folder / "tissue.png"
    place.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    open_slide(slides, 1)
    open_slide(slides, 0)
    wait_until(lambda: "Cannot read the mask" in slides.widget.error.text())
    assert place.exists()
