"""Open napari with the plugin on sample figures and slides and take screenshots of it at work.

    python scripts/demo.py --out demo-output

Needs a display; `make demo` and `make docs-images` give it a virtual one where there is none. The
exit code is 1 when no panel or no similar tile was found, no slide could be opened,
no image was segmented, or none by a model that learnt from one painted image.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication, QDialog

PLUGIN = "napari-medssl"
WIDGET = "Figure separation"
SAMPLES = ("lettered_figure", "touching_figure")
WINDOW = (1280, 800)
# The model is loaded from the disk and run on what CPU there is.
PATIENCE_S = 120.0


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Keep the window alive until `is_true()`; leave with an error line when that takes long."""
    end = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > end:
            sys.exit(f"error: {what} took more than {PATIENCE_S:.0f} s.")
        QApplication.processEvents()
        time.sleep(0.01)


def settle(seconds: float = 1.0) -> None:
    """Let the window draw itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def take(viewer: Any, path: Path) -> None:
    """Write a screenshot of the whole window."""
    settle()
    viewer.screenshot(path, canvas_only=False, flash=False)
    print(f"wrote {path}")


def open_samples(viewer: Any, widget: Any) -> None:
    """Open every sample as a layer and hand it to the widget, as a user would by the menus."""
    for count, name in enumerate(SAMPLES, start=1):
        layer = viewer.open_sample(PLUGIN, name)[0]
        viewer.layers.selection = {layer}
        widget.files.add_layer()
        wait_until(lambda due=count: len(widget.session.project) == due, "Adding a layer")
        viewer.layers.remove(layer)
    wait_until(lambda: widget.session.current is not None, "Showing a figure")


def separate(viewer: Any, widget: Any) -> int:
    """Find the panels of all figures; return how many there are."""
    widget.separate_all()
    wait_until(lambda: not widget.jobs.is_busy, "Separation")
    settle(0.5)
    project = widget.session.project
    return sum(len(project.boxes(key)) for key in project)


def show_figures(viewer: Any, widget: Any, out: Path) -> None:
    """Take a screenshot of each figure with its boxes, and of the light theme."""
    for key, name in zip(list(widget.session.project), SAMPLES, strict=True):
        widget.open_figure(key)
        wait_until(lambda due=key: widget.session.current == due, "Opening a figure")
        viewer.reset_view()
        take(viewer, out / f"separation_{name}.png")
    viewer.theme = "light"
    take(viewer, out / "separation_light.png")
    viewer.theme = "dark"


def show_keys(widget: Any, out: Path) -> None:
    """Take a picture of the cheat sheet."""
    widget.show_keys()
    settle()
    for dialog in widget.findChildren(QDialog):
        if dialog.isVisible():
            dialog.grab().save(str(out / "separation_keys.png"))
            dialog.close()
            print(f"wrote {out / 'separation_keys.png'}")


def run(out: Path, drafts: Path) -> int:
    """Take the screenshots; return the number of panels found."""
    from napari_medssl.widgets.separation import SeparationWidget

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    # Not by its name: drafts of the demo must not appear among those of the user.
    widget = SeparationWidget(viewer, drafts=drafts)
    viewer.window.add_dock_widget(widget, name=WIDGET, area="right")
    open_samples(viewer, widget)
    take(viewer, out / "separation_before.png")
    panels = separate(viewer, widget)
    show_figures(viewer, widget, out)
    show_keys(widget, out)
    widget.shut_down()
    viewer.close()
    return panels


def main() -> int:
    """Parse the arguments and run; return the exit code."""
    parser = argparse.ArgumentParser(description="Take screenshots of the plugin at work.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    from demo_landmarks import run as run_landmarks  # they use what is above
    from demo_map import run as run_map
    from demo_painted import run as run_painted
    from demo_segmentation import run as run_segmentation
    from demo_similar import run as run_similar
    from demo_slides import run as run_slides

    with tempfile.TemporaryDirectory() as folder:
        panels = run(out, Path(folder))
        slides = run_slides(out, Path(folder))
        hits = run_similar(out, Path(folder))
        points = run_map(out, Path(folder))
        found = run_landmarks(out, Path(folder))
        masks = run_segmentation(out, Path(folder))
        learnt = run_painted(out, Path(folder))
    figures = f"{panels} panels found in {len(SAMPLES)} figures"
    print(f"{figures}, {slides} slides opened, {hits} similar tiles, {found} landmarks found,")
    print(
        f"{masks} images segmented, {points} points on a map, {learnt} images segmented after one"
    )
    counts = (panels, slides, hits, found, masks, points, learnt)
    return 0 if all(counts) else 1


if __name__ == "__main__":
    sys.exit(main())
