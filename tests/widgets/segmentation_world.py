"""A window with the widget "Segmentation", pictures, and an engine that finds what is bright."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from painted_world import SmallPainted
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from separation_world import NO_KEYS, World
from separation_world import wait_until as wait_at_most
from shape_world import SMALL

from napari_medssl._errors import UserError
from napari_medssl.backend import slide_regions, training
from napari_medssl.backend.compute_process import ComputeLostError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.region_maps import RegionMap
from napari_medssl.backend.segment_live import Segmented
from napari_medssl.io.images import read_image
from napari_medssl.io.slide_rectangles import read_rectangle
from napari_medssl.widgets import docks
from napari_medssl.widgets.segmentation import SegmentationWidget
from napari_medssl.widgets.segmentation.trainer import run_training

WIDTH, HEIGHT = 160, 120


def wait_until(holds: Any) -> None:
    """Let Qt work until a condition holds, also where other programs leave this one little."""
    wait_at_most(holds, 120.0)


def picture(number: int) -> np.ndarray:
    """A dark picture with one bright bar, elsewhere in each."""
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[20 + 10 * number : 30 + 10 * number, 30:130] = 220
    return pixels


def truth(number: int) -> np.ndarray:
    return (picture(number)[..., 0] > 100).astype(np.uint8)


def write_pictures(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"eye{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(number)).save(path)
    return paths


class BrightEngine:
    """Finds what is bright. `go` lets it wait, `bad` names files that it refuses."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.asked: list[str] = []
        self.bad: set[str] = set()
        self.refusal = ""
        self.kills: list[str] = []  # names of files that end the compute process, once each
        self.value = 1

    def prepare(self, config: Any, should_stop: Any = None) -> None:
        if self.refusal:
            raise UserError(self.refusal)

    def segment(self, config: Any, source: str, should_stop: Any = None) -> Segmented:
        self.asked.append(Path(source).name)
        while not self.go.wait(0.02):
            if should_stop():
                raise Cancelled
        if Path(source).name in self.kills:
            self.kills.remove(Path(source).name)
            raise ComputeLostError("The compute process ended by itself.")
        if Path(source).name in self.bad:
            raise UserError(f"{Path(source).name} is too small.")
        mask = (read_image(source)[..., 0] > 100).astype(np.uint8) * self.value
        return Segmented(config.model, ("vessel",), mask)

    def regions(self, model: str, device: str, source: str, should_stop: Any = None) -> RegionMap:
        if self.refusal:
            raise UserError(self.refusal)
        self.asked.append(f"regions of {Path(source).name}")
        regions = (read_image(source)[..., 0] > 100).astype(np.uint8) + 1
        return RegionMap(model, regions, ("region 1", "region 2"))


class HeldReading:
    """Reads regions as ever, but stops half way through the one of a number until `go` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.number, self.count = number, 0
        self.reached, self.go = threading.Event(), threading.Event()
        self.threads: set[threading.Thread] = set()
        monkeypatch.setattr(slide_regions, "read_rectangle", self)

    def __call__(self, slide: Any, box: Any, size: Any, *, on_rows: Any) -> Any:
        self.count += 1
        self.threads.add(threading.current_thread())
        while self.count == self.number and not self.go.wait(0.01):
            on_rows(size[1] // 2, size[1])
            self.reached.set()
        return read_rectangle(slide, box, size, on_rows=on_rows)


class SmallTraining:
    """Trains a tiny network for three steps, here or in a process of its own.

    `is_held` lets it wait after its first step until it is cancelled.
    """

    def __init__(self) -> None:
        self.is_held, self.is_in_child = False, False
        self.done: list[int] = []

    def __call__(self, job: Any, *, on_progress: Any, should_stop: Any) -> Any:
        def tell(progress: Any) -> None:
            on_progress(progress)
            if progress.values:
                self.done.append(progress.done)
            while self.is_held and progress.values and not should_stop():
                time.sleep(0.01)

        small = replace(job, config=replace(job.config, **(SMALL | {"class_name": "bar"})))
        with pytest.MonkeyPatch.context() as patch:
            if not self.is_in_child:
                patch.setattr(training, "run_in_child", lambda work, *a, **k: work(*a, **k))
            return run_training(small, on_progress=tell, should_stop=should_stop)


class SegmentationWorld(World):
    """A shown viewer with the widget docked; `begin` gives every test a fresh set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1100, 700)
        self.engine = BrightEngine()
        self.small, self.painted = SmallTraining(), SmallPainted()
        self.widget: Any = None

    def begin(self, folder: Path, count: int = 3) -> None:
        if self.widget is None:
            self.widget = SegmentationWidget(
                self.viewer, self.engine, folder / "sets", folder / "models", self._train
            )
            self.viewer.window.add_dock_widget(self.widget, name="Segmentation", area="right")
            self.session = self.widget.session
        else:
            self.widget.files.close_set()
            self.widget.regions_box.setChecked(False)
            self.widget.messages.tell("", False)
            self.widget.files._sets = folder / "sets"
            self.widget.files._recent = folder / "sets" / "recent.json"
            self.widget.training._models = folder / "models"
            self.widget.training.look_for_stopped()
            self.widget.pages.setCurrentIndex(0)
        self.engine.__init__()
        self.small.__init__()
        self.painted.__init__()
        self.settle()
        if count:
            self.paths = write_pictures(folder / "eyes", count)
            self.open(folder / "eyes")

    def _train(self, job: Any, **told: Any) -> Any:
        work = self.painted if job.trainer == "painted" else self.small
        return work(job, **told)

    def open(self, *paths: Path) -> None:
        self.widget.files.add_paths(paths)
        wait_until(lambda: not self.widget.files.is_busy)
        self.wait_shown()

    def wait_shown(self) -> None:
        """Wait until the image in front is on the canvas."""
        layers = self.widget.layers
        wait_until(lambda: layers.front is not None and not layers.is_reading)
        self.settle()

    def segment(self, *, every: bool = False) -> None:
        """Press one of the buttons and wait for the masks."""
        widget = self.widget
        self.press_button(widget.segment_all_button if every else widget.segment_button)
        wait_until(lambda: not widget.segmenting.jobs.is_busy)
        self.settle()

    def press_button(self, button: Any) -> None:
        assert button.isEnabled()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def choose(self, image: int) -> None:
        self.session.choose(image)
        self.wait_shown()

    def wait_saved(self) -> None:
        wait_until(lambda: not self.widget.layers.is_waiting)
        assert self.session.folder.flush()

    @property
    def store(self) -> Any:
        return self.session.store

    @property
    def mask_layer(self) -> Any:
        return self.widget.layers.layer(self.session.image)

    def on_canvas(self, x: float, y: float) -> QPoint:
        camera, canvas = self.viewer.scene.camera, self.canvas
        _, cy, cx = camera.center
        return QPoint(
            round((x - cx) * camera.zoom + canvas.width() / 2),
            round((y - cy) * camera.zoom + canvas.height() / 2),
        )

    def paint(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Draw with the mouse, with whatever tool of the Labels layer is chosen."""
        left = Qt.MouseButton.LeftButton
        first, last = self.on_canvas(*start), self.on_canvas(*stop)
        QTest.mouseMove(self.canvas, first)
        self.settle(0.02)
        QTest.mousePress(self.canvas, left, NO_KEYS, first)
        for part in (0.3, 0.7, 1.0, 1.0):
            self.move_pressed(first + (last - first) * part, NO_KEYS)
            self.settle(0.02)
        QTest.mouseRelease(self.canvas, left, NO_KEYS, last)
        self.settle()
        self.wait_saved()


class MenuWorld(SegmentationWorld):
    """A window whose widget is docked with the stand-in of the viewer that napari gives."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.widget = docks.Segmentation(PublicOnlyProxy(self.viewer))
        self.session = self.widget.session
        self.viewer.window.add_dock_widget(self.widget, name="Segmentation", area="right")
        self.settle(0.3)
