"""All a person can do in the widget, in one table; see `widgets._commands`.

Keys act while the layer of regions is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from napari_medssl.widgets._commands import Command

if TYPE_CHECKING:
    from napari_medssl.widgets.slides.region_panel import RegionPanel
    from napari_medssl.widgets.slides.widget import SlidesWidget

Run = Callable[["SlidesWidget"], object]


def _for_marked(action: Callable[[SlidesWidget, int], object]) -> Run:
    """Return what does something to the first slide marked in the list, or the one in front."""

    def run(widget: SlidesWidget) -> None:
        keys = widget.marked()
        if not keys:
            widget.messages.refuse("No slide is marked. Click one in the list first.")
            return
        action(widget, keys[0])

    return run


def _on_regions(action: Callable[[RegionPanel], object]) -> Run:
    """Return what does something on the page of regions, put in front."""

    def run(widget: SlidesWidget) -> None:
        widget.pages.setCurrentWidget(widget.regions)
        action(widget.regions)

    return run


def _library() -> Iterator[Command[SlidesWidget]]:
    for name, title, run in (
        ("link", "Link slides ...", lambda w: w.files.ask_slides()),
        ("link_folder", "Link the slides of a folder ...", lambda w: w.files.ask_folder()),
        ("link_store", "Link an OME-Zarr store ...", lambda w: w.files.ask_store()),
        ("link_url", "Link a URL ...", lambda w: w.files.ask_url()),
        ("new_library", "Begin a library ...", lambda w: w.files.choice.ask_new()),
        ("open_library", "Open a library ...", lambda w: w.files.choice.ask_open()),
        ("refresh", "Look for new and changed slides", lambda w: w.files.refresh()),
        ("verify", "Verify all slides", lambda w: w.files.verify()),
        ("hide_names", "Hide or show names", lambda w: w.mask_entry.trigger()),
        ("undo_list", "Undo in the list", lambda w: w.files.undo()),
        ("redo_list", "Redo in the list", lambda w: w.files.redo()),
        ("open", "Open the marked slide", _for_marked(lambda w, key: w.open_slide(key))),
        ("beside", "Open the marked slide beside", _for_marked(lambda w, k: w.open_beside(k))),
        ("link_views", "Link all views", lambda w: w.beside.set_linked(True)),
        ("unlink_views", "Unlink all views", lambda w: w.beside.set_linked(False)),
        ("take_off", "Take the marked slides off the list", lambda w: w.take_off()),
        (
            "label",
            "Show label and macro of the marked slide ...",
            _for_marked(lambda w, key: w.private.ask(key)),
        ),
        ("convert", "Convert the marked slides", lambda w: w.convert(w.marked())),
        ("whole", "Show the whole slide", lambda w: w.view.show_whole()),
        ("full_size", "Show the slide 1 : 1", lambda w: w.view.show_full_size()),
        ("go_to", "Go to a place", lambda w: w.focus_go_to()),
    ):
        yield Command(f"slides_{name}", title, "Slides", run)
    yield Command("slides_keys", "Show these keys", "Slides", lambda w: w.show_keys(), ("F1",))


def _regions() -> Iterator[Command[SlidesWidget]]:
    for mode, key, words in (
        ("select", "S", "Select and move regions"),
        ("add_rectangle", "R", "Draw a rectangle"),
        ("add_ellipse", "E", "Draw an ellipse"),
        ("add_polygon", "P", "Draw a polygon; double-click ends it"),
        ("add_polygon_lasso", "Shift-P", "Draw freehand"),
        ("direct", "D", "Move points of a region"),
    ):
        run = _on_regions(partial(_set_mode, mode))
        yield Command(f"regions_{mode}", words, "Regions", run, (key,))
    for name, keys, title, action in (
        ("undo", ("Control-Z",), "Undo", lambda panel: panel.run_undo()),
        ("redo", ("Control-Shift-Z",), "Redo", lambda panel: panel.run_redo()),
        (
            "delete",
            ("Delete", "Backspace"),
            "Delete the selected regions",
            lambda panel: panel.run_delete(),
        ),
        ("merge", ("M",), "Merge the selected regions", lambda panel: panel.run_merge()),
        ("cut_out", (), "Cut the smaller regions out of the largest", lambda p: p.run_cut()),
        ("add_class", (), "Add a class ...", lambda panel: panel.classes.ask_add()),
        ("import", (), "Import GeoJSON ...", lambda panel: panel.files.ask_import()),
        ("export", (), "Export GeoJSON ...", lambda panel: panel.files.ask_export()),
        ("find_tissue", (), "Find the tissue", lambda panel: panel.tissue.find()),
        ("tissue_region", (), "Make the tissue a region", lambda p: p.tissue.make_region()),
    ):
        yield Command(f"regions_{name}", title, "Regions", _on_regions(action), keys)


def _set_mode(mode: str, panel: RegionPanel) -> None:
    panel.layer.set_mode(mode)


COMMANDS = {command.name: command for command in (*_library(), *_regions())}
"""Every command by its name, in the order of the cheat sheet."""
