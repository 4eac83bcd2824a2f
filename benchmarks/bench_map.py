"""Measure the embedding map: frames while panning and zooming, lasso, hover, standstills.

Run it under Xvfb: `xvfb-run -a python benchmarks/bench_map.py`. A million points in grouped clouds
are shown in a canvas of 1280 x 800. "Painted" is what the GUI thread spends on one frame, "sharp"
how long after a step the thread has drawn the new view; the last picture is seen moved until then.
Beside the time of the clock stands the processor's: on a busy machine the first says little.
Asked are a lasso in less than 150 ms, hover in less than 16 ms, no standstill above 50 ms.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from bench_figures import device_name, write_section
from bench_gui_stalls import Watch

from napari_medssl.widgets.embedding_map.canvas import MapCanvas

POINTS = 1_000_000
GROUPS = 14
SIZE = (1280, 800)
STEPS = 25
_TICK_MS = 16
Times = tuple[float, float]


def clouds(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places (N, 2), groups (N,) and colours (N, 3) of clouds of several kernels each."""
    share = rng.dirichlet(np.full(GROUPS, 2.0))
    group = rng.choice(GROUPS, size=count, p=share)
    centre = rng.normal(size=(GROUPS, 2)) * 6
    kernel = rng.normal(size=(GROUPS, 8, 2)) * 1.3
    spread = rng.uniform(0.15, 0.6, (GROUPS, 8, 1))
    which = rng.integers(0, 8, count)
    places = centre[group] + kernel[group, which]
    places += rng.normal(size=(count, 2)) * spread[group, which]
    colors = rng.integers(70, 240, (GROUPS, 3)).astype(np.uint8)
    return places.astype(np.float32), group, colors[group]


class Bench:
    """A shown canvas; `rows` are the lines of the table."""

    def __init__(self) -> None:
        from qtpy.QtWidgets import QApplication

        self.app = QApplication.instance() or QApplication([])
        self.canvas = MapCanvas()
        self.canvas.resize(*SIZE)
        self.canvas.show()
        self.rows: list[str] = []
        self.watch = Watch()
        self.settle(0.3)

    def settle(self, seconds: float) -> None:
        """Let Qt work in its own loop for some time."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(max(1, round(seconds * 1000)), loop.quit)
        loop.exec()

    def until_sharp(self) -> None:
        """Let Qt work until the newest view is drawn."""
        while self.canvas.is_drawing:
            self.settle(0.001)

    def add(self, name: str, times: Sequence[Times], note: str = "") -> None:
        """Add a line of the table."""
        clock, cpu = np.array(times).T
        median, high = np.percentile(clock, [50, 95])
        self.rows.append(
            f"| {name} | {median:.1f} | {high:.1f} | {clock.max():.1f} "
            f"| {np.median(cpu):.1f} | {cpu.max():.1f} | {note} |"
        )

    def steps(self, name: str, step: Callable[[int], None]) -> None:
        """Measure frames: as they are painted at once, and until they are sharp."""
        painted, sharp = [], []
        for number in range(STEPS):
            painted.append(timed(partial(self._step, step, number)))
            since = timed(self.until_sharp)
            sharp.append((painted[-1][0] + since[0], painted[-1][1] + since[1]))
        kind = self.canvas.frame.kind if self.canvas.frame else ""
        seen = f"{len(self.canvas.visible_rows()):,} in view, {kind}"
        self.add(f"{name}, painted", painted, seen)
        self.add(f"{name}, sharp", sharp)

    def _step(self, step: Callable[[int], None], number: int) -> None:
        step(number)
        self.canvas.repaint()

    def change(self, name: str, act: Callable[[], None]) -> None:
        """Measure a change of all rows: the call, and until it is seen."""
        called, seen = [], []
        for _ in range(5):
            called.append(timed(act))
            since = timed(self.until_sharp)
            seen.append((called[-1][0] + since[0], called[-1][1] + since[1]))
        self.add(f"{name}, the call", called)
        self.add(f"{name}, seen", seen)

    def standstill(self, name: str, step: Callable[[int], None], count: int = 120) -> None:
        """Move as a hand does, every 16 ms, and note the longest gap of the event loop."""
        from qtpy.QtCore import QTimer

        self.until_sharp()
        self.watch.clear()
        done = []
        timer = QTimer()
        timer.setInterval(_TICK_MS)
        timer.timeout.connect(lambda: (step(len(done)), done.append(0)))
        timer.start()
        while len(done) < count:
            self.settle(0.1)
        timer.stop()
        self.until_sharp()
        gaps = self.watch.rows()
        longest = max(gaps, key=lambda gap: gap["ms"], default=None)
        above = sum(gap["ms"] > 50 for gap in gaps)
        if longest is None:
            self.rows.append(f"| {name}: longest standstill | | | < 20 | | | of {count} moves |")
            return
        ours = longest["shares"].get("ours", 0.0)
        self.rows.append(
            f"| {name}: longest standstill | | | {longest['ms']:.0f} | | | {above} above 50 ms, "
            f"in the longest {ours:.0f} in our code, "
            f"{longest['queued']:.0f} waiting for a processor |"
        )


def timed(work: Callable[[], object]) -> Times:
    """Return how long a call takes, and how long the processors work for it, in milliseconds."""
    start, worked = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - start) * 1000, (time.process_time() - worked) * 1000


def lasso(canvas: MapCanvas, share: float) -> list[tuple[float, float]]:
    """Return a wavy outline of 600 corners around a share of what is seen."""
    angle = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    x0, y0, x1, y1 = canvas.view.bounds
    radius = share * (1 + 0.1 * np.sin(9 * angle))
    x = (x0 + x1) / 2 + radius * np.cos(angle) * (x1 - x0) / 2
    y = (y0 + y1) / 2 + radius * np.sin(angle) * (y1 - y0) / 2
    return list(zip(x.tolist(), y.tolist(), strict=True))


def measure_views(bench: Bench, dense: int) -> None:
    """Measure panning and zooming afar, near and close."""
    canvas = bench.canvas
    for name, factor in (("afar", 1.0), ("near", 8.0), ("close", 60.0)):
        canvas.fit()
        if factor > 1:
            canvas.centre_on([dense])
            canvas.zoom(factor * fitted_scale(canvas) / canvas.view.scale)
        bench.until_sharp()
        bench.steps(f"pan {name}", lambda step: canvas.drag(9 if step // 15 % 2 else -9, 4))
        bench.steps(f"zoom {name}", lambda step: canvas.zoom(1.05 if step // 5 % 2 else 1 / 1.05))
        bench.standstill(f"pan {name}", lambda step: canvas.drag(9 if step // 30 % 2 else -9, 3))
    canvas.fit()
    bench.standstill("zoom in and out", lambda s: canvas.zoom(1.06 if s // 100 % 2 == 0 else 0.943))
    canvas.fit()
    bench.until_sharp()


def fitted_scale(canvas: MapCanvas) -> float:
    """Return the scale at which all is seen."""
    view = canvas.view
    canvas.fit()
    scale, canvas.view = canvas.view.scale, view
    return scale


def measure_questions(bench: Bench, rng: np.random.Generator) -> None:
    """Measure lassos, rectangles and hover, afar where they hold most."""
    from qtpy.QtCore import QPointF

    canvas = bench.canvas
    for share in (0.2, 0.6, 1.0):
        corners = lasso(canvas, share)
        times = [timed(lambda c=corners: canvas.choose_in(c, "replace")) for _ in range(15)]
        held = len(canvas.rows.in_polygon(corners))
        bench.add(f"lasso of 600 corners, {share:.0%} of the view", times, f"{held:,} rows")
    x0, y0, x1, y1 = canvas.view.bounds
    draw = partial(canvas.choose_between, (x0, y0), ((x0 + x1) / 2, y1), "replace")
    bench.add("rectangle, half of the view", [timed(draw) for _ in range(15)])
    points = rng.uniform((0, 0), SIZE, (300, 2))
    times = [timed(lambda p=p: canvas.rows.at(canvas.view, QPointF(*p), 14.0)) for p in points]
    bench.add("hover, afar", times)


def measure_changes(bench: Bench, places: np.ndarray, group: np.ndarray) -> None:
    """Measure what changes all rows at once."""
    canvas = bench.canvas
    colors = np.random.default_rng(1).integers(70, 240, (GROUPS, 3)).astype(np.uint8)[group]
    bench.change("colours", lambda: canvas.set_colors(colors))
    bench.change("hide a group", lambda: canvas.set_shown(group != 3))
    canvas.set_shown(None)
    bench.change("select a group", lambda: canvas.set_selected(group == 3))
    canvas.set_selected(None)
    bench.change("move all", lambda: canvas.move_places(places * 1.01))
    bench.standstill(
        "move all 4 times a second", lambda step: step % 16 or canvas.move_places(places)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    places, group, colors = clouds(chosen.points, rng)
    bench = Bench()
    start = time.perf_counter()
    bench.canvas.set_places(places)
    bench.canvas.set_colors(colors)
    called = (time.perf_counter() - start) * 1000
    bench.until_sharp()
    first = (time.perf_counter() - start) * 1000
    bench.rows.append(f"| open, the call | {called:.1f} | | | | | |")
    bench.rows.append(f"| open, first view | {first:.0f} | | | | | |")
    largest = np.flatnonzero(group == np.bincount(group).argmax())
    middle = np.median(places[largest], axis=0)
    dense = int(largest[np.hypot(*(places[largest] - middle).T).argmin()])
    measure_views(bench, dense)
    measure_questions(bench, rng)
    measure_changes(bench, places, group)
    bench.canvas.finish()
    bench.watch.close()
    text = (
        f"{chosen.points:,} points in {SIZE[0]} x {SIZE[1]} pixels, no OpenGL; "
        f"{device_name('cpu')}; load of the machine at the start {load:.1f}. Milliseconds.\n\n"
        "| step | median | 95 % | longest | processor, median | longest | |\n"
        "|---|---:|---:|---:|---:|---:|---|\n" + "\n".join(bench.rows)
    )
    print(text)
    if not chosen.dry_run:
        write_section(text, "map", "The embedding map", Path(__file__).name)


if __name__ == "__main__":
    main()
