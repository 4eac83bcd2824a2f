"""The field for words above a list can be emptied with its button."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QToolButton

from napari_medssl.widgets._item_list import SearchField

pytestmark = pytest.mark.gui


def test_its_button_comes_with_the_first_letter_and_clears(qtbot):
    field = SearchField()
    qtbot.addWidget(field)
    field.show()
    assert not field.findChildren(QToolButton)
    QTest.keyClicks(field, "a.png")
    (button,) = field.findChildren(QToolButton)
    qtbot.waitUntil(button.isVisible)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert field.text() == ""
