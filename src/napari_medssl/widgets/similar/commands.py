"""All a person can do in the widget, in one table; see `widgets._commands`.

Keys act while the canvas has the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_medssl.widgets._commands import Command

if TYPE_CHECKING:
    from napari_medssl.widgets.similar.widget import SimilarWidget

Run = Callable[["SimilarWidget"], object]


def _table() -> Iterator[Command[SimilarWidget]]:
    for name, title, group, run, keys in (
        ("pick", "Pick a tile on the slide", "Search", lambda w: w.pick.toggle("tile"), ("Q",)),
        ("box", "Draw a box on the slide", "Search", lambda w: w.pick.toggle("box"), ("Shift-Q",)),
        ("picture", "Search for a picture ...", "Search", lambda w: w.ask_picture(), ()),
        ("clear", "Take all examples away", "Search", lambda w: w.session.set_examples(()), ()),
        (
            "same_slide",
            "Leave out the same slide",
            "Search",
            lambda w: w.tools.no_slide.toggle(),
            (),
        ),
        (
            "same_patient",
            "Leave out the same patient",
            "Search",
            lambda w: w.tools.no_patient.toggle(),
            (),
        ),
        (
            "without_stain",
            "Rank with the stain taken away",
            "Search",
            lambda w: w.tools.no_stain.toggle(),
            (),
        ),
        ("next", "Go to the next hit", "Hits", lambda w: w.gallery.view.step(1), ("Shift-Right",)),
        (
            "previous",
            "Go to the hit before",
            "Hits",
            lambda w: w.gallery.view.step(-1),
            ("Shift-Left",),
        ),
        ("why", "Show why a hit is alike", "Hits", lambda w: w.tools.why.toggle(), ("Shift-W",)),
        (
            "heatmap",
            "Show or hide the heatmap",
            "Hits",
            lambda w: w.heatmap.switch.toggle(),
            ("Shift-H",),
        ),
        ("concept", "Keep the examples as a concept ...", "Search", lambda w: w.keep_concept(), ()),
        ("count", "Count similar tiles in all slides", "Hits", lambda w: w.count_slides(), ()),
        ("geojson", "Export hits as GeoJSON ...", "Hits", lambda w: w.export.ask("geojson"), ()),
        ("csv", "Export hits as CSV ...", "Hits", lambda w: w.export.ask("csv"), ()),
        ("sheet", "Export hits as contact sheet ...", "Hits", lambda w: w.export.ask("png"), ()),
        ("html", "Export hits as HTML page ...", "Hits", lambda w: w.export.ask("html"), ()),
        ("open", "Open a library ...", "Library", lambda w: w.choice.ask_open(), ()),
        ("new", "Begin a library ...", "Library", lambda w: w.choice.ask_new(), ()),
        (
            "refresh",
            "Take in slides indexed elsewhere",
            "Library",
            lambda w: w.choice.refresh(),
            (),
        ),
        ("index", "Index this slide", "Library", lambda w: w.index_front(), ()),
        (
            "hide_names",
            "Hide or show names",
            "Library",
            lambda w: w.header.mask_entry.trigger(),
            (),
        ),
        ("keys", "Show these keys", "Library", lambda w: w.show_keys(), ()),
    ):
        yield Command(f"similar_{name}", title, group, run, keys)


COMMANDS = {command.name: command for command in _table()}
"""Every command by its name, in the order of the cheat sheet."""
