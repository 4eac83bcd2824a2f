"""Time how long napari's window stands still while a slow slide is panned; table to RESULTS.md.

A slide whose every tile takes 0 or 50 ms, with and without asynchronous slicing, in a real window
(run it under Xvfb where there is no display). Twelve moves of 800 pixels; of each the longest time
in which the event loop did not turn counts. With 0 ms that is napari's own repaint, mostly; what
50 ms adds to it is the stall that slow reading makes.
"""

from __future__ import annotations

import time

import numpy as np
from bench_figures import device_name, write_section

from napari_medssl.io.slides.layer_data import slide_layer
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide
from napari_medssl.io.slides.tile_cache import TileCache

SIDE, TILE = 16_384, 512
MOVES = 12
ROUNDS = 3


class SlowSlide(LevelSlide):
    """A slide of noise whose every tile takes a while."""

    def __init__(self, delay_s: float) -> None:
        sides = [SIDE >> step for step in range(5)]
        levels = [Level(side, side, SIDE / side, TILE, TILE) for side in sides]
        super().__init__(About("slow", mpp=(1.0, 1.0)), levels)
        self._delay_s = delay_s
        self._noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        time.sleep(self._delay_s)
        return self._noise[:height, :width].copy()

    def _make_fingerprint(self) -> str:
        return "0" * 32


def stalls(is_async: bool, delay_s: float) -> list[float]:
    """Return the longest standstill of each move in milliseconds."""
    import napari
    from napari.settings import get_settings
    from qtpy.QtWidgets import QApplication

    get_settings().experimental.async_ = is_async
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 900)
    cache = TileCache(2**29)
    data, options, _ = slide_layer(SlowSlide(delay_s), cache)
    viewer.add_image(data, **options)
    viewer.scene.camera.zoom = 1
    turn(2.0)
    found = []
    for move in range(MOVES):
        start = time.perf_counter()
        viewer.scene.camera.center = (2000 + 500 * move, 2000 + 600 * move)
        QApplication.processEvents()
        first = time.perf_counter() - start
        found.append(1000 * max(first, turn(0.3)))
    viewer.close()
    cache.close()
    return found


def turn(seconds: float) -> float:
    """Turn the event loop for a while and return the longest single turn in seconds."""
    from qtpy.QtWidgets import QApplication

    longest, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        QApplication.processEvents()
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.002)
    return longest


def main() -> None:
    rows = []
    for is_async in (False, True):
        for delay_s in (0.0, 0.05):
            found = np.concatenate([stalls(is_async, delay_s) for _ in range(ROUNDS)])
            rows.append(
                f"| {'on' if is_async else 'off'} | {1000 * delay_s:.0f} | {np.median(found):.0f} "
                f"| {np.percentile(found, 95):.0f} | {found.max():.0f} |"
            )
    lines = [
        f"Device: {device_name('cpu')}, software GL. {ROUNDS} runs of {MOVES} moves.",
        "",
        "| asynchronous slicing | ms a tile | standstill a move, median ms | 95 % | longest |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]
    print("\n".join(lines))
    write_section("\n".join(lines), "panning", "Panning a slow slide", "bench_slide_panning.py")


if __name__ == "__main__":
    main()
