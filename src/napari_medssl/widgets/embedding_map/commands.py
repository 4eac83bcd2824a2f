"""All a person can do in the widget, in one table; see `widgets._commands`.

Keys act while the map has the keyboard: a click on it gives it that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_medssl.widgets._commands import Command

if TYPE_CHECKING:
    from napari_medssl.widgets.embedding_map.widget import EmbeddingMapWidget

Run = Callable[["EmbeddingMapWidget"], object]
Row = tuple[str, str, Run, tuple[str, ...]]


def _table() -> Iterator[Command[EmbeddingMapWidget]]:
    yield from _of("Map", _map())
    yield from _of("Selection", _selection())
    yield from _of("Clusters", _clusters())
    yield from _of("Files", _files())


def _of(group: str, rows: Iterator[Row]) -> Iterator[Command[EmbeddingMapWidget]]:
    for name, title, run, keys in rows:
        yield Command(f"map_{name}", title, group, run, keys)


def _map() -> Iterator[Row]:
    yield "fit", "Show all points", lambda w: w.canvas.fit(), ("Home",)
    yield "pan", "Move the map with the mouse", lambda w: w.set_tool("pan"), ("P",)
    yield "lasso", "Draw around points", lambda w: w.set_tool("lasso"), ("L",)
    yield "rectangle", "Draw a rectangle", lambda w: w.set_tool("rectangle"), ("R",)
    yield "find", "Show the selection on the map", lambda w: w.show_selection(), ("F",)
    yield "layout", "Lay the map out anew", lambda w: w.lay_out(), ()


def _selection() -> Iterator[Row]:
    yield "all", "Select all points that are shown", lambda w: w.bar.all(), ("Control-A",)
    yield "invert", "Turn the selection over", lambda w: w.bar.invert(), ("I",)
    yield "clear", "Select nothing", lambda w: w.clear(), ("Escape",)
    yield "back", "The selection before", lambda w: w.bar.back(), ("Alt-Left",)
    yield "forward", "The next selection again", lambda w: w.bar.forward(), ("Alt-Right",)
    yield "keep_picked", "Select what is picked", lambda w: w.keep_picked(), ("K",)
    yield (
        "label",
        "Label next what is selected, in Segmentation",
        lambda w: w.label_next(),
        ("Shift-L",),
    )
    yield "neighbours", "Select the nearest of what is selected", lambda w: w.add_near(), ("N",)


def _clusters() -> Iterator[Row]:
    yield "assign", "Put the selection into the cluster named", lambda w: w.groups.assign(), ("A",)
    yield "cluster", "Make clusters anew", lambda w: w.groups.cluster(), ()
    yield "learn", "Learn from the groups marked in the legend", lambda w: w.learn(), ()
    yield "accept", "Accept what is suggested for the selection", lambda w: w.learning.accept(), ()
    yield "undo", "Undo the last edit of clusters", lambda w: w.undo(), ("Control-Z",)
    yield "redo", "Redo it", lambda w: w.redo(), ("Control-Shift-Z",)


def _files() -> Iterator[Row]:
    yield "open", "Open pictures ...", lambda w: w.opening.ask_folder(), ("Control-O",)
    yield "open_table", "Open embeddings ...", lambda w: w.opening.ask_table(), ()
    yield "open_library", "Open a library of tiles ...", lambda w: w.opening.ask_library(), ()
    yield "export", "Export the points as a table ...", lambda w: w.export.ask_export(), ()
    yield "picture", "Save the map as a picture ...", lambda w: w.export.ask_picture(), ()
    yield "open_picture", "Open the point that is picked", lambda w: w.open_picked(), ("Return",)
    yield "keys", "Show these keys", lambda w: w.show_keys(), ("F1",)


COMMANDS = {command.name: command for command in _table()}
