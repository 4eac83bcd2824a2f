"""The keys that edit boxes."""

from __future__ import annotations

from functools import partial

from napari_medssl.widgets._shortcuts import Shortcut, ShortcutRegistry
from napari_medssl.widgets.separation.actions import LARGE_STEP, STEPS, BoxActions


def register_box_keys(keys: ShortcutRegistry, actions: BoxActions) -> None:
    """Add the keys of all actions on boxes."""
    for key, title, action in (
        ("Control-Z", "Undo", actions.undo),
        ("Control-Shift-Z", "Redo", actions.redo),
        ("R", "Draw a box", actions.draw),
        ("Delete", "Delete the selected boxes", actions.delete),
        ("Backspace", "Delete the selected boxes", actions.delete),
        ("M", "Merge the selected boxes", actions.merge),
        ("C", "Cut the box under the mouse into left and right", partial(actions.split, "x")),
        ("S", "Split the selected box along its widest gutter", actions.split_selected),
        ("Shift-C", "Cut it into top and bottom", partial(actions.split, "y")),
        ("L", "Letter the boxes a, b, c in reading order", actions.add_letters),
        ("Control-C", "Copy boxes", actions.copy),
        ("Control-V", "Paste boxes", actions.paste),
    ):
        keys.add(Shortcut(key, title, "Boxes", partial(actions.do, action)))
    for key, title, action in (
        ("Tab", "Next box under the mouse", partial(actions.cycle, 1)),
        ("Shift-Tab", "Previous box under the mouse", partial(actions.cycle, -1)),
        ("Escape", "Select nothing", actions.deselect),
    ):
        keys.add(Shortcut(key, title, "Selection", partial(actions.do, action)))
    for direction in STEPS:
        _register_arrows(keys, actions, direction)


def _register_arrows(keys: ShortcutRegistry, actions: BoxActions, direction: str) -> None:
    side = {"Up": "top", "Down": "bottom"}.get(direction, direction.lower())
    other = {"Up": "bottom", "Down": "top", "Left": "right", "Right": "left"}[direction]
    for shift, step in (("", 1), ("Shift-", LARGE_STEP)):
        by = f"by {step} px"
        for key, title, action in (
            ("", f"Move {by}", partial(actions.nudge, direction, step)),
            (
                "Alt-",
                f"Push the {side} edge out {by}",
                partial(actions.push_edge, direction, step, is_out=True),
            ),
            (
                "Control-",
                f"Pull the {other} edge in {by}",
                partial(actions.push_edge, direction, step, is_out=False),
            ),
        ):
            group = "Move" if not key else "Edges"
            name = f"{key}{shift}{direction}"
            keys.add(Shortcut(name, title, group, partial(actions.do, action)))
