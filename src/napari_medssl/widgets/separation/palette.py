"""The widget's commands for napari's palette: each finds the open widget and runs there.

Every command of the table is a function here, `napari_medssl.widgets.separation.palette:NAME`, as
the manifest needs it. They are made on demand from the table, so that there is one list only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtWidgets import QDockWidget

from napari_medssl.widgets.separation.commands import COMMANDS
from napari_medssl.widgets.separation.widget import SeparationWidget

PLUGIN = "napari-medssl"
WIDGET = "Figure separation"
_MODULE = "napari_medssl.widgets.separation.palette"


def manifest_entries() -> list[dict[str, str]]:
    """Return what the manifest says of each command: `id`, `title` and `python_name`."""
    return [
        {
            "id": f"{PLUGIN}.{command.name}",
            "title": f"{WIDGET}: {command.title}",
            "python_name": f"{_MODULE}:{command.name}",
        }
        for command in COMMANDS.values()
    ]


def run(name: str) -> None:
    """Run a command of the table in the widget of the present window, opened if it is not there.

    What the widget refuses, it tells in its error line as ever.
    """
    from napari import current_viewer
    from napari.utils.notifications import show_warning

    viewer = current_viewer()
    if viewer is None:
        show_warning(f"No napari window is open. Open one, then the widget {WIDGET!r}.")
        return
    widget = find_widget(viewer)
    if widget is None:
        show_warning(f"The widget {WIDGET!r} was closed. Open it anew from the menu Plugins.")
        return
    COMMANDS[name].run(widget)


def find_widget(viewer: Any) -> SeparationWidget | None:
    """Return the widget docked in a viewer, in front; open one if there is none.

    None if the one that is docked has closed its project and can do nothing any more.
    """
    docked = [w for w in viewer.window.dock_widgets.values() if isinstance(w, SeparationWidget)]
    alive = [widget for widget in docked if not widget.session.project.is_closed]
    if docked and not alive:
        return None
    widget = alive[0] if alive else viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)[1]
    dock = widget.parentWidget()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    if dock is not None:
        dock.show()
        dock.raise_()  # it may be a tab behind another
    return widget if isinstance(widget, SeparationWidget) else None


def __getattr__(name: str) -> Callable[[], None]:
    """Return the function of a command (PEP 562)."""
    if name not in COMMANDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(run, name)
