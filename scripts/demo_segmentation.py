"""Take screenshots of the widget "Segmentation" on the sample views of a retina.

The pictures are in the documentation, see `docs_images.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
from demo import WINDOW, settle, take, wait_until
from demo_landmarks import write_views
from PIL import Image

from napari_medssl.widgets.segmentation import SegmentationWidget

_MM = 0.012  # a pixel of the sample, made up
_STEPS, _STEPS_SHOWN = 30, 18  # of a training that is stopped
_MOST_WAITED_S = 25


def take_all(viewer: Any, widget: SegmentationWidget, out: Path) -> None:
    """Segment, correct and look at the regions."""
    widget.segmenting.segment_all()
    wait_until(lambda: not widget.segmenting.jobs.is_busy, "Segmenting")
    widget.exchange.set_spacing(_MM)
    layer = widget.layers.layer(widget.session.image)
    layer.mode = "erase"
    layer.brush_size = 14
    layer.paint((54, 188), 0)  # a dab of the eraser, as a person would
    settle(0.5)
    take(viewer, out / "segmentation_dark.png")
    layer.mode = "pan_zoom"
    widget.regions_box.setChecked(True)
    wait_until(lambda: not widget.regions.is_busy, "Looking for regions")
    layer.visible = False
    viewer.theme = "light"
    settle(1.0)
    take(viewer, out / "segmentation_regions.png")
    viewer.theme = "dark"
    layer.visible = True
    widget.regions_box.setChecked(False)


def take_training(viewer: Any, widget: SegmentationWidget, shapes: Path, out: Path) -> None:
    """Train for a few steps, and show the stop."""
    widget.begin_training()
    panel = widget.training
    panel.kinds.setCurrentIndex(panel.kinds.findData("shape-guided"))
    panel.trainer.use_folder(shapes)
    panel.trainer.form.set_value("steps", _STEPS)
    panel.name.setText("my-vessels")
    panel.train()
    wait_until(lambda: len(panel.curve.points("loss")) >= 2, "Beginning a training")
    for _ in range(_MOST_WAITED_S):  # a curve is worth a wait, but not on a slow machine
        if len(panel.curve.points("loss")) >= _STEPS_SHOWN:
            break
        settle(1.0)
    take(viewer, out / "segmentation_train.png")
    panel.jobs.cancel()
    wait_until(lambda: not panel.jobs.is_busy, "Stopping")


def write_shapes(widget: SegmentationWidget, folder: Path) -> Path:
    """Write the masks as shapes: the demo has no eyes of another modality."""
    folder.mkdir()
    session = widget.session
    for key in session.store:
        file = session.checked_folder().mask_file(key)
        if file is not None:
            mask = np.asarray(Image.open(file).rotate(90)) > 0
            Image.fromarray(mask).save(folder / file.name)
    return folder


def run(out: Path, folder: Path, *, trains: bool = False) -> int:
    """Take the screenshots, with one of a training from shapes if asked for.

    Return the number of images segmented.
    """
    views = folder / "retina"
    if not views.is_dir():
        write_views(views)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    # Not by its name: sets and models of the demo must not be remembered as some of the user.
    widget = SegmentationWidget(viewer, None, folder / "masks", folder / "models")
    viewer.window.add_dock_widget(widget, name="Segmentation", area="right")
    take(viewer, out / "segmentation_empty.png")
    widget.files.add_paths([views])
    wait_until(lambda: widget.layers.front is not None, "Opening the images")
    take_all(viewer, widget, out)
    if trains:
        take_training(viewer, widget, write_shapes(widget, folder / "shapes"), out)
    items = widget.session.store.as_dict().values()
    segmented = sum(item.has_mask for item in items)
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return segmented
