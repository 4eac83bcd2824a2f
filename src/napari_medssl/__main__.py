"""`python -m napari_medssl`: napari with the plugin open, and a sample figure if asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

PLUGIN = "napari-medssl"
WIDGET = "Figure separation"
SAMPLE = "lettered_figure"


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m napari_medssl",
        description="Open napari with the MedSSL widget.",
        epilog="Example: python -m napari_medssl --sample",
    )
    parser.add_argument("files", nargs="*", help="images to open")
    parser.add_argument("--sample", action="store_true", help="open a sample figure")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Open the window and stay until it is closed; return the exit code."""
    given = _arguments(words)
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        sys.stderr.write(
            "error: There is no display to open a window on. Log in with a desktop, or run "
            "`xvfb-run -a python -m napari_medssl`.\n"
        )
        return 2
    import napari

    viewer = napari.Viewer(title="napari, MedSSL")
    open_window(viewer, files=given.files, has_sample=given.sample)
    napari.run()
    return 0


def open_window(viewer: Any, *, files: Sequence[str] = (), has_sample: bool = False) -> None:
    """Dock the widget and open images, each in full view."""
    from qtpy.QtWidgets import QApplication

    import napari_medssl.widgets.separation  # noqa: F401  the widget is docked at once then

    viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    # The dock takes its width from the canvas only now; a view fitted before would be cut off.
    QApplication.processEvents()
    if has_sample:
        viewer.open_sample(PLUGIN, SAMPLE)
    if files:
        viewer.open(list(files))
    viewer.reset_view()


if __name__ == "__main__":
    sys.exit(main())
