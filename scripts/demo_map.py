"""Take screenshots of the widget "Embedding map" on tiles of slides made up for it.

`demo.py` calls this, after the slides of `demo_similar.py` were indexed. The same pictures are in
the documentation, see `docs_images.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
from demo import WINDOW, settle, take, wait_until

from napari_medssl.widgets.embedding_map import EmbeddingMapWidget


def draw_around_a_cluster(widget: EmbeddingMapWidget) -> None:
    """Select the second cluster, as with the lasso."""
    clusters = widget.session.clusters
    key = [key for key in clusters.groups if key][1]
    widget.session.selection.replace(clusters.rows_of(key))
    settle(2.0)  # the pictures of the gallery come one by one


def take_all(viewer: Any, widget: EmbeddingMapWidget, out: Path) -> None:
    """Go through the states worth a picture."""
    take(viewer, out / "map_all.png")
    draw_around_a_cluster(widget)
    rows = widget.session.selection.rows
    widget.opener.open(int(rows[0]))
    link = widget.slides.link
    wait_until(lambda: not link.fly.is_opening, "Opening the slide of a tile")
    widget.pages.setCurrentWidget(widget.groups)
    take(viewer, out / "map_slide.png")
    widget.session.selection.clear()
    widget.canvas.centre_on(rows[:1])
    for _ in range(4):
        widget.canvas.zoom(1.4)
        settle(0.5)
    settle(2.0)
    take(viewer, out / "map_near.png")
    widget.canvas.fit()
    widget.session.color_by("torn")
    widget.pages.setCurrentWidget(widget.map_panel)
    viewer.theme = "light"
    take(viewer, out / "map_trust_light.png")
    viewer.theme = "dark"


def run(out: Path, folder: Path) -> int:
    """Take the screenshots; return how many points are on the map."""
    library = folder / "similar" / "biopsies.library"
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    # Not by its name: the library of the demo must not be remembered as one of the user.
    widget = EmbeddingMapWidget(viewer, folder / "maps.json", cache=folder / "maps")
    viewer.window.add_dock_widget(widget, name="Embedding map", area="right")
    widget.open(library)
    wait_until(lambda: widget.session.trust is not None, "Making the map")
    wait_until(lambda: widget.slides.link is not None, "Linking the slides")
    settle(1.0)
    take_all(viewer, widget, out)
    count = int(np.isfinite(widget.session.places).all(axis=1).sum())
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return count
