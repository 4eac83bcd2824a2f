"""Take screenshots of the widget "Landmarks" on the sample views of a retina.

The pictures are in the documentation, see `docs_images.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from demo import WINDOW, settle, take, wait_until
from PIL import Image

from napari_medssl import _sample_data as samples
from napari_medssl.widgets.landmarks import LandmarksWidget

PLACES = {"optic disc": (81.0, 207.0), "macula": (223.0, 223.0), "upper vessel": (139.0, 103.0)}


def write_views(folder: Path) -> Path:
    """Write the sample views as files."""
    folder.mkdir()
    for pixels, options, _ in samples.retina_views():
        Image.fromarray(pixels).save(folder / f"{options['name']}.png")
    return folder


def is_idle(widget: LandmarksWidget) -> bool:
    """Say whether all images are read and compared."""
    return not (widget.matching.is_busy or widget.images.is_reading or widget.maps.is_busy)


def take_all(viewer: Any, widget: LandmarksWidget, out: Path) -> None:
    """Place landmarks and go through the states worth a picture."""
    store, front = widget.session.store, widget.session.front
    for label in PLACES:
        store.add_name(label)
    for key, place in zip(store.names(), PLACES.values(), strict=True):
        widget.session.choose(front, key)
        widget.session.place(front, *place)
        settle(0.3)
    wait_until(lambda: is_idle(widget), "Finding the landmarks")
    widget.step_queue(1)
    settle(1.0)
    take(viewer, out / "landmarks_dark.png")
    widget.session.choose(name=store.names()[0])
    widget.maps_box.setChecked(True)
    settle(0.5)
    wait_until(lambda: is_idle(widget), "Making the maps")
    widget.pages.setCurrentWidget(widget.measure)
    widget.measure.text.setPlainText(
        "'disc to macula' = distance 'optic disc' macula\n"
        "'at the disc' = angle macula 'optic disc' 'upper vessel'"
    )
    widget.measure.apply()
    viewer.theme = "light"
    settle(1.0)
    take(viewer, out / "landmarks_light.png")
    viewer.theme = "dark"


def run(out: Path, folder: Path) -> int:
    """Take the screenshots; return the number of landmarks found."""
    views = write_views(folder / "retina")
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    # Not by its name: the set of the demo must not be remembered as one of the user.
    widget = LandmarksWidget(viewer, folder=folder / "landmarks")
    viewer.window.add_dock_widget(widget, name="Landmarks", area="right")
    widget.files.add_paths([views])
    wait_until(lambda: len(widget.session.seen) == 5, "Looking at the images")
    settle(0.5)
    take_all(viewer, widget, out)
    store = widget.session.store
    found = sum(p.state == "found" for image in store.images() for p in store.points_of(image))
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return found
