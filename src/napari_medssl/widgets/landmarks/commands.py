"""All a person can do in the widget, in one table; see `widgets._commands`.

Keys act while one of our layers is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_medssl.widgets._commands import Command

if TYPE_CHECKING:
    from napari_medssl.widgets.landmarks.widget import LandmarksWidget

Run = Callable[["LandmarksWidget"], object]


def _table() -> Iterator[Command[LandmarksWidget]]:
    yield from _of("Check", _check())
    yield from _of("Points", _points())
    yield from _of("View", _view())
    yield from _of("Files", _files())


Row = tuple[str, str, Run, tuple[str, ...]]


def _of(group: str, rows: Iterator[Row]) -> Iterator[Command[LandmarksWidget]]:
    for name, title, run, keys in rows:
        yield Command(f"landmarks_{name}", title, group, run, keys)


def _check() -> Iterator[Row]:
    yield (
        "confirm",
        "Confirm the point and go on",
        lambda w: w.actions_on_points.confirm(),
        (
            "Enter",
            "A",
        ),
    )
    yield (
        "confirm_image",
        "Confirm all points of the image and go on",
        lambda w: w.actions_on_points.confirm_image(),
        ("Shift-A",),
    )
    yield "next", "Next point, the least certain first", lambda w: w.step_queue(1), ("N",)
    yield "previous", "Previous point of that order", lambda w: w.step_queue(-1), ("P",)
    yield (
        "next_candidate",
        "Next place that the program offers (Tab)",
        lambda w: w.actions_on_points.step_candidate(1),
        (),
    )
    yield (
        "previous_candidate",
        "Previous place that the program offers (Shift+Tab)",
        lambda w: w.actions_on_points.step_candidate(-1),
        (),
    )


def _points() -> Iterator[Row]:
    yield "absent", "Not in this image", lambda w: w.actions_on_points.set_absent(), ("X",)
    yield "clear", "Clear the point", lambda w: w.actions_on_points.clear(), ("Delete",)
    yield "lock", "Lock or unlock the point", lambda w: w.actions_on_points.toggle_lock(), ("L",)
    yield (
        "template",
        "Use the point as a template too, or no more",
        lambda w: w.actions_on_points.toggle_template(),
        ("T",),
    )
    yield (
        "front",
        "Make this image the template",
        lambda w: w.actions_on_points.make_front(),
        ("Shift-T",),
    )
    yield "suggest", "Which second template would help most", lambda w: w.suggest(), ("H",)
    yield "undo", "Undo", lambda w: w.actions_on_points.undo(), ("Control-Z",)
    yield "redo", "Redo", lambda w: w.actions_on_points.redo(), ("Control-Shift-Z",)
    yield (
        "copy",
        "Copy the points of the image",
        lambda w: w.actions_on_points.copy(),
        ("Control-C",),
    )
    yield (
        "paste",
        "Paste points into the image",
        lambda w: w.actions_on_points.paste(),
        ("Control-V",),
    )


def _view() -> Iterator[Row]:
    yield "down", "Next landmark of the list", lambda w: w.session.step_name(1), ("S",)
    yield "up", "Landmark before", lambda w: w.session.step_name(-1), ("W",)
    yield "next_image", "Next image", lambda w: w.session.step_image(1), ("F",)
    yield "previous_image", "Image before", lambda w: w.session.step_image(-1), ("D",)
    yield "maps", "Show or hide the similarity maps", lambda w: w.maps_box.toggle(), ("M",)
    yield "zoom", "Show the image in front large", lambda w: w.zoom(), ("Z",)
    yield "fit", "Show all images", lambda w: w.images.fit(), ("Shift-Z",)


def _files() -> Iterator[Row]:
    yield "open_images", "Open images ...", lambda w: w.files.ask_images(), ()
    yield "open_folder", "Open a folder ...", lambda w: w.files.ask_folder(), ()
    yield "open_layers", "Take the selected layers", lambda w: w.files.add_layers(), ()
    yield "open_set", "Open a set of landmarks ...", lambda w: w.files.ask_open(), ()
    yield "new_set", "Begin a set of landmarks ...", lambda w: w.files.ask_new(), ()
    yield "import", "Import landmarks ...", lambda w: w.exchange.ask_import(), ()
    yield "csv", "Export as CSV ...", lambda w: w.exchange.ask_export("csv"), ()
    yield "slicer", "Export for 3D Slicer ...", lambda w: w.exchange.ask_export("slicer"), ()
    yield "coco", "Export as COCO keypoints ...", lambda w: w.exchange.ask_export("coco"), ()
    yield "keep", "Keep the list as a template ...", lambda w: w.exchange.ask_keep_template(), ()
    yield "measurements", "Export measurements ...", lambda w: w.measure.ask_export(), ()
    yield "keys", "Show these keys", lambda w: w.show_keys(), ("F1",)


COMMANDS = {command.name: command for command in _table()}
"""Every command by its name, in the order of the cheat sheet."""
