"""All a person can do in the widget, in one table; see `widgets._commands`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets._commands import Command
from napari_medssl.widgets.separation.actions import LARGE_STEP, STEPS, BoxActions

if TYPE_CHECKING:
    from qtpy.QtWidgets import QPushButton

    from napari_medssl.widgets.separation.widget import SeparationWidget

Run = Callable[["SeparationWidget"], object]
_EXPORTS = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC", "crops": "cropped panels"}


def _on_boxes(action: Callable[[BoxActions], None]) -> Run:
    def run(widget: SeparationWidget) -> None:
        widget.actions_on_boxes.do(partial(action, widget.actions_on_boxes))

    return run


def _press(find: Callable[[SeparationWidget], QPushButton], otherwise: str) -> Run:
    """Return what presses a button of the group "Detector and learning", or says why it is off."""

    def run(widget: SeparationWidget) -> None:
        widget.detector.expand(animate=False)
        button = find(widget)
        widget.refuse("" if button.isEnabled() else otherwise)
        button.click()

    return run


def _figures() -> Iterator[Command[SeparationWidget]]:
    for name, key, title, run in (
        ("accept", "Enter", "Accept the figure and go to the next", lambda w: w.accept()),
        ("next_unchecked", "N", "Next unchecked figure", lambda w: w.next()),
        ("reject", "X", "Reject the figure and go to the next", lambda w: w.reject()),
        ("unsure", "U", "Mark the figure as unsure and go to the next", lambda w: w.unsure()),
        ("next_figure", "PageDown", "Next figure of the list", lambda w: w.step(1)),
        ("previous_figure", "PageUp", "Previous figure of the list", lambda w: w.step(-1)),
        ("separate", "D", "Separate this figure: find its panels", lambda w: w.separate()),
        (
            "separate_all",
            "",
            "Separate all figures to do that have no boxes yet",
            lambda w: w.separate_all(),
        ),
        ("show_keys", "F1", "Show these keys", lambda w: w.show_keys()),
    ):
        yield Command(name, title, "Figures", run, (key,) if key else ())


def _boxes() -> Iterator[Command[SeparationWidget]]:
    for name, keys, title, action in (
        ("undo", ("Control-Z",), "Undo", BoxActions.undo),
        ("redo", ("Control-Shift-Z",), "Redo", BoxActions.redo),
        ("draw", ("R",), "Draw a box", BoxActions.draw),
        ("delete", ("Delete", "Backspace"), "Delete the selected boxes", BoxActions.delete),
        ("merge", ("M",), "Merge the selected boxes", BoxActions.merge),
        (
            "cut_upright",
            ("C",),
            "Cut the box under the mouse into left and right",
            methodcaller("split", "x"),
        ),
        (
            "split",
            ("S",),
            "Split the selected box along its widest gutter",
            BoxActions.split_selected,
        ),
        (
            "cut_level",
            ("Shift-C",),
            "Cut the box under the mouse into top and bottom",
            methodcaller("split", "y"),
        ),
        ("letter", ("L",), "Letter the boxes a, b, c in reading order", BoxActions.add_letters),
        ("copy", ("Control-C",), "Copy boxes", BoxActions.copy),
        ("paste", ("Control-V",), "Paste boxes", BoxActions.paste),
    ):
        yield Command(name, title, "Boxes", _on_boxes(action), keys)
    for name, key, title, run in (
        ("type_grid", "G", "Type a grid such as 4x3", lambda w: w.edits.focus_grid()),
        ("lay_grid", "", "Lay the grid that was typed", lambda w: w.edits.lay_grid()),
        ("switch_snapping", "", "Switch snapping on or off", lambda w: w.edits.snap.click()),
    ):
        yield Command(name, title, "Boxes", run, (key,) if key else ())
    for name, key, title, action in (
        ("next_box", "Tab", "Next box under the mouse", methodcaller("cycle", 1)),
        ("previous_box", "Shift-Tab", "Previous box under the mouse", methodcaller("cycle", -1)),
        ("deselect", "Escape", "Select nothing", BoxActions.deselect),
    ):
        yield Command(name, title, "Selection", _on_boxes(action), (key,))


def _arrows(direction: str) -> Iterator[Command[SeparationWidget]]:
    """Give what an arrow key does: move boxes, push their edges out and pull them in."""
    side = {"Up": "top", "Down": "bottom"}.get(direction, direction.lower())
    other = {"Up": "bottom", "Down": "top", "Left": "right", "Right": "left"}[direction]
    to = direction.lower()
    for shift, step in (("", 1), ("Shift-", LARGE_STEP)):
        by = f"by {step} px"
        for key, name, title, action in (
            ("", f"move_{to}", f"Move {to} {by}", methodcaller("nudge", direction, step)),
            (
                "Alt-",
                f"push_{side}_edge",
                f"Push the {side} edge out {by}",
                methodcaller("push_edge", direction, step, is_out=True),
            ),
            (
                "Control-",
                f"pull_{other}_edge",
                f"Pull the {other} edge in {by}",
                methodcaller("push_edge", direction, step, is_out=False),
            ),
        ):
            group = "Move" if not key else "Edges"
            keys = (f"{key}{shift}{direction}",)
            yield Command(f"{name}_by_{step}", title, group, _on_boxes(action), keys)


def _projects() -> Iterator[Command[SeparationWidget]]:
    for name, title, run in (
        ("open_images", "Open images or PDFs ...", lambda w: w.files.ask_images()),
        ("open_folder", "Open a folder of figures ...", lambda w: w.files.ask_folder()),
        (
            "open_folders",
            "Open a folder and those inside ...",
            lambda w: w.files.ask_folder(is_deep=True),
        ),
        ("open_layer", "Open the selected layer", lambda w: w.files.add_layer()),
        ("open_project", "Open a project ...", lambda w: w.files.ask_project()),
        ("new_project", "Begin an empty project", lambda w: w.files.start_new()),
        ("save_as", "Save the project as ...", lambda w: w.files.ask_save_as()),
        ("import_boxes", "Import boxes ...", lambda w: w.files.exchange.ask_import()),
        (
            "import_folder",
            "Import a folder of boxes ...",
            lambda w: w.files.exchange.ask_import_folder(),
        ),
    ):
        yield Command(name, title, "Project", run)
    for which, states in (("accepted", [ReviewState.DONE]), ("all", list(ReviewState))):
        for kind, name in _EXPORTS.items():
            title = f"Export {which} figures as {name} ..."
            yield Command(f"export_{which}_{kind}", title, "Project", _export(kind, states))


def _export(kind: str, states: list[ReviewState]) -> Run:
    return lambda widget: widget.files.exchange.ask_export(kind, states)


def _detector() -> Iterator[Command[SeparationWidget]]:
    for name, title, run in (
        ("choose_model", "Use a model file ...", lambda w: w.detector.ask_file()),
        (
            "improve",
            "Improve the detector from my corrections",
            _press(
                lambda w: w.improve.improve_button,
                "Nothing to learn from yet: accept a figure first, or wait for the training that "
                "runs.",
            ),
        ),
        (
            "use_improved",
            "Use the improved model",
            _press(
                lambda w: w.improve.use_button,
                "There is no improved model to use. Improve the detector first.",
            ),
        ),
        (
            "revert_model",
            "Go back to the model used before",
            _press(
                lambda w: w.improve.revert_button,
                "The project has used no other model: there is none to go back to.",
            ),
        ),
    ):
        yield Command(name, title, "Detector", run)


def _all() -> Iterator[Command[SeparationWidget]]:
    yield from _figures()
    yield from _boxes()
    for direction in STEPS:
        yield from _arrows(direction)
    yield from _projects()
    yield from _detector()


COMMANDS = {command.name: command for command in _all()}
