"""The two lines at the foot of a widget."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui


def test_an_error_takes_what_was_said_with_it(qtbot):
    from napari_medssl.widgets._messages import Messages

    lines = Messages(lambda text: text.replace("Meyer", "slide 1"))
    qtbot.addWidget(lines)
    lines.show()
    lines.tell("Meyer is open", False)
    assert (lines.status.text(), lines.status.isVisible()) == ("slide 1 is open", True)
    assert not lines.error.isVisible()
    lines.tell("Meyer cannot be read", True)
    assert (lines.error.text(), lines.error.isVisible()) == ("slide 1 cannot be read", True)
    assert not lines.status.isVisible()
    lines.tell("done", False)
    assert not lines.error.isVisible()
    lines.tell("", True)
    assert not lines.error.isVisible()
    assert lines.status.text() == "done"


def test_names_are_hidden_in_what_was_said_before(qtbot):
    from napari_medssl.widgets._messages import Messages

    hidden: dict[str, str] = {}
    lines = Messages(lambda text: next((new for old, new in hidden.items() if old in text), text))
    qtbot.addWidget(lines)
    lines.say("Meyer")
    hidden["Meyer"] = "slide 1"
    lines.mask_again()
    assert lines.status.text() == "slide 1"
