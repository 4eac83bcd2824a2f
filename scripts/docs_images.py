"""Take the screenshots of the documentation from the real window.

    python scripts/docs_images.py --out docs/images
    python scripts/docs_images.py --out docs/images --only painted --steps 40

Needs a display; `make docs-images` gives it a virtual one where there is none. The figures are put
together here from the sample pictures, the slides and smears made up, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import demo_landmarks
import demo_map
import demo_painted
import demo_segmentation
import demo_similar
import demo_slides
import napari
from demo import settle, take, wait_until
from PIL import Image
from qtpy.QtWidgets import QApplication, QDialog

from napari_medssl import _sample_data as samples
from napari_medssl.state.queue import ReviewState
from napari_medssl.widgets.separation import SeparationWidget

WINDOW = (1280, 800)
STEPS = 120  # of the training from painted masks
COLORS = 256
PICTURES = ("ihc", "retina", "cell", "coins", "moon", "phantom")


def montage(columns: int, rows: int, side: int, gap: int, ground: str, first: int) -> Image.Image:
    """Return pictures in a grid with gaps on a ground."""
    size = (columns * side + (columns + 1) * gap, rows * side + (rows + 1) * gap)
    canvas = Image.new("RGB", size, ground)
    for n in range(columns * rows):
        picture = samples._picture(PICTURES[(first + n) % len(PICTURES)], (side, side))
        canvas.paste(picture, (gap + n % columns * (side + gap), gap + n // columns * (side + gap)))
    return canvas


def write_figures(folder: Path) -> list[Path]:
    """Write the figures that the screenshots show."""
    pictures = {
        "cohort_overview": Image.fromarray(samples.lettered_figure()[0][0]),
        "stain_panel_touching": Image.fromarray(samples.touching_figure()[0][0]),
        "fig2_modalities": montage(3, 2, 260, 16, "white", 1),
        "fig3_controls": montage(2, 2, 300, 24, "white", 3),
        "fig4_time_course": montage(4, 1, 240, 12, "black", 2),
        "fig5_grid": montage(4, 3, 200, 10, "white", 0),
        "fig6_single": montage(1, 1, 420, 0, "white", 2),
    }
    paths = [folder / f"{name}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        picture.save(path)
    return paths


def open_and_separate(widget: SeparationWidget, paths: list[Path]) -> None:
    """Add the figures and find their panels."""
    widget.files.add_paths(paths)
    wait_until(lambda: widget.session.current is not None, "Opening the figures")
    widget.separate_all()
    wait_until(lambda: not widget.jobs.is_busy, "Separation")
    settle(0.5)


def show(widget: SeparationWidget, name: str) -> None:
    """Put the figure of that name in front."""
    project = widget.session.project
    key = next(key for key in project if project.info(key).name == f"{name}.png")
    widget.open_figure(key)
    wait_until(lambda: widget.session.current == key, "Showing a figure")
    settle(0.5)


def grab_dialog(widget: SeparationWidget, path: Path) -> None:
    """Take a picture of the cheat sheet."""
    widget.show_keys()
    settle(0.5)
    for dialog in widget.findChildren(QDialog):
        if dialog.isVisible():
            dialog.grab().save(str(path))
            dialog.close()
            print(f"wrote {path}")


def take_all(viewer: Any, widget: SeparationWidget, paths: list[Path], out: Path) -> None:
    """Go through the states worth a picture."""

    def shot(name: str, theme: str = "dark", ready: Callable[[], object] = lambda: None) -> None:
        viewer.theme = theme
        ready()
        take(viewer, out / f"{name}.png")

    shot("separation_empty")
    open_and_separate(widget, paths)
    show(widget, "fig2_modalities")
    widget.accept()
    settle(0.5)
    show(widget, "fig6_single")
    widget.session.set_state(ReviewState.UNSURE)
    show(widget, "fig5_grid")
    shot("separation_grid")
    show(widget, "stain_panel_touching")
    widget.detector.expand(animate=False)
    shot("separation_improve")
    widget.detector.collapse(animate=False)
    shot("separation_touching")
    show(widget, "cohort_overview")
    widget.session.selection.replace(widget.session.shown_keys()[:1])
    shot("separation_dark")
    shot("separation_light", "light")
    grab_dialog(widget, out / "separation_keys.png")


def take_separation(out: Path, folder: Path) -> None:
    """Take the screenshots of "Figure separation"."""
    paths = write_figures(folder)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    widget = SeparationWidget(viewer, drafts=folder / "drafts")
    viewer.window.add_dock_widget(widget, name="Figure separation", area="right")
    settle()
    take_all(viewer, widget, paths, out)
    widget.shut_down()
    viewer.close()
    QApplication.processEvents()


def shrink(path: Path) -> None:
    """Write a screenshot with a palette: a third of the size, and the same to the eye."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(
            COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True)


def arguments(parts: Collection[str]) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description="Take the screenshots of the documentation.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder to write to")
    parser.add_argument("--only", choices=sorted(parts), help="take those of one part alone")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="steps of the training from painted masks"
    )
    return parser.parse_args()


def main() -> int:
    """Take the screenshots; return the exit code."""
    parts: dict[str, Callable[[Path, Path], object]] = {
        "separation": take_separation,
        "slides": demo_slides.run,
        "similar": demo_similar.run,
        "map": demo_map.run,
        "landmarks": demo_landmarks.run,
        "segmentation": partial(demo_segmentation.run, trains=True),
    }
    given = arguments([*parts, "painted"])
    parts["painted"] = partial(demo_painted.run, steps=given.steps)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder, taken = Path(name), Path(name) / "taken"
        taken.mkdir()
        for part in [given.only] if given.only else parts:
            parts[part](taken, folder)
        for path in sorted(taken.glob("*.png")):
            shrink(path)
            shutil.copy(path, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
