"""A program for `test_gl_context`: two slides, a Shapes layer over the upper; both of those go.

    python removal_child.py FOLDER

First the plugin only reads, then the widget "Find similar" draws the Shapes layer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtTest import QTest
from similar_world import write_slide

from napari_medssl.state.search_examples import Area


def outline(viewer: Any, layer: Any) -> Any:
    square = np.array([(100, 100), (100, 400), (400, 400), (400, 100)])
    shapes = viewer.add_shapes(ndim=2, scale=layer.scale, units=layer.units)
    shapes.add([square], edge_width=20, face_color="transparent")
    return shapes


def remove(viewer: Any, *layers: Any) -> None:
    QTest.qWait(200)
    for layer in layers:
        viewer.layers.remove(layer)
    QTest.qWait(300)  # in which it is drawn


def show_both(viewer: Any, folder: Path) -> Any:
    """Show a slide in microns, and above it one in pixels, which is returned."""
    for name, mpp in (("microns.svs", 0.5), ("pixels.svs", None)):
        path = write_slide(folder / name, mpp=mpp)
        (added,) = viewer.open(str(path), plugin="napari-medssl")
        QTest.qWait(200)
    viewer.reset_view()
    viewer.layers.selection.active = added
    return added


def main(folder: Path) -> None:
    os.environ["NAPARI_CONFIG"] = ""
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(1280, 800)
    upper = show_both(viewer, folder)
    remove(viewer, upper, outline(viewer, upper))
    print("survived with the reader alone", flush=True)
    from napari_medssl.widgets.similar import SimilarWidget
    from napari_medssl.widgets.similar.outlines import WANTED

    viewer.layers.clear()
    widget = SimilarWidget(viewer, folder / "recent.json")
    viewer.window.add_dock_widget(widget, name="Find similar", area="right")
    upper = show_both(viewer, folder)
    QTest.qWait(100)
    front = widget.places.front
    assert front.layer is upper
    widget.outlines.show(front, [(Area(front.fingerprint, 100, 100, 300, 300), WANTED)])
    assert len(viewer.layers) == 3
    remove(viewer, upper)
    assert len(viewer.layers) == 1
    print("survived with the widget", flush=True)
    os._exit(0)  # what is asked is told: to close everything takes a second more


if __name__ == "__main__":
    main(Path(sys.argv[1]))
