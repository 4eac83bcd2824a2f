"""All a person can do in the widget, in one table; see `widgets._commands`.

Keys act while one of our layers is selected. They are those that napari's Labels layer leaves free:
brush, eraser, fill and undo are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_medssl.widgets._commands import Command

if TYPE_CHECKING:
    from napari_medssl.widgets.segmentation.widget import SegmentationWidget

Run = Callable[["SegmentationWidget"], object]
Row = tuple[str, str, Run, tuple[str, ...]]


def _table() -> Iterator[Command[SegmentationWidget]]:
    for group, rows in (
        ("Segment", _segment()),
        ("Review", _review()),
        ("Images", _images()),
        ("Train", _train()),
        ("Files", _files()),
    ):
        for name, title, run, keys in rows:
            yield Command(f"segmentation_{name}", title, group, run, keys)


def _segment() -> Iterator[Row]:
    yield "segment", "Segment this image", lambda w: w.segmenting.segment(), ("S",)
    yield (
        "segment_all",
        "Segment all images that you have not edited",
        lambda w: w.segmenting.segment_all(),
        ("Shift-S",),
    )
    yield "regions", "Show or hide the regions", lambda w: w.regions_box.toggle(), ("R",)
    yield (
        "uncertainty",
        "Show where the model does not know",
        lambda w: w.doubt_box.toggle(),
        ("U",),
    )
    yield "hide", "Show or hide the mask", lambda w: w.toggle_mask(), ("H",)
    yield "add_class", "Add a class to paint", lambda w: w.classes.add(), ()
    yield "model", "Use a model from a file ...", lambda w: w.model.ask_file(), ()


def _review() -> Iterator[Row]:
    yield "accept", "Accept this mask, or take that back", lambda w: w.review.accept(), ("A",)
    yield "reject", "Reject this mask, or bring it back", lambda w: w.review.reject(), ("D",)
    yield (
        "undo",
        "Take back the last stroke, or a Reject",
        lambda w: w.review.undo(),
        ("Control-Z",),
    )
    yield (
        "next_to_correct",
        "Next image to correct, the most undecided first",
        lambda w: w.review.go_next(),
        ("Q",),
    )


def _images() -> Iterator[Row]:
    yield "next", "Next image", lambda w: w.session.step_image(1), ("N", "PageDown")
    yield "previous", "Image before", lambda w: w.session.step_image(-1), ("PageUp",)
    yield "remove", "Take this image off the set", lambda w: w.exchange.remove_current(), ()


def _train() -> Iterator[Row]:
    yield "train", "Train a model of your own", lambda w: w.begin_training(), ()
    yield "go_on", "Go on with a training that was stopped", lambda w: w.training.go_on(), ()
    yield (
        "stop_and_keep",
        "Stop the training and use the model as it is",
        lambda w: w.training.stop_and_keep(),
        (),
    )


def _files() -> Iterator[Row]:
    yield "open_images", "Open images ...", lambda w: w.files.ask_images(), ()
    yield "open_folder", "Open a folder ...", lambda w: w.files.ask_folder(), ()
    yield "open_layers", "Take the selected layers", lambda w: w.files.add_layers(), ()
    yield "open_regions", "Take regions of a slide ...", lambda w: w.slide_regions.add_shapes(), ()
    yield "open_set", "Open a set of masks ...", lambda w: w.files.ask_open(), ()
    yield "new_set", "Begin a set of masks ...", lambda w: w.files.ask_new(), ()
    yield "save", "Save the masks ...", lambda w: w.exchange.ask_save(), ("Control-S",)
    yield "areas", "Export the areas ...", lambda w: w.exchange.ask_export(), ()
    for kind, title, run in (
        ("tiff", "TIFF", lambda w: w.export.ask("tiff")),
        ("nifti", "NIfTI", lambda w: w.export.ask("nifti")),
        ("objects", "outlines of objects for QuPath", lambda w: w.export.ask("geojson")),
        ("outlines", "outlines of classes for QuPath", lambda w: w.export.ask("geojson-classes")),
    ):
        yield f"export_{kind}", f"Export the masks as {title} ...", run, ()
    yield "whole_set", "Show each class over the whole set", lambda w: w.show_whole_set(), ()
    yield "summary", "Export the whole set as a table ...", lambda w: w.export.ask_summary(), ()
    yield "methods", "Write the methods paragraph ...", lambda w: w.export.ask_methods(), ()
    yield "pixel_size", "Size of a pixel ...", lambda w: w.exchange.ask_spacing(), ()
    yield "keys", "Show these keys", lambda w: w.show_keys(), ("F1",)


COMMANDS = {command.name: command for command in _table()}
"""Every command by its name, in the order of the cheat sheet."""
