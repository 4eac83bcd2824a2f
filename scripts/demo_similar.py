"""Take screenshots of the widget "Find similar" on slides made up for it: `demo.py` calls this.

The same pictures are in the documentation, see `docs_images.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from demo import WINDOW, settle, take, wait_until

from napari_medssl import _sample_data as samples
from napari_medssl.backend.index_config import IndexConfig
from napari_medssl.backend.index_slides import index_slides
from napari_medssl.state.search_examples import Area
from napari_medssl.widgets.similar import SimilarWidget

SLIDES = {"biopsy_01": 5, "biopsy_02": 8, "resection_A": 11}
CONFIG = IndexConfig(mpp=1.0, size=112, min_tissue=0.3)


def make_library(folder: Path) -> Path:
    """Write made-up slides and index them."""
    paths = [folder / f"{name}.tif" for name in SLIDES]
    for path, seed in zip(paths, SLIDES.values(), strict=True):
        samples.write_slide(path, width=4096, height=3072, seed=seed)
    library = folder / "biopsies.library"
    index_slides([str(path) for path in paths], library, CONFIG)
    return library


def search(viewer: Any, widget: SimilarWidget, folder: Path) -> None:
    """Open a slide, pick a tile of it, and show the heatmap."""
    viewer.open(str(folder / "biopsy_01.tif"), plugin="napari-medssl")
    viewer.reset_view()
    settle(0.5)
    front, collection = widget.places.front, widget.session.collection
    tiles = collection.tiles(front.fingerprint)
    tile = tiles[len(tiles) // 3]
    middle = (float(tile["x"] + tile["size"] / 2), float(tile["y"] + tile["size"] / 2))
    widget.queries.ask_place(front, Area(front.fingerprint, *middle, 0, 0), "new")
    wait_until(lambda: bool(widget.session.hits), "Searching")
    widget.heatmap.switch.setChecked(True)
    wait_until(lambda: widget.heatmap.is_shown, "Making the heatmap")
    widget.heatmap.slider.setValue(450)
    settle(2.0)  # the pictures of the gallery come one by one


def take_all(viewer: Any, widget: SimilarWidget, out: Path) -> None:
    """Go through the states worth a picture."""
    take(viewer, out / "similar_dark.png")
    take_why(widget, out / "similar_why.png")
    widget.heatmap.switch.setChecked(False)
    widget.sign_hit(widget.session.hits[1], True)
    widget.sign_hit(widget.session.hits[-1], False)
    settle(1.0)
    widget.gallery.view.step(1)
    wait_until(lambda: not widget.fly.is_opening, "Flying to a hit")
    widget.pages.setCurrentWidget(widget.concepts)
    widget.concepts.count()
    wait_until(lambda: bool(widget.concepts.counts), "Counting")
    viewer.theme = "light"
    settle(1.0)
    take(viewer, out / "similar_light.png")
    viewer.theme = "dark"


def take_why(widget: SimilarWidget, path: Path) -> None:
    """Take a picture of a hit beside the query with the patches that correspond."""
    frame = widget.compare.frame
    widget.tools.why.setChecked(True)
    widget.gallery.view.hover(widget.gallery.view.model().index(1, 0))
    wait_until(lambda: "bring" in frame.width_words.text(), "Looking for patches")
    settle(0.3)
    frame.grab().save(str(path))
    print(f"wrote {path}")
    widget.compare.hide()
    widget.tools.why.setChecked(False)


def run(out: Path, folder: Path) -> int:
    """Take the screenshots; return the number of hits."""
    place = folder / "similar"
    place.mkdir()
    library = make_library(place)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    # Not by its name: the library of the demo must not be remembered as one of the user.
    widget = SimilarWidget(viewer, place / "recent.json")
    viewer.window.add_dock_widget(widget, name="Find similar", area="right")
    widget.choice.open(library)
    wait_until(lambda: widget.session.collection is not None, "Opening the library")
    search(viewer, widget, place)
    hits = len(widget.session.hits)
    take_all(viewer, widget, out)
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return hits
