"""Commands of a widget for napari's palette: each finds the open widget and runs there.

A module `palette` in the folder of a widget makes one of these from the widget's table of commands;
the manifest names its functions, which are made on demand, so that there is one list only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from qtpy.QtWidgets import QDockWidget, QWidget

from napari_medssl.widgets._commands import Command
from napari_medssl.widgets._opening import Opening

PLUGIN = "napari-medssl"
W = TypeVar("W", bound=QWidget)


class Palette(Generic[W]):
    """The commands of one widget.

    Parameters
    ----------
    module
        Name of the module that the manifest finds the functions in.
    widget
        Name of the widget in the manifest.
    kind
        Its class.
    commands
        Its table, by name.
    is_alive
        Says whether a widget can still do anything.
    """

    def __init__(
        self,
        module: str,
        widget: str,
        kind: type[W],
        commands: Mapping[str, Command[W]],
        is_alive: Callable[[W], bool],
    ) -> None:
        self._module = module
        self.widget = widget
        self._kind = kind
        self._commands = commands
        self._is_alive = is_alive

    def manifest_entries(self) -> list[dict[str, str]]:
        """Return what the manifest says of each command: `id`, `title` and `python_name`."""
        return [
            {
                "id": f"{PLUGIN}.{command.name}",
                "title": f"{self.widget}: {command.title}",
                "python_name": f"{self._module}:{command.name}",
            }
            for command in self._commands.values()
        ]

    def run(self, name: str) -> None:
        """Run a command in the widget of the present window, opened if it is not there.

        What the widget refuses, it tells in its error line as ever.
        """
        from napari import current_viewer
        from napari.utils.notifications import show_warning

        viewer = current_viewer()
        if viewer is None:
            show_warning(f"No napari window is open. Open one, then the widget {self.widget!r}.")
            return
        widget = self.find_widget(viewer)
        if widget is None:
            show_warning(
                f"The widget {self.widget!r} was closed. Open it anew from the menu Plugins."
            )
            return
        self._commands[name].run(widget)

    def find_widget(self, viewer: Any) -> W | None:
        """Return the widget docked in a viewer, in front; open one if there is none.

        None if the one that is docked was shut down and can do nothing any more.
        """
        docked = [w for w in viewer.window.dock_widgets.values() if isinstance(w, self._kind)]
        alive = [widget for widget in docked if self._is_alive(widget)]
        if docked and not alive:
            return None
        widget = alive[0] if alive else viewer.window.add_plugin_dock_widget(PLUGIN, self.widget)[1]
        if isinstance(widget, Opening):  # from the menu, a moment ago
            widget = widget.open_now()
        dock = widget.parentWidget()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parentWidget()
        if dock is not None:
            dock.show()
            dock.raise_()  # it may be a tab behind another
        return widget if isinstance(widget, self._kind) else None

    def function(self, name: str) -> Callable[[], None]:
        """Return the function of a command, for the module's `__getattr__` (PEP 562)."""
        if name not in self._commands:
            raise AttributeError(f"module {self._module!r} has no attribute {name!r}")
        return partial(self.run, name)
