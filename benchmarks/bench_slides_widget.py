"""Time the widget "Slides" with 1,000 slides: how long the window stands still, and scrolling.

Run it under Xvfb: `xvfb-run -a python benchmarks/bench_slides_widget.py`. A timer of 5 ms beats on
the GUI thread; the longest gap between two beats during a step counts, with the part of it in which
the stack of the GUI thread was in our code (the rest is napari's and the garbage collector's). The
library holds links to copies of one small made-up slide.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_figures import device_name, write_section
from shown_window import ShownWindow

COUNT = 1000
WHEELS = 200


class Bench(ShownWindow):
    """The widget in it; `step` times what is done."""

    def step(self, title: str, act: Callable[[], object], ends: Callable[[], Any]) -> None:
        """Do something and wait for its end; note the longest gaps."""
        from qtpy.QtCore import QTimer

        self.settle(0.3)
        self.watch.clear()
        began = time.perf_counter()
        QTimer.singleShot(0, act)
        self.settle(0.05)
        self.until(ends)
        took = time.perf_counter() - began
        self.settle(0.3)
        gaps = self.watch.rows()
        longest = max((gap["ms"] for gap in gaps), default=0.0)
        ours = max((gap["shares"].get("ours", 0.0) for gap in gaps), default=0.0)
        self.rows.append(f"| {title} | {took:.2f} | {longest:.0f} | {ours:.0f} |")
        print(self.rows[-1])


def write_library(folder: Path) -> Path:
    """Write one small slide and links to it under a thousand names."""
    from napari_medssl import _sample_data as samples

    place = folder / "slides"
    place.mkdir()
    first = place / "slide_0000.tif"
    samples.write_slide(first, width=1536, height=1024)
    for number in range(1, COUNT):
        os.link(first, place / f"slide_{number:04}.tif")
    return place


def scroll_times(view: Any) -> list[float]:
    """Return the seconds of each turn of the wheel over the list, painting included."""
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    found = []
    port = view.viewport()
    middle = QPointF(port.rect().center())
    for turn in range(WHEELS):
        angle = QPoint(0, -120 if turn < WHEELS // 2 else 120)
        event = QWheelEvent(
            middle,
            QPointF(port.mapToGlobal(middle)),
            QPoint(),
            angle,
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        began = time.perf_counter()
        QApplication.sendEvent(port, event)
        port.repaint()
        found.append(time.perf_counter() - began)
        QApplication.processEvents()
    return found


def run(folder: Path) -> tuple[list[str], list[float]]:
    """Go through a day with the widget; return the rows and the times of scrolling."""
    from napari_medssl.widgets.slides import SlidesWidget

    bench = Bench(folder)
    slides = write_library(folder)
    made: list[SlidesWidget] = []

    def dock() -> None:
        made.append(SlidesWidget(bench.viewer, folder / "libraries"))
        bench.viewer.window.add_dock_widget(made[0], name="Slides", area="right")

    bench.step("dock the widget", dock, lambda: made)
    widget = made[0]
    files, session = widget.files, widget.session

    def all_known() -> bool:
        entries = session.entries().values()
        return len(entries) == COUNT and all(entry.is_known for entry in entries)

    bench.step(f"link a folder of {COUNT:,}", lambda: files.add_folder(slides), all_known)
    bench.settle(1.0)
    scrolled = scroll_times(widget.list.view)
    bench.settle(3.0)
    keys = list(session.entries())
    bench.step("search a name", lambda: widget.list.search.setText("77"), lambda: True)
    widget.list.search.clear()
    bench.step("hide all names", lambda: session.mask(True), lambda: True)
    session.mask(False)
    bench.step(
        "open a slide", lambda: widget.open_slide(keys[0]), lambda: session.current == keys[0]
    )
    bench.step(
        "open another", lambda: widget.open_slide(keys[500]), lambda: session.current == keys[500]
    )
    regions = widget.regions.session
    bench.until(lambda: regions.store is not None)
    bench.step(
        "find the tissue", widget.regions.tissue.find, lambda: widget.regions.tissue.has_mask
    )
    bench.step(
        "tissue as a region",
        widget.regions.tissue.make_region,
        lambda: len(regions.store.region_keys()) == 1,
    )
    bench.step(
        "look at all files", lambda: files.look(keys, "glance"), lambda: not files.jobs.is_busy
    )
    bench.step("take all off the list", lambda: files.remove(keys), lambda: not session.entries())
    bench.step("undo that", files.undo, lambda: len(session.entries()) == COUNT)
    bench.watch.close()
    widget.shut_down()
    bench.viewer.close()
    return bench.rows, scrolled


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        rows, scrolled = run(Path(name))
    times = sorted(1000 * seconds for seconds in scrolled)
    text = (
        f"{device_name('cpu')}; software OpenGL under Xvfb. {COUNT:,} slides in the list.\n\n"
        "| step | s | longest standstill, ms | of it in our code, ms |\n|---|---:|---:|---:|\n"
        + "\n".join(rows)
        + f"\n\nScrolling the list, {WHEELS} turns of the wheel with painting: "
        f"{statistics.median(times):.1f} ms a turn (median), "
        f"{times[int(0.95 * len(times))]:.1f} ms (95 %), {times[-1]:.1f} ms (longest)."
    )
    print(text)
    write_section(text, "slides-widget", 'The widget "Slides"', "bench_slides_widget.py")


if __name__ == "__main__":
    main()
