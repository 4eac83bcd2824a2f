"""Take screenshots of the widget "Slides" on slides made up for it: `demo.py` calls this.

The same pictures are in the documentation, see `docs_images.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
import shapely
from demo import WINDOW, settle, take, wait_until

from napari_medssl import _sample_data as samples
from napari_medssl.io.geojson.feature import Roi, ellipse, rectangle
from napari_medssl.widgets.slides import SlidesWidget

SLIDES = {"biopsy_01": 5, "biopsy_02": 8, "resection_A": 11, "resection_B": 12}


def write_slides(folder: Path) -> None:
    """Write made-up slides, and a file that is none, for a list with a problem in it."""
    for name, seed in SLIDES.items():
        samples.write_slide(folder / f"{name}.tif", width=4096, height=3072, seed=seed)
    (folder / "cut_off.svs").write_bytes((folder / "biopsy_01.tif").read_bytes()[:20_000])


def open_folder(widget: SlidesWidget, folder: Path) -> None:
    """Link the slides of the folder and wait until they were looked at."""
    widget.files.add_folder(folder)
    due = len(SLIDES) + 1
    wait_until(lambda: len(widget.session.library.store) == due, "Finding the slides")
    wait_until(
        lambda: all(entry.is_known for entry in widget.session.entries().values()),
        "Looking at the slides",
    )
    settle()


def show(widget: SlidesWidget, name: str) -> None:
    """Put the slide of that name in front, with its regions."""
    keys = {Path(entry.name).stem: key for key, entry in widget.session.entries().items()}
    widget.open_slide(keys[name])
    wait_until(lambda: widget.session.current == keys[name], "Opening a slide")
    wait_until(lambda: widget.regions.session.store is not None, "Opening the regions")
    wait_until(lambda: widget.view.map.has_picture, "Making the map")
    widget.offer.hide()  # not answered: the answer would be that of the user, for good
    settle(0.5)


def draw(widget: SlidesWidget) -> None:
    """Draw regions of several classes and find the tissue."""
    store = widget.regions.session.store
    tumor, stroma, immune = store.class_keys()[:3]
    store.draw(rectangle(1500, 1200, 2050, 1650), tumor, "core")
    store.draw(ellipse(2250, 900, 2750, 1300), stroma)
    angle = np.linspace(0, 2 * np.pi, 60)[:-1]
    far = 330 + 50 * np.sin(5 * angle)
    outline = np.column_stack([2500 + far * np.cos(angle), 1900 + far * np.sin(angle)])
    hole = shapely.box(2440, 1840, 2560, 1960)
    store.draw(Roi(shapely.Polygon(outline).difference(hole)), immune)
    widget.regions.session.selection.replace(store.region_keys()[-1:])
    widget.regions.tissue.find()
    wait_until(lambda: widget.regions.tissue.has_mask, "Finding the tissue")
    settle(0.5)


def show_beside(widget: SlidesWidget, name: str) -> None:
    """Put another slide beside the one in front."""
    keys = {Path(entry.name).stem: key for key, entry in widget.session.entries().items()}
    widget.open_beside(keys[name])
    views = widget.beside.views
    wait_until(lambda: bool(views) and views[-1].link.is_on, "Opening a slide beside")
    settle(0.5)


def take_all(viewer: Any, widget: SlidesWidget, folder: Path, out: Path) -> None:
    """Go through the states worth a picture."""
    take(viewer, out / "slides_empty.png")
    open_folder(widget, folder)
    show(widget, "biopsy_01")
    take(viewer, out / "slides_dark.png")
    widget.view.go_to.setText("1.1 mm, 0.8 mm")
    widget.view.go()
    viewer.theme = "light"
    take(viewer, out / "slides_light.png")
    viewer.theme = "dark"
    viewer.reset_view()
    widget.pages.setCurrentWidget(widget.regions)
    draw(widget)
    take(viewer, out / "slides_regions.png")
    show(widget, "resection_A")
    show_beside(widget, "resection_B")
    take(viewer, out / "slides_beside.png")
    widget.beside.close_all()


def run(out: Path, folder: Path) -> int:
    """Take the screenshots; return the number of slides that could be opened."""
    slides = folder / "slides"
    slides.mkdir()
    write_slides(slides)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    # Not by its name: the library of the demo must not be that of the user.
    widget = SlidesWidget(viewer, folder / "libraries")
    viewer.window.add_dock_widget(widget, name="Slides", area="right")
    settle()
    take_all(viewer, widget, slides, out)
    count = sum(entry.is_readable for entry in widget.session.entries().values())
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return count
