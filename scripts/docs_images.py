"""Take the screenshots of the documentation from the real window.

    python scripts/docs_images.py --out docs/images

Needs a display; `make docs-images` gives it a virtual one where there is none. The figures are put
together here from the sample pictures, the slides made up, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import demo_landmarks
import demo_map
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


def main() -> int:
    """Take the screenshots; return the exit code."""
    parser = argparse.ArgumentParser(description="Take the screenshots of the documentation.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_figures(Path(folder))
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        viewer.window.resize(*WINDOW)
        widget = SeparationWidget(viewer, drafts=Path(folder) / "drafts")
        viewer.window.add_dock_widget(widget, name="Figure separation", area="right")
        settle()
        take_all(viewer, widget, paths, out)
        widget.shut_down()
        viewer.close()
        QApplication.processEvents()
        demo_slides.run(out, Path(folder))
        demo_similar.run(out, Path(folder))
        demo_map.run(out, Path(folder))
        demo_landmarks.run(out, Path(folder))
        demo_segmentation.run(out, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
