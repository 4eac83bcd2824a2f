"""Time the widget "Find similar": how long the window stands still, and how soon hits are there.

Run it under Xvfb: `xvfb-run -a python benchmarks/bench_similar_widget.py`. A timer of 5 ms beats on
the GUI thread; the longest gap between two beats during a step counts, with the part of it in which
the stack of the GUI thread was in our code (the rest is napari's, Qt's and the garbage collector's;
waiting for a processor is taken off). The first part works on three made-up slides that are indexed
by the shipped encoder. The second searches a library of a million made-up tiles: steps end when the
hits stand in the gallery, or when the heatmap is a layer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_figures import device_name, write_section
from bench_gui_stalls import share
from shown_window import ShownWindow

TILES = 1_000_000
AGAIN = 20


class Bench(ShownWindow):
    """The widget in it; `step` times what is done."""

    def step(self, title: str, act: Callable[[], object], ends: Callable[[], Any]) -> float:
        """Do something and wait for its end; note the longest gaps, return the seconds."""
        from qtpy.QtCore import QTimer

        self.settle(0.5)
        self.watch.clear()
        began = time.perf_counter()
        done: list[object] = []
        QTimer.singleShot(0, lambda: (act(), done.append(1)))
        self.until(lambda: done and ends())
        took = time.perf_counter() - began
        self.settle(1.0)
        gaps = self.watch.rows()
        longest = max(gaps, key=lambda gap: gap["ms"], default=None)
        ours = max((share(gap, "ours", "unknown") for gap in gaps), default=0.0)
        waited = max((gap["queued"] for gap in gaps), default=0.0)
        self.rows.append(
            f"| {title} | {took:.2f} | {longest['ms'] if longest else 0:.0f} | {ours:.0f} | "
            f"{waited:.0f} |"
        )
        print(self.rows[-1], flush=True)
        worst = sorted(gaps, key=lambda gap: -share(gap, "ours", "unknown"))[:2]
        for gap in [*worst, *([longest] if longest else [])]:
            print(f"    {gap['ms']:.0f} ms", gap["places"], flush=True)
        return took


def write_slides(folder: Path) -> Path:
    """Write three made-up slides and index them."""
    from napari_medssl import _sample_data as samples
    from napari_medssl.backend.index_config import IndexConfig
    from napari_medssl.backend.index_slides import index_slides

    paths = [folder / f"slide{number}.tif" for number in range(3)]
    for number, path in enumerate(paths):
        samples.write_slide(path, width=4096, height=3072, seed=number + 5)
    config = IndexConfig(mpp=1.0, size=112, min_tissue=0.3, device="cpu")
    index_slides([str(path) for path in paths], folder / "small.library", config)
    return folder / "small.library"


def write_million(folder: Path, rows: int) -> Path:
    """Write a library of made-up embeddings, as `bench_search.py` does."""
    import bench_search

    data = bench_search.write_data(folder, "clustered", rows)
    bench_search.write_library(folder / "large.library", data)
    return folder / "large.library"


def middle(tile: Any) -> tuple[float, float]:
    return float(tile["x"] + tile["size"] / 2), float(tile["y"] + tile["size"] / 2)


def small(bench: Bench, library: Path) -> Any:
    """Go through the work with real slides."""
    from qtpy.QtCore import QRect

    from napari_medssl.state.search_examples import Area
    from napari_medssl.widgets.similar import SimilarWidget

    made: list[Any] = []

    def dock() -> None:
        made.append(SimilarWidget(bench.viewer, bench.folder / "recent.json"))
        bench.viewer.window.add_dock_widget(made[0], name="Find similar", area="right")

    bench.step("dock the widget", dock, lambda: made)
    widget = made[0]
    session, view = widget.session, widget.gallery.view
    bench.step(
        "open a library",
        lambda: widget.choice.open(library),
        lambda: session.collection is not None,
    )
    bench.viewer.open(str(bench.folder / "slide0.tif"), plugin="napari-medssl")
    bench.viewer.reset_view()
    bench.settle(5)  # the encoder is loaded beside
    front = widget.places.front
    tiles = session.collection.tiles(front.fingerprint)

    def pick(number: int) -> None:
        place = middle(tiles[number * len(tiles) // 10])
        widget._on_picked(front, Area(front.fingerprint, *place, 0, 0), "new")

    def hits(act: Callable[[], object]) -> tuple[Callable[[], object], Callable[[], bool]]:
        former: list[Any] = [None]

        def run() -> None:
            former[0] = session.answer
            act()

        def is_there() -> bool:
            answer = session.answer
            return answer is not None and (
                former[0] is None or answer.question is not former[0].question
            )

        return run, is_there

    bench.step("pick a tile, first", *hits(lambda: pick(3)))
    bench.step("pick another", *hits(lambda: pick(6)))
    bench.step("+ on a hit", *hits(lambda: view.signed.emit(session.hits[3], True)))
    bench.step("− on a hit", *hits(lambda: view.signed.emit(session.hits[-1], False)))
    bench.until(lambda: not widget.stain.is_busy)
    on_front = next(hit for hit in session.hits if hit.tile.slide == front.fingerprint)
    elsewhere = next(hit for hit in session.hits if hit.tile.slide != front.fingerprint)
    arrived = lambda: not widget.fly.is_opening  # noqa: E731
    bench.step("fly to a hit of the slide", lambda: view.opened.emit(on_front), arrived)
    bench.step("fly to a hit of another slide", lambda: view.opened.emit(elsewhere), arrived)
    bench.step("fly back", lambda: view.opened.emit(on_front), arrived)
    panel = widget.heatmap
    bench.step("heatmap, first", lambda: panel.switch.setChecked(True), lambda: panel.is_shown)
    bench.step("pick with the heatmap on", *hits(lambda: pick(8)))
    bench.step("move the threshold", lambda: panel.slider.setValue(500), lambda: True)
    bench.step("heatmap off", lambda: panel.switch.setChecked(False), lambda: not panel.is_shown)
    bench.step("heatmap, again", lambda: panel.switch.setChecked(True), lambda: panel.is_shown)
    frame, cell = widget.compare.frame, QRect(600, 300, 100, 100)
    bench.step(
        "rest on a hit: compare",
        lambda: widget.compare.hover(session.hits[1], cell),
        frame.isVisible,
    )
    widget.compare.hide()
    widget.tools.why.setChecked(True)
    bench.step(
        "rest on a hit: why",
        lambda: widget.compare.hover(session.hits[2], cell),
        lambda: "bring" in frame.width_words.text(),
    )
    widget.compare.hide()
    widget.tools.why.setChecked(False)
    bench.step(
        "rank without stain",
        lambda: widget.tools.no_stain.setChecked(True),
        lambda: session.answer.stain and len(session.answer.stain.hits) == len(session.hits),
    )
    widget.tools.no_stain.setChecked(False)
    bench.step(
        "count in all slides", widget.concepts.count, lambda: len(widget.concepts.counts) == 3
    )
    return widget


def large(bench: Bench, widget: Any, library: Path) -> str:
    """Search a million tiles; return the times of the repeated steps in words."""
    from napari_medssl.index.view import make_tile

    session, view = widget.session, widget.gallery.view
    widget.heatmap.switch.setChecked(False)
    bench.step(
        f"open a library of {TILES:,}",
        lambda: widget.choice.open(library),
        lambda: session.library and session.library.folder == library and session.collection,
    )
    slide = f"{0:032x}"
    bench.viewer.layers.clear()
    levels = [np.broadcast_to(np.uint8(200), (22400 >> n, 44800 >> n, 3)) for n in range(0, 8, 2)]
    about = {"kind": "slide", "fingerprint": slide, "source": "0.svs", "mpp": (0.5, 0.5)}
    bench.viewer.add_image(
        levels,
        rgb=True,
        name="0.svs",
        metadata={"medssl": about | {"dimensions": (44800, 22400)}},
    )
    bench.settle(1.0)
    tiles = session.collection.tiles(slide)
    answers: list[float] = []
    session.answered.connect(lambda: answers.append(time.perf_counter()))
    from napari_medssl.index.results import Hit

    def ask(number: int, is_wanted: bool) -> float:
        began = time.perf_counter()
        answers.clear()
        view.signed.emit(Hit(make_tile(slide, tiles[number]), 1.0), is_wanted)
        bench.until(lambda: answers)
        return answers[0] - began

    bench.step("first search of a million", lambda: ask(0, True), lambda: True)
    times = sorted(ask(100 * (n + 1), n % 2 == 0) for n in range(AGAIN))
    panel = widget.heatmap
    took = bench.step(
        "heatmap of a slide of 20,000 tiles",
        lambda: panel.switch.setChecked(True),
        lambda: panel.is_shown,
    )
    again: list[float] = []
    panel_layer = panel.layer
    for number in range(5):
        before, began = panel_layer.data, time.perf_counter()
        ask(5000 + 100 * number, True)
        bench.until(lambda before=before: panel_layer.data is not before)
        again.append(time.perf_counter() - began)
    return (
        f"At {TILES:,} tiles, one more example with + or − until the hits stand in the gallery, "
        f"{AGAIN} times with up to {AGAIN + 1} examples: {1000 * statistics.median(times):.0f} ms "
        f"(median), {1000 * times[-1]:.0f} ms (longest). Heatmap of a slide of 20,000 tiles: "
        f"{took:.2f} s the first time, {statistics.median(again):.2f} s with the search for the "
        "next query."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="leave out the million tiles")
    parser.add_argument("--large", type=Path, help="a library of a million that was made before")
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    chosen = parser.parse_args()
    os.environ.setdefault("NAPARI_CONFIG", "")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_DATA_HOME"] = str(folder / "data")
        library = write_slides(folder)
        million = chosen.large
        if million is None and not chosen.small:
            million = write_million(folder, TILES)
        bench = Bench(folder)
        widget = small(bench, library)
        words = large(bench, widget, million.absolute()) if million else ""
        bench.watch.close()
        widget.shut_down()
        bench.viewer.close()
    text = (
        f"{device_name('cpu')}; software OpenGL under Xvfb; load of the machine at the start "
        f"{load:.1f}. Waited: the longest wait of the GUI thread for a processor in a gap.\n\n"
        "| step | s | longest standstill, ms | of it in our code, ms | waited, ms |\n"
        "|---|---:|---:|---:|---:|\n" + "\n".join(bench.rows) + f"\n\n{words}"
    )
    print(text)
    if not chosen.dry_run and million:
        write_section(text, "similar-widget", 'The widget "Find similar"', Path(__file__).name)


if __name__ == "__main__":
    main()
