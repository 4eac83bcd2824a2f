"""What a person can do in a widget: an entry of the table `commands.py` of that widget.

Keys, cheat sheet and napari's palette are made from the table. The palette knows the commands from
the manifest, which `scripts/palette_manifest.py` writes from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from napari_medssl.widgets._shortcuts import Shortcut, ShortcutRegistry

W = TypeVar("W")


@dataclass(frozen=True)
class Command(Generic[W]):
    """Something a person can do.

    `name` is its identifier in the manifest; `run` does it, in the widget that it is given; `keys`
    are as napari writes them, none for what only a button, a menu or the palette does; `group` is
    the heading in the cheat sheet.
    """

    name: str
    title: str
    group: str
    run: Callable[[W], object]
    keys: tuple[str, ...] = ()


def register_keys(keys: ShortcutRegistry, commands: Iterable[Command[W]], widget: W) -> None:
    """Add the keys of all commands; they act on a widget."""
    for command in commands:
        for key in command.keys:
            keys.add(Shortcut(key, command.title, command.group, partial(command.run, widget)))
