"""Take screenshots of "Paint a few masks, get the rest" on made-up pictures of blood smears.

The pictures are in the documentation, see `docs_images.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from demo import settle, take, wait_until
from made_smears import CLASSES, draw_smear, write_smears

from napari_medssl.widgets.segmentation import SegmentationWidget
from napari_medssl.widgets.segmentation.trainer import TrainingJob, run_training

WINDOW = (1280, 960)  # room for a list
SMEARS, PAINTED = 12, 2
REJECTED, CORRECTED, ACCEPTED, SHOWN = 3, 6, 1, 4
STEPS = 20
_SIDE = 128  # of a crop
_SHOWN_AT = 0.6  # of the training
_MOST_WAITED_S = 1800


def train_for(steps: int, job: TrainingJob, **told: Any) -> Any:
    """Train for some steps rather than a time: pictures are the same on any machine."""
    config = replace(job.config, minutes=0.0, steps=steps, size=_SIDE)
    return run_training(replace(job, config=config), **told)


def show_smear(widget: SegmentationWidget, number: int) -> int:
    """Put a picture in front; return its id."""
    key = list(widget.session.store)[number - 1]
    widget.session.choose(key)
    wait_until(lambda: widget.layers.front == key, "Opening an image")
    settle(0.3)
    return key


def paint(widget: SegmentationWidget, number: int) -> None:
    """Paint the cells of a picture, or correct them, as a person would with the brush."""
    key = show_smear(widget, number)
    layer = widget.layers.layer(key)
    mask = draw_smear(number)[1]
    where = np.nonzero(layer.data != mask)
    layer.data_setitem(where, mask[where])
    layer.refresh()
    wait_until(lambda: widget.session.store[key].is_edited, "Keeping what is painted")


def begin_training(widget: SegmentationWidget) -> None:
    """Name the classes, paint one picture and press Train."""
    for name in CLASSES:
        widget.session.name_class(widget.session.add_class(), name)
    paint(widget, PAINTED)
    widget.begin_training()
    panel = widget.training
    panel.kinds.setCurrentIndex(panel.kinds.findData("painted"))
    panel.name.setText("white-cells")
    panel.train()


def wait_training(widget: SegmentationWidget, is_enough: Callable[[], bool]) -> None:
    """Keep the window alive until there is enough, or the training has ended."""
    end = time.monotonic() + _MOST_WAITED_S
    while widget.training.jobs.is_busy and not is_enough() and time.monotonic() < end:
        settle(0.1)


def take_training(viewer: Any, widget: SegmentationWidget, steps: int, out: Path) -> None:
    """Train, show how far it is, and wait for the masks of all other pictures."""
    begin_training(widget)
    panel = widget.training

    def is_far() -> bool:
        points = panel.curve.points("loss")
        return panel.preview.has_picture and points[-1][0] >= _SHOWN_AT * steps

    wait_training(widget, is_far)
    take(viewer, out / "segmentation_paint.png")
    wait_training(widget, lambda: False)
    wait_until(lambda: not widget.segmenting.jobs.is_busy, "Segmenting")


def take_review(viewer: Any, widget: SegmentationWidget, out: Path) -> None:
    """Reject, correct and accept masks; show what was painted beside what was found."""
    show_smear(widget, REJECTED)
    widget.review.reject()
    paint(widget, CORRECTED)
    show_smear(widget, ACCEPTED)
    widget.review.accept()
    show_smear(widget, PAINTED)
    show_smear(widget, SHOWN)
    widget.list.view.scrollToTop()
    for layer in viewer.layers:
        layer.visible = True
    viewer.grid.stride = 2  # an image and its mask
    viewer.grid.enabled = True
    viewer.reset_view()
    take(viewer, out / "segmentation_review.png")
    viewer.grid.enabled = False
    widget.layers.refresh()
    viewer.reset_view()


def take_uncertainty(viewer: Any, widget: SegmentationWidget, out: Path) -> None:
    """Show where the model does not know."""
    layer = widget.layers.layer(widget.session.image)
    layer.contour = 1  # the map is below the mask
    widget.doubt_box.setChecked(True)
    wait_until(lambda: not widget.uncertainty.is_busy, "Looking for what is uncertain")
    take(viewer, out / "segmentation_uncertainty.png")
    widget.doubt_box.setChecked(False)
    layer.contour = 0


def take_order(viewer: Any, widget: SegmentationWidget, out: Path) -> None:
    """Order the pictures and go on with Next until the most undecided one comes."""
    widget.list.order_box.setChecked(True)
    first = widget.list.model.key_at(0)
    for _ in range(SMEARS):
        widget.review.go_next()
        wait_until(lambda: widget.layers.front == widget.session.image, "Opening an image")
        if widget.session.image == first:
            break
    take(viewer, out / "segmentation_order.png")


def run(out: Path, folder: Path, steps: int = STEPS) -> int:
    """Take the screenshots; return the number of pictures that the model segmented."""
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    write_smears(folder / "smears", SMEARS)
    # Not by its name: sets and models of the demo must not be remembered as some of the user.
    work = partial(train_for, steps)
    widget = SegmentationWidget(viewer, None, folder / "painted", folder / "mine", work)
    viewer.window.add_dock_widget(widget, name="Segmentation", area="right")
    widget.files.add_paths([folder / "smears"])
    wait_until(lambda: widget.layers.front is not None, "Opening the images")
    take_training(viewer, widget, steps, out)
    made = sum(item.is_prediction for item in widget.session.store.as_dict().values())
    take_review(viewer, widget, out)
    take_uncertainty(viewer, widget, out)
    take_order(viewer, widget, out)
    widget.shut_down()
    settle(0.5)
    viewer.close()
    return made
