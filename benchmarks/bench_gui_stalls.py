"""Measure how long the window stands still in our widgets.

Run it under Xvfb: `xvfb-run -a python benchmarks/bench_gui_stalls.py`. Every action runs in a fresh
process with a real viewer and real clicks and keys. A timer of 5 ms beats on the GUI thread; a
gap between two beats is a stall. A watchdog thread looks at the stack of the GUI thread during a
gap, which tells our code from napari's. Where the watchdog itself could not run and did not wait
for a processor, a thread held Python's lock (GIL): that is put down to us, with what the other
threads were doing.

Figures are those of MEDSSL_DATA or ../shared/data if they are there, else simulated ones.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import linecache
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench_figures import device_name, find_figures, write_section

BEAT_MS = 5
SHORTEST_S = 0.02  # gaps below are not kept
LIMIT_MS = 50
MANY, ALL, ROWS = 500, 20, 20_000
LARGE, LARGE_SIZE = 4, (4000, 3000)  # images, pixels
_OURS = f"{os.sep}napari_medssl{os.sep}"
_THEIRS = ("napari", "vispy", "superqt", "app_model", "magicgui", "npe2", "npe2api", "OpenGL")
_WAITING = re.compile(r"\.(read|readinto|write|get|wait|join|sleep|recv|fsync)\(")
_WAITING_IN = ("threading.py", "queue.py", "selectors.py", "connection.py", "popen_fork.py")
_HEAD = re.compile(r"hread 0x([0-9a-f]+)")
_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')
Stack = list[tuple[str, int, str]]


class Watch:
    """Beat on the GUI thread and look at it from another; `rows` sums up what was seen.

    Parameters
    ----------
    sample_s
        Seconds between two looks during a gap.
    """

    def __init__(self, sample_s: float = 0.002) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._sample_s, self._main = sample_s, threading.main_thread().ident or 0
        self._dump = tempfile.TemporaryFile("w+")  # noqa: SIM115 - for the whole life
        self._beat_at = time.perf_counter()
        self._samples: list[tuple[float, str, str]] = []
        self.gaps: list[tuple[float, float]] = []
        self.queued: list[float] = []
        self.blind: list[tuple[float, float]] = []  # how long the watchdog had no processor
        self._queued = queued_s()
        self._ends = False
        self._collecting_since = 0.0
        self.collections: list[tuple[float, float]] = []
        gc.callbacks.append(self._note_collection)
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
        self._thread.start()

    def clear(self) -> None:
        """Forget what was seen."""
        self._samples.clear()
        self.gaps.clear()
        self.queued.clear()
        self.blind.clear()
        self._beat_at = time.perf_counter()

    def close(self) -> None:
        """Stop both."""
        self._beat()
        self._timer.stop()
        self._ends = True
        self._thread.join()

    def _beat(self) -> None:
        now = time.perf_counter()
        queued = queued_s()
        if now - self._beat_at > SHORTEST_S:
            self.gaps.append((self._beat_at, now))
            self.queued.append(queued - self._queued)
        self._beat_at, self._queued = now, queued

    def _note_collection(self, phase: str, info: dict[str, int]) -> None:
        """Put a garbage collection down to Python, not to the line in which it happened."""
        now = time.perf_counter()
        if phase == "start":
            self._collecting_since = now
        elif now - self._collecting_since > 0.01:
            self.collections.append((self._collecting_since, now))

    def _look(self) -> None:
        last, waited = time.perf_counter(), queued_s()
        while not self._ends:
            time.sleep(self._sample_s)
            now, waits = time.perf_counter(), queued_s()
            if now - self._beat_at > 2 * BEAT_MS / 1000:
                stacks = self._stacks()
                owner, where = told_apart(stacks.get(self._main, []))
                if now - last - (waits - waited) > 0.02:  # Python's lock was held
                    owner, where = who_held(stacks, self._main, owner, where)
                self._samples.append((now, owner, where))
            self.blind.append((now, waits - waited))
            last, waited = now, waits

    def _stacks(self) -> dict[int, Stack]:
        """Return the stack of every thread, innermost frame first.

        As text: to hold a frame of another thread would keep its painters alive and destroy them
        in this one.
        """
        self._dump.seek(0)
        self._dump.truncate()
        faulthandler.dump_traceback(self._dump, all_threads=True)
        self._dump.seek(0)
        stacks: dict[int, Stack] = {}
        for line in self._dump.read().splitlines():
            if head := _HEAD.search(line):
                stack = stacks.setdefault(int(head[1], 16), [])
            elif frame := _FRAME.search(line):
                stack.append((frame[1], int(frame[2]), frame[3]))
        return stacks

    def rows(self) -> list[dict[str, Any]]:
        """Return the gaps with the milliseconds of each owner and where ours went."""
        found = []
        for (start, end), queued in zip(self.gaps, self.queued, strict=True):
            shares: Counter[str] = Counter()
            places: Counter[str] = Counter()
            last = start
            for at, owner, where in [s for s in self._samples if start < s[0] <= end]:
                if any(last < stop and begin < at for begin, stop in self.collections):
                    owner, where = "Python", "garbage collection"
                shares[owner] += at - last
                places[f"{owner}: {where}"] += at - last
                last = at
            if last < end and not shares:
                collects = any(start < stop and begin < end for begin, stop in self.collections)
                blind = sum(waited for at, waited in self.blind if start < at <= end + 0.05)
                shares["Python" if collects else "unknown"] = max(0.0, end - start - blind)
            found.append(
                {
                    "ms": (end - start) * 1000,
                    "queued": queued * 1000,
                    "shares": {name: 1000 * value for name, value in shares.items()},
                    "places": {n: round(1000 * v) for n, v in places.most_common(6)},
                }
            )
        return found


def queued_s() -> float:
    """Return the seconds that the calling thread has waited for a processor; 0 if not known."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def told_apart(stack: Stack) -> tuple[str, str]:
    """Return whose code a stack is in, by its innermost frame of a known owner, and where."""
    if stack and Path(stack[0][0]).name == "_waiting.py":  # its loop; what it calls is above it
        return "Qt", "event loop"
    for path, line, function in stack:
        place = f"{Path(path).name}:{line} {function}"
        if _OURS in path:
            return "ours", place
        parts = Path(path).parts
        if any(name in parts for name in _THEIRS):
            return "napari", place
    return "Qt", "event loop"


def who_held(stacks: dict[int, Stack], main: int, owner: str, where: str) -> tuple[str, str]:
    """Return the thread that most likely held the GIL.

    One that is importing; else, where the main one just waits for events, one of ours at work.
    """
    others = [stack for number, stack in stacks.items() if number != main]
    for stack in others:
        if any("importlib" in path for path, _, _ in stack):
            return "ours", f"a thread imports: {told_apart(stack)[1]}"
    if where == "event loop":
        for stack in others:
            if told_apart(stack)[0] == "ours" and not is_waiting(stack):
                return "ours", f"a thread: {told_apart(stack)[1]}"
    return owner, where


def is_waiting(stack: Stack) -> bool:
    """Say whether a thread waits for another, a clock or a pipe, by the line that it is in."""
    path, line, _ = stack[0]
    if Path(path).name in _WAITING_IN:
        return True
    return _WAITING.search(linecache.getline(path, line)) is not None


# -- the window --------------------------------------------------------------------------------


class Window:
    """A shown viewer with the widget, and hands for it."""

    def __init__(self, folder: Path) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        self.app = QApplication.instance() or QApplication([])
        self.folder = folder
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.viewer.window.resize(1280, 800)
        self.settle(0.5)
        self.watch = Watch()
        self.settle(0.2)

    def dock(self, docked: Any) -> None:
        """Dock a widget as its menu entry does, and wait until it is there."""
        os.environ["XDG_DATA_HOME"] = str(self.folder / "user")
        dock = self.viewer.window.add_dock_widget(
            docked(self.viewer), name=docked.title, area="right"
        )
        self.until(lambda: type(dock.widget()).__name__ == docked.kind)
        self.widget = dock.widget()

    def add_widget(self) -> None:
        """Dock the widget "Figure separation"."""
        from napari_medssl.widgets.separation import SeparationWidget

        self.widget = SeparationWidget(self.viewer, None, self.folder / "drafts")
        self.viewer.window.add_dock_widget(self.widget, name="Figure separation", area="right")

    def add_landmarks(self) -> None:
        """Dock the widget "Landmarks"."""
        from napari_medssl.widgets.landmarks import LandmarksWidget

        self.widget = LandmarksWidget(self.viewer, folder=self.folder / "landmarks")
        self.viewer.window.add_dock_widget(self.widget, name="Landmarks", area="right")

    def look_at(self, figures: list[Path]) -> None:
        """Open images in "Landmarks" and wait until all are looked at."""
        self.widget.files.add_paths(figures)
        self.until(lambda: self.widget.session.store.images() and self.is_matched())

    def add_segmentation(self) -> None:
        """Dock the widget "Segmentation"."""
        from napari_medssl.widgets.segmentation import SegmentationWidget

        self.widget = SegmentationWidget(self.viewer, folder=self.folder / "masks")
        self.viewer.window.add_dock_widget(self.widget, name="Segmentation", area="right")

    def see_first(self, figures: list[Path]) -> None:
        """Open images in "Segmentation" and wait until the first is on the canvas."""
        self.widget.files.add_paths(figures)
        self.until(lambda: self.widget.layers.layer(self.widget.session.image) is not None)

    def see(self, key: int) -> Any:
        """Put an image of "Segmentation" in front; return the layer of its mask."""
        layers = self.widget.layers
        self.widget.session.choose(key)
        self.until(lambda: layers.front == key and not layers.is_reading)
        return layers.layer(key)

    def paint(self, count: int) -> None:
        """Paint disks into the masks of the first images of "Segmentation"."""
        for key in list(self.widget.session.store)[:count]:
            layer = self.see(key)
            height, width = layer.data.shape
            layer.brush_size = min(height, width) // 12
            for row in range(1, 8):
                for column in range(1, 8):
                    layer.paint((height * row // 8, width * column // 8), 1)
            self.until(lambda: not self.widget.layers.is_waiting)
        self.widget.session.folder.flush()

    def is_at_rest(self) -> bool:
        """Say whether "Segmentation" has saved and counted all that there is."""
        widget, folder = self.widget, self.widget.session.folder
        is_busy = widget.segmenting.jobs.is_busy or widget.layers.is_reading
        is_due = widget.layers.is_waiting or widget.areas.is_waiting
        return not (is_busy or is_due) and folder is not None and folder.is_saved

    def segment_all(self) -> None:
        """Press "Segment all" in "Segmentation" and wait until all have a mask."""
        self.click(self.widget.segment_all_button)
        self.until(lambda: not self.widget.segmenting.jobs.is_busy)
        assert all(item.has_mask for item in self.widget.session.store.as_dict().values())

    def add_map(self) -> None:
        """Dock the widget "Embedding map"."""
        from napari_medssl.widgets.embedding_map import EmbeddingMapWidget

        place = self.folder
        self.widget = EmbeddingMapWidget(
            self.viewer, place / "maps.json", cache=place / "maps", groups=place / "groups"
        )
        self.viewer.window.add_dock_widget(self.widget, name="Embedding map", area="right")

    def make_map(self) -> None:
        """Open embeddings in "Embedding map" and wait until their map is finished."""
        self.widget.open(self.folder / "map.npy")
        self.until(lambda: self.widget.session.trust is not None, timeout_s=600)
        self.until(lambda: not self.widget.canvas.is_drawing)

    def is_matched(self) -> bool:
        """Say whether all images are looked at and compared."""
        widget = self.widget
        return not (widget.matching.is_busy or widget.images.is_reading or widget.maps.is_busy)

    def settle(self, seconds: float) -> None:
        """Let Qt work in its own loop for some time."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    def in_loop(self, act: Callable[[], None]) -> None:
        """Do something as Qt does it for a click: called by the event loop."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(0, lambda: (act(), loop.quit()))
        loop.exec()

    def until(self, holds: Callable[[], Any], timeout_s: float = 180.0) -> None:
        """Let Qt work until a condition holds."""
        end = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError("the action did not come to an end")
            self.settle(0.02)

    def click(self, button: Any) -> None:
        """Click a button with the mouse."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def open(self, paths: list[Path]) -> None:
        """Open figures and wait until the first is in front."""
        self.widget.files.add_paths(paths)
        self.until(lambda: self.widget.session.current is not None)

    def open_many(self) -> None:
        """Open the project of many figures and change every one."""
        from napari_medssl.io.boxes import Box

        self.widget.files.open_project(self.folder / "many.medssl")
        self.until(lambda: len(self.widget.session.project) == MANY)
        self.until(lambda: self.widget.session.current is not None)
        project = self.widget.session.project
        for number, key in enumerate(project.keys()):
            project.store(key).add(Box(1, 1, 30 + number % 10, 40))
        self.settle(3)


def open_widget(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Open the widget."""
    from napari_medssl.widgets.docks import Separation

    return lambda: window.dock(Separation)


def first_figure(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Open the first figure."""
    window.add_widget()
    return lambda: window.open(figures[:1])


def separate_first(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Separate, for the first time."""
    window.add_widget()
    window.open(figures[:3])

    def act() -> None:
        window.click(window.widget.separate_button)
        window.until(lambda: window.widget.session.store and len(window.widget.session.store))

    return act


def separate_again(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Separate the next figure."""
    separate_first(window, figures)()
    next_figure(window, [])()

    def act() -> None:
        window.click(window.widget.separate_button)
        window.until(lambda: len(window.widget.session.store))

    return act


def separate_all(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Separate all, of 20 figures, for the first time."""
    window.add_widget()
    window.open(figures[:ALL])

    def act() -> None:
        window.click(window.widget.separate_all_button)
        window.until(lambda: not window.widget.jobs.is_busy)
        project = window.widget.session.project
        assert all(project.boxes(key) for key in project)

    return act


def next_figure(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Go to the next figure."""
    if figures:
        window.add_widget()
        window.open(figures[:3])
        window.settle(3)

    def act() -> None:
        session = window.widget.session
        former = session.current
        window.click(window.widget.review.next)
        window.until(lambda: session.current != former and not window.widget.display.is_opening)

    return act


def open_project(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Open a project of 500 figures."""
    window.add_widget()
    window.open(figures[:1])
    window.settle(2)

    def act() -> None:
        window.widget.files.open_project(window.folder / "many.medssl")
        window.until(lambda: len(window.widget.session.project) == MANY)
        window.until(lambda: window.widget.session.current is not None)

    return act


def save_as(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Save as, with 500 figures changed."""
    from qtpy.QtWidgets import QFileDialog

    window.add_widget()
    window.open_many()
    target = window.folder / "saved.medssl"
    QFileDialog.getSaveFileName = staticmethod(lambda *_, **__: (str(target), ""))

    def act() -> None:
        window.widget.files.ask_save_as()
        window.until(lambda: window.widget.session.project.folder == target)

    return act


def close_window(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Close the window, with 500 figures changed."""
    window.add_widget()
    window.open_many()

    def act() -> None:
        window.viewer.window._qt_window.close()
        window.until(lambda: window.widget.session.project.is_closed)

    return act


def open_landmarks(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Landmarks: open the widget."""
    from napari_medssl.widgets.docks import Landmarks

    return lambda: window.dock(Landmarks)


def look_at_images(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Landmarks: open 20 images and look at them."""
    window.add_landmarks()
    window.settle(2)
    return lambda: window.look_at(figures[:ALL])


def place_landmark(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Landmarks: place one and find it in 19 others."""
    window.add_landmarks()
    window.look_at(figures[:ALL])
    session = window.widget.session

    def act() -> None:
        session.place(session.front, 60.0, 60.0)
        window.until(window.is_matched)

    return act


def open_segmentation(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: open the widget."""
    from napari_medssl.widgets.docks import Segmentation

    return lambda: window.dock(Segmentation)


def see_images(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: open 20 images and see the first."""
    window.add_segmentation()
    window.settle(2)
    return lambda: window.see_first(figures[:ALL])


def begin_training(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: train, until the first example is shown."""
    window.add_segmentation()
    window.see_first(figures[:ALL])
    window.paint(2)
    training = window.widget.training
    window.widget.pages.setCurrentIndex(1)
    training.trainer.quick.setChecked(True)

    def act() -> None:
        window.click(training.train_button)
        window.until(lambda: training.preview.has_picture, timeout_s=900)

    return act


def draw_training(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: draw a training of 3,000 steps, up to 1,000 a second."""
    window.add_segmentation()
    window.see_first(figures[:1])
    window.paint(1)
    training = window.widget.training
    window.widget.pages.setCurrentIndex(1)
    training._work = feign_training

    def act() -> None:
        window.click(training.train_button)
        window.until(lambda: not training.jobs.is_busy)

    return act


def feign_training(job: Any, *, on_progress: Callable[[Any], None], should_stop: Any) -> Any:
    """Report the steps of a training that learns nothing."""
    from napari_medssl.backend.jobs import Cancelled, Progress

    names = ("loss", "supervised", "pseudo", "global")
    for step in range(1, 3_001):
        losses = dict.fromkeys(names, 1 / step + (step * 7919 % 97) / 97)
        on_progress(Progress(step, 3_000, f"step {step}", losses))
        time.sleep(0.001)
    raise Cancelled


def segment_images(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: segment all, of 20 images, for the first time."""
    window.add_segmentation()
    window.see_first(figures[:ALL])
    return window.segment_all


def accept_mask(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: accept a mask and see the next image."""
    window.add_segmentation()
    window.see_first(figures[:3])
    window.segment_all()
    window.settle(2)
    session = window.widget.session

    def act() -> None:
        former = session.image
        window.click(window.widget.review.accept_button)
        window.until(lambda: window.widget.layers.front not in (None, former))

    return act


def tell_methods(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: write the methods of 3 masks."""
    from qtpy.QtWidgets import QFileDialog

    window.add_segmentation()
    window.see_first(figures[:3])
    window.segment_all()
    target = window.folder / "methods.md"
    QFileDialog.getSaveFileName = staticmethod(lambda *_, **__: (str(target), ""))

    def act() -> None:
        window.click(window.widget.methods_button)
        window.until(lambda: not window.widget.export.jobs.is_busy)
        assert target.exists()

    return act


def save_masks(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: save 4 masks of 12 megapixels as PNG."""
    out = open_large(window, figures)

    def act() -> None:
        window.click(window.widget.save_button)
        window.until(lambda: not window.widget.exchange.is_busy)
        assert len(list(out.glob("*.png"))) == LARGE

    return act


def export_outlines(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: export 4 masks of 12 megapixels as GeoJSON."""
    out = open_large(window, figures)

    def act() -> None:
        window.widget.formats_button.menu().actions()[2].trigger()
        window.until(lambda: not window.widget.export.jobs.is_busy)
        assert len(list(out.glob("*.geojson"))) == LARGE

    return act


def open_large(window: Window, figures: list[Path], count: int = LARGE) -> Path:
    """Open and paint large images in "Segmentation"; return the folder that dialogs answer."""
    from PIL import Image
    from qtpy.QtWidgets import QFileDialog

    paths = [window.folder / f"large{number}.png" for number in range(count)]
    for path, figure in zip(paths, figures, strict=False):
        with Image.open(figure) as picture:
            picture.convert("RGB").resize(LARGE_SIZE).save(path, compress_level=1)
    window.add_segmentation()
    window.see_first(paths)
    window.paint(count)
    out = window.folder / "out"
    QFileDialog.getExistingDirectory = staticmethod(lambda *_, **__: str(out))
    return out


class FeignedEngine:
    """Finds stripes of three classes, and 0 nowhere; no model is asked."""

    def __init__(self) -> None:
        self.mask = feigned_mask()

    def prepare(self, config: Any, should_stop: Any = None) -> None:
        """Do nothing."""

    def segment(self, config: Any, source: str, should_stop: Any = None) -> Any:
        """Return the same mask for every image."""
        from napari_medssl.backend.segment_live import Segmented

        return Segmented(config.model, ("one", "two", "three"), self.mask)


def feigned_mask() -> Any:
    """Return a mask of 12 megapixels without a pixel of class 0."""
    import numpy as np

    width, height = LARGE_SIZE
    rows, columns = np.arange(height)[:, None] // 40, np.arange(width) // 40
    return (1 + (rows + columns) % 3).astype(np.uint8)


def open_one_large(window: Window, figures: list[Path]) -> Any:
    """Open and paint one large image; return the layer of its mask. Questions are answered yes."""
    from napari_medssl.widgets import _questions as questions

    open_large(window, figures, 1)
    questions.may = lambda *_: True
    window.widget.segmenting._engine = FeignedEngine()
    window.until(window.is_at_rest)
    return window.widget.layers.layer(window.widget.session.image)


def replace_edited(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: segment an edited mask of 12 megapixels anew."""
    layer = open_one_large(window, figures)
    due = feigned_mask()

    def act() -> None:
        window.click(window.widget.segment_button)
        window.until(window.is_at_rest)
        assert is_like(layer.data, due)

    return act


def undo_replaced(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: take back that an edited mask of 12 megapixels was made anew."""
    layer = open_one_large(window, figures)
    before = layer.data.copy()
    window.click(window.widget.segment_button)
    window.until(window.is_at_rest)
    return lambda: undo(window, layer, before)


def undo(window: Window, layer: Any, due: Any) -> None:
    """Press Ctrl+Z and wait until all is as it was."""
    window.widget.review.undo()
    window.until(window.is_at_rest)
    assert is_like(layer.data, due)


def is_like(mask: Any, due: Any) -> bool:
    """Say whether two masks are the same at some pixels: to compare all would be a stall."""
    return bool((mask[::97, ::89] == due[::97, ::89]).all())


def reject_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: reject a mask of 12 megapixels over strokes and bring it back."""
    layer = open_one_large(window, figures)
    window.click(window.widget.segment_button)
    window.until(window.is_at_rest)
    made = layer.data.copy()
    none = made * 0

    def act() -> None:
        for is_there in (False, True):
            window.click(window.widget.review.reject_button)
            window.until(window.is_at_rest)
            assert is_like(layer.data, made if is_there else none)

    return act


def accept_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: accept a mask of 12 megapixels, and see the next image of that size."""
    open_large(window, figures, 2)
    session = window.widget.session
    window.widget.segmenting._engine = FeignedEngine()
    former = session.image
    from napari_medssl.widgets import _questions as questions

    questions.may = lambda *_: True
    window.click(window.widget.segment_button)
    window.until(window.is_at_rest)

    def act() -> None:
        window.click(window.widget.review.accept_button)
        session.choose(next(key for key in session.store if key != former))
        window.until(window.is_at_rest)
        assert session.store[former].review == "accepted"

    return act


def read_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: see an image of 12 megapixels that has a mask of another session."""
    open_large(window, figures, 1)
    folder = window.widget.session.folder.folder
    window.widget.files.close_set()
    window.settle(1)

    def act() -> None:
        window.widget.files.open(folder)
        window.until(lambda: window.widget.layers.front is not None)
        window.until(window.is_at_rest)

    return act


def fill_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: fill all of a mask of 12 megapixels."""
    layer = open_one_large(window, figures)

    def act() -> None:
        fill_layer(layer)
        window.until(window.is_at_rest)

    return act


def undo_fill(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: take back the fill of a mask of 12 megapixels."""
    layer = open_one_large(window, figures)
    before = layer.data.copy()
    fill_layer(layer)
    window.until(window.is_at_rest)
    return lambda: undo(window, layer, before)


def polygon_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: draw a polygon around most of a mask of 12 megapixels."""
    layer = open_one_large(window, figures)

    def act() -> None:
        draw_polygon(layer)
        window.until(window.is_at_rest)

    return act


def stroke_large(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: paint over 12 megapixels with a brush of 600 pixels."""
    layer = open_one_large(window, figures)

    def act() -> None:
        for _ in stroke(layer):
            window.settle(0.02)
        window.until(window.is_at_rest)

    return act


def fill_plain(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Segmentation: (napari alone) fill, polygon and strokes in a layer of 12 megapixels."""
    layer = plain_layer(window)

    def act() -> None:
        fill_layer(layer)
        window.settle(1)
        layer.undo()
        window.settle(1)
        draw_polygon(layer)
        window.settle(1)
        for _ in stroke(layer):
            window.settle(0.02)

    return act


def plain_layer(window: Window) -> Any:
    """Return a Labels layer over an image, with no widget of ours."""
    import numpy as np

    class Widget:
        def shut_down(self) -> None:
            """Do nothing."""

    window.widget = Widget()
    height, width = LARGE_SIZE[::-1]
    window.viewer.add_image(np.zeros((height, width, 3), np.uint8), rgb=True)
    layer = window.viewer.add_labels(np.zeros((height, width), np.uint8))
    window.settle(1)
    return layer


def fill_layer(layer: Any) -> None:
    """Fill what is not painted, from the corner."""
    layer.fill((1, 1), 2)


def draw_polygon(layer: Any) -> None:
    """Draw around all but a rim."""
    height, width = layer.data.shape
    corners = [(99, 99), (99, width - 99), (height - 99, width - 99), (height - 99, 99)]
    layer.paint_polygon(corners, 3)


def stroke(layer: Any) -> Iterator[None]:
    """Paint a zigzag over all as one stroke, giving way after each move of the mouse."""
    layer.brush_size = 600
    layer.mode = "paint"
    height, width = layer.data.shape
    last = (0, 0)
    with layer.block_history():
        for row in range(0, height, 300):
            for column in range(0, width, 200):
                layer._draw(4, last, (row, column))
                last = (row, column)
                yield


def open_map(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Embedding map: open the widget."""
    from napari_medssl.widgets.docks import EmbeddingMap

    return lambda: window.dock(EmbeddingMap)


def form_map(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Embedding map: make the map of 20,000 rows."""
    window.add_map()
    window.settle(2)
    return window.make_map


def select_on_map(window: Window, figures: list[Path]) -> Callable[[], None]:
    """Embedding map: draw around half of 20,000 points."""
    window.add_map()
    window.make_map()
    window.settle(2)
    canvas = window.widget.canvas
    x0, y0, x1, y1 = canvas.rows.bounds
    middle = (x0 + x1) / 2

    def act() -> None:
        canvas.choose_in([(x0, y0), (middle, y0), (middle, y1), (x0, y1)], "replace")
        window.until(lambda: not canvas.is_drawing)

    return act


ACTIONS = (
    open_widget,
    first_figure,
    separate_first,
    separate_again,
    separate_all,
    next_figure,
    open_project,
    save_as,
    close_window,
    open_landmarks,
    look_at_images,
    place_landmark,
    open_segmentation,
    see_images,
    begin_training,
    draw_training,
    segment_images,
    accept_mask,
    tell_methods,
    save_masks,
    export_outlines,
    replace_edited,
    undo_replaced,
    reject_large,
    accept_large,
    read_large,
    fill_large,
    undo_fill,
    polygon_large,
    stroke_large,
    fill_plain,
    open_map,
    form_map,
    select_on_map,
)


def measure(name: str, folder: Path) -> None:
    """Do one action in this process and print what was seen, as JSON."""
    action = next(each for each in ACTIONS if each.__name__ == name)
    figures = [Path(line) for line in (folder / "figures.txt").read_text().splitlines()]
    window = Window(folder)
    act = action(window, figures)
    window.settle(2)
    window.watch.clear()
    started = time.perf_counter()
    window.in_loop(act)
    took = time.perf_counter() - started
    if action is not close_window:
        window.settle(1)
    window.watch.close()
    print("RESULT", json.dumps({"took_ms": took * 1000, "gaps": window.watch.rows()}), flush=True)
    sys.stderr.flush()
    if action is not close_window:
        window.widget.shut_down()
    os._exit(0)


# -- all of them -------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    """Write the list of figures and the project of many."""
    from PIL import Image

    from napari_medssl.backend.figure_pool import SimulateConfig, make_simulator
    from napari_medssl.io.boxes import Box
    from napari_medssl.methods.simcfs.pool import Pool, made_textures
    from napari_medssl.state.project import Project

    write_embeddings(folder)
    paths = [ref.path for ref in find_figures(None, ALL)]
    simulator = make_simulator(Pool(made_textures()), SimulateConfig()) if not paths else None
    while simulator is not None and len(paths) < ALL:
        path = folder / f"figure{len(paths):02}.png"
        Image.fromarray(simulator.figure(len(paths)).image).save(path)
        paths.append(path)
    (folder / "figures.txt").write_text("\n".join(map(str, paths)))
    many = [folder / f"many{number:03}.png" for number in range(MANY)]
    for path in many:
        Image.new("RGB", (400, 300), "white").save(path)
    with Project.create(folder / "many.medssl") as project:
        for key in project.add_images((path, None) for path in many):
            store = project.store(key, (400, 300))
            boxes = [Box(100 * (i % 4), 140 * (i // 4), 100 * (i % 4) + 90, 130) for i in range(4)]
            (first, *_) = store.add(*boxes)
            for step in range(8):
                store.resize(first, x1=80.0 + step)


def write_embeddings(folder: Path) -> None:
    """Write the embeddings that a map is made of, with the names of their rows beside them."""
    import numpy as np

    rng = np.random.default_rng(0)
    middles = rng.normal(size=(12, 64))
    rows = middles[rng.integers(0, 12, ROWS)] + rng.normal(0, 0.7, (ROWS, 64))
    np.save(folder / "map.npy", rows.astype(np.float32))
    names = "\n".join(f"tile{number:05}.png" for number in range(ROWS))
    (folder / "map.csv").write_text(f"image\n{names}\n")


def run(name: str, folder: Path) -> dict[str, Any]:
    """Measure one action in a fresh process."""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        __file__,
        "--action",
        name,
        "--folder",
        str(folder),
    ]
    environment = {**os.environ, "NAPARI_CONFIG": "", "XDG_DATA_HOME": str(folder / "data")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"{name} gave no result (exit {done.returncode}):\n{done.stderr[-3000:]}")


def main() -> None:
    """Measure all actions, print the table and put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--action", choices=[each.__name__ for each in ACTIONS])
    parser.add_argument("--of", default="", help="only actions of this widget: 'Segmentation'")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per action")
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        measure(arguments.action, arguments.folder)
    chosen = [a for a in ACTIONS if arguments.action in (None, a.__name__)]
    chosen = [a for a in chosen if (a.__doc__ or "").startswith(arguments.of)]
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    lines = [
        f"Device: {device_name('cpu')}; load of the machine at the start {load}. "
        f"Heartbeat {BEAT_MS} ms; {arguments.repeats} fresh processes per action, "
        "the worst gap of all; figures in ms. What is ours shall stay "
        f"under {LIMIT_MS} ms. Processor: the longest wait of the thread for one, while other "
        "programs or our own compute process had all; it is taken off the columns before. "
        "Theirs is napari's, Qt's and Python's (garbage collection).",
        "",
        "| action | until done | longest gap | ours in one gap | theirs in one gap | processor |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for action in chosen:
        rows = []
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as name:
                prepare(Path(name))
                rows.append(run(action.__name__, Path(name)))
        lines.append(summed(action, rows))
        print(lines[-1], flush=True)
        show_worst(rows)
    text = "\n".join(lines)
    print(text)
    if not arguments.dry_run and arguments.action is None:
        of, script = arguments.of, Path(__file__).name
        name, title = f"stalls {of.lower()}".rstrip(), f"Stalls of the window: {of}".rstrip(": ")
        write_section(text, name, title, f"{script} --of {of}" if of else script)


def summed(action: Callable[..., Any], rows: list[dict[str, Any]]) -> str:
    """Return the line of the table."""
    gaps = [gap for row in rows for gap in row["gaps"]]
    title = (action.__doc__ or "").removesuffix(".")
    took = sorted(row["took_ms"] for row in rows)[len(rows) // 2]
    cells = [
        took,
        max((gap["ms"] for gap in gaps), default=0),
        max((share(gap, "ours", "unknown") for gap in gaps), default=0),
        max((share(gap, "napari", "Qt", "Python") for gap in gaps), default=0),
        max((gap["queued"] for gap in gaps), default=0),
    ]
    return f"| {title} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |"


def share(gap: dict[str, Any], *owners: str) -> float:
    """Return the milliseconds of owners in a gap, without their part of waiting for a processor."""
    working = max(0.0, 1 - gap["queued"] / gap["ms"])
    return working * sum(gap["shares"].get(owner, 0) for owner in owners)


def show_worst(rows: list[dict[str, Any]]) -> None:
    """Print where the worst gaps went, for whoever mends them."""
    gaps = sorted((g for r in rows for g in r["gaps"]), key=lambda g: -g["ms"])
    for gap in gaps[:3]:
        print(f"    {gap['ms']:.0f} ms, processor {gap['queued']:.0f} ms", gap["places"])
    mine = sorted(gaps, key=lambda g: -share(g, "ours"))[:2]
    for gap in mine:
        print(f"    ours {share(gap, 'ours'):.0f} ms", gap["places"])


if __name__ == "__main__":
    main()
