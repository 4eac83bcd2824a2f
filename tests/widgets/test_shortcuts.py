"""Shortcuts are bound over napari's keys, given back, and listed in the cheat sheet."""

import pytest

from napari_medssl.widgets._shortcuts import CheatSheet, Shortcut, ShortcutRegistry

pytestmark = pytest.mark.gui


@pytest.fixture
def calls():
    return []


@pytest.fixture
def registry(calls):
    return ShortcutRegistry(
        [
            Shortcut("Control-Z", "Undo", "Edit", lambda: calls.append("undo")),
            Shortcut("Delete", "Delete the box", "Edit", lambda: calls.append("delete")),
            Shortcut("N", "Next <unchecked>", "Queue", lambda: calls.append("next")),
        ]
    )


def test_keys_reach_a_layer_even_where_napari_has_its_own(registry, calls):
    from napari.layers import Shapes

    layer = Shapes()
    registry.bind(layer)
    for key in ("Ctrl+Z", "Delete", "N"):
        keymap = {str(binding): action for binding, action in layer.keymap.items()}
        keymap[key](layer)
    assert calls == ["undo", "delete", "next"]
    registry.unbind(layer)
    assert layer.keymap == {}


@pytest.mark.parametrize("digit", list("0123456789"))
def test_napari_keeps_its_digits(digit):
    with pytest.raises(ValueError, match="belongs to napari's layer tools"):
        Shortcut(digit, "Anything", "Edit", print)


def test_two_actions_on_one_key_are_refused(registry):
    with pytest.raises(ValueError, match="'N' already does 'Next <unchecked>'"):
        registry.add(Shortcut("N", "Nudge", "Edit", print))


def test_the_cheat_sheet_lists_every_shortcut(registry, qtbot):
    sheet = CheatSheet(registry)
    qtbot.addWidget(sheet)
    text = registry.as_html()
    assert [text.index(word) for word in ("Edit", "Undo", "Delete the box", "Queue")] == sorted(
        text.index(word) for word in ("Edit", "Undo", "Delete the box", "Queue")
    )
    assert "Next &lt;unchecked&gt;" in text


@pytest.mark.parametrize(
    "key",
    [
        *["Up", "Down", "Left", "Right", "PageUp", "PageDown", "Insert", "Delete", "Home"],
        *["End", "Escape", "Backspace", "F1", "Space", "Enter", "Tab", "A", "[", "-", "Shift--"],
    ],
)
def test_every_key_of_napari_has_words(key):
    assert Shortcut(key, "t", "g", print).shown


@pytest.mark.parametrize(
    ("keys", "shown"),
    [("Control-Shift-Z", "Ctrl+Shift+Z"), ("Delete", "Del"), ("PageDown", "PgDown"), ("-", "-")],
)
def test_keys_are_shown_as_the_system_writes_them(keys, shown):
    assert Shortcut(keys, "t", "g", print).shown == shown
