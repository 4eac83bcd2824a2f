"""Classes of a set in the middle of work: colours, names, taken off, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QColorDialog, QLineEdit, QMessageBox
from segmentation_world import wait_until

pytestmark = pytest.mark.gui


def add_class(world, name):
    table = world.widget.areas
    world.press_button(world.widget.classes.add_button)
    editor = table.findChildren(QLineEdit)[-1]
    QTest.keyClicks(editor, name)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait_until(lambda: not table.is_waiting and name in names(world))


def names(world):
    table = world.widget.areas
    return [table.item(row, 0).text() for row in range(table.rowCount())]


def selected_rows(world):
    return {index.row() for index in world.widget.areas.selectedIndexes()}


def test_a_class_stays_marked_where_its_colour_is_left_as_it_is(segmentation, monkeypatch):
    add_class(segmentation, "drusen")
    add_class(segmentation, "disc")
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor())
    segmentation.press_button(segmentation.widget.classes.color_button)
    assert selected_rows(segmentation) == {1}
    assert segmentation.widget.areas.marked == segmentation.mask_layer.selected_label == 2


def test_the_square_of_a_marked_class_has_the_colour_of_its_mask(segmentation):
    add_class(segmentation, "drusen")
    segmentation.session.color_class(1, "#ffd60a")
    table = segmentation.widget.areas
    wait_until(lambda: not table.is_waiting and selected_rows(segmentation) == {0})
    icon = table.item(0, 0).icon()
    for mode in (icon.Mode.Normal, icon.Mode.Selected):
        square = icon.pixmap(14, 14, mode).toImage()
        assert square.pixelColor(7, 7).name() == "#ffd60a"


def test_what_was_wrong_with_a_name_is_not_said_of_the_next_one(segmentation):
    add_class(segmentation, "drusen")
    add_class(segmentation, "disc")
    table, error = segmentation.widget.areas, segmentation.widget.error
    table.item(1, 0).setText("Drusen")
    assert "Class 1 is called 'drusen' already" in error.text()
    wait_until(lambda: not table.is_waiting and names(segmentation) == ["drusen", "disc"])
    table.item(1, 0).setText("cup")
    assert not error.text()
    wait_until(lambda: not table.is_waiting and names(segmentation) == ["drusen", "cup"])


def answer_with(button, asked):
    """Press a button of the question that is there next, as a person does who has read it."""

    def press():
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            asked.append(box.text())
            QTest.mouseClick(box.button(button), Qt.MouseButton.LeftButton)
        else:
            QTimer.singleShot(20, press)

    QTimer.singleShot(0, press)


def test_a_class_with_pixels_is_taken_off_the_list_and_what_is_left_is_told(segmentation):
    add_class(segmentation, "drusen")
    add_class(segmentation, "disc")
    widget = segmentation.widget
    total = 0
    for key in list(segmentation.store)[:2]:
        segmentation.choose(key)
        segmentation.mask_layer.mode = "paint"
        segmentation.paint((40, 80), (100, 80))
        segmentation.mask_layer.mode = "pan_zoom"
        total += int(np.count_nonzero(segmentation.mask_layer.data == 2))
    layer = segmentation.mask_layer
    wait_until(lambda: not widget.areas.is_waiting)
    assert widget.areas.marked == 2
    asked = []
    answer_with(QMessageBox.StandardButton.No, asked)
    segmentation.press_button(widget.classes.remove_button)
    assert f"{total:,} pixels in 2 images are painted as 'disc'. They stay in the" in asked[0]
    assert names(segmentation) == ["drusen", "disc"]
    answer_with(QMessageBox.StandardButton.Yes, asked)
    segmentation.press_button(widget.classes.remove_button)
    assert len(asked) == 2
    assert "'disc' is off the list; what is painted as it stays" in widget.status.text()
    assert names(segmentation) == ["drusen", "class 2"]
    assert (layer.data[80, 50:90] == 2).all()
    assert "2; class: class 2" in layer.get_status(np.array([80.0, 70.0]))["coordinates"]
    place = widget.areas.visualItemRect(widget.areas.item(1, 0)).center()
    QTest.mouseClick(widget.areas.viewport(), Qt.MouseButton.LeftButton, pos=place)
    segmentation.press_button(widget.classes.remove_button)
    assert "Class 2 is on no list: it stands here because pixels have" in widget.error.text()


def test_a_class_without_pixels_is_taken_off_unasked(segmentation):
    add_class(segmentation, "drusen")
    add_class(segmentation, "disc")
    segmentation.press_button(segmentation.widget.classes.remove_button)
    assert QApplication.activeModalWidget() is None
    assert "'disc' is off the list; nothing is painted as it." in segmentation.widget.status.text()
    wait_until(lambda: names(segmentation) == ["drusen"])


def test_large_areas_are_told_without_powers_of_ten(segmentation):
    segmentation.segment()
    table = segmentation.widget.areas
    for side, due in ((0.1, "10"), (0.005, "0.025"), (1.4, "1,960"), (100.0, "10,000,000")):
        segmentation.widget.exchange.set_spacing(side)
        wait_until(lambda due=due: not table.is_waiting and table.item(0, 2).text() == due)
    assert "mean 1,000.0 px (10,000,000 mm²)" in table.item(0, 0).toolTip()
