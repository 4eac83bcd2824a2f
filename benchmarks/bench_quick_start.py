"""Time the quick start of Segmentation in a real window: from Train to the first masks of others.

One image of 256 px is painted as its mask says, "Quick, 1 minute" is ticked and Train is pressed.
Seconds count from there: until the first example of what is found is shown, until the mask of an
image that nobody painted is in the set, and until all are. DSC is of the masks of those images, by
class. Pictures are made here unless `--data` gives a folder with pairs.csv, images/ and masks/, of
which `--images` are taken. Asked are 60 s to the first useful prediction on two cores.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_figures import device_name, write_section
from numpy.typing import NDArray
from PIL import Image
from shown_window import ShownWindow

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

SIDE = 256


@dataclass(frozen=True)
class Case:
    """Images of one folder that is opened, and the true classes of each."""

    name: str
    folder: Path
    masks: list[NDArray[np.uint8]]


def made_case(folder: Path, count: int) -> Case:
    """Write made-up smears."""
    from made_smears import draw_smear, write_smears

    write_smears(folder, count)
    return Case("made smears", folder, [draw_smear(n + 1)[1] for n in range(count)])


def read_case(data: Path, folder: Path, count: int) -> Case:
    """Copy the first images of a set, those of more than 256 px scaled to it."""
    folder.mkdir()
    masks = []
    with (data / "pairs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:count]
    for number, row in enumerate(rows):
        pixels = Image.open(data / "images" / row["image"]).convert("RGB")
        mask = Image.open(data / "masks" / row["mask"])
        ratio = min(1.0, SIDE / min(pixels.size))
        size = (round(pixels.width * ratio), round(pixels.height * ratio))
        pixels.resize(size, Image.Resampling.BOX).save(folder / f"image {number:03}.png")
        masks.append(np.asarray(mask.resize(size, Image.Resampling.NEAREST), np.uint8))
    return Case(data.name, folder, masks)


class QuickStart:
    """The widget with the images of a case."""

    def __init__(self, window: ShownWindow, case: Case) -> None:
        from napari_medssl.widgets.segmentation import SegmentationWidget

        self.window, self.case, root = window, case, window.folder
        self.widget = SegmentationWidget(window.viewer, None, root / "sets", root / "models")
        window.viewer.window.add_dock_widget(self.widget, name="Segmentation", area="right")
        self.widget.files.add_paths([case.folder])
        window.until(lambda: self.widget.layers.front is not None)
        self.keys = list(self.widget.session.store)

    def paint(self, place: int) -> None:
        """Paint an image as its mask says."""
        widget, key, due = self.widget, self.keys[place], self.case.masks[place]
        for _ in range(int(due.max())):
            widget.session.add_class()
        widget.session.choose(key)
        self.window.until(lambda: widget.layers.front == key)
        layer = widget.layers.layer(key)
        where = np.nonzero(due)
        layer.data_setitem(where, due[where])
        self.window.until(lambda: widget.session.store[key].is_edited)

    def train(self) -> dict[str, float]:
        """Press Train and wait; return seconds by what was waited for, and how many steps."""
        widget, panel = self.widget, self.widget.training
        widget.begin_training()
        painted = panel.kinds.findData("painted")
        panel.kinds.setCurrentIndex(painted)
        panel.trainer.quick.setChecked(True)
        self.window.settle(1)
        start, found = time.perf_counter(), {}

        def note(name: str, holds: Any) -> None:
            self.window.until(holds)
            found[name] = time.perf_counter() - start

        panel.train_button.click()
        note("example", lambda: panel.preview.has_picture)
        note("learnt", lambda: not panel.jobs.is_busy)
        found["steps"] = panel.curve.points("loss")[-1][0]
        note("first", lambda: self._segmented() >= 1)
        note("all", lambda: self._segmented() == len(self.keys) - 1)
        return found

    def dice(self, painted: int) -> list[float]:
        """Return the mean DSC of each class over the images that were not painted."""
        from napari_medssl.backend.segmentation_scores import score_case

        classes = int(max(mask.max() for mask in self.case.masks))
        rows = []
        for place, key in enumerate(self.keys):
            if place != painted:
                found = self._mask(key)
                scores = score_case(found, self.case.masks[place], classes, (1.0, 1.0))
                rows.append([score.dsc for score in scores])
        return np.nanmean(rows, axis=0).tolist()

    def _mask(self, key: int) -> NDArray[np.uint8]:
        from napari_medssl.widgets.segmentation.set_masks import mask_of

        mask = mask_of(self.widget.session, key)
        return np.asarray(Image.open(mask) if isinstance(mask, Path) else mask, np.uint8)

    def _segmented(self) -> int:
        return sum(item.is_prediction for item in self.widget.session.store.as_dict().values())


def row_of(case: Case, painted: int) -> str:
    """Return a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        window = ShownWindow(Path(folder))
        quick = QuickStart(window, case)
        quick.paint(painted)
        found = quick.train()
        dice = ", ".join(f"{value:.2f}" for value in quick.dice(painted))
        quick.widget.shut_down()
        window.settle(0.5)
        window.viewer.close()
    seconds = " | ".join(f"{found[name]:.0f}" for name in ("example", "learnt", "first", "all"))
    return f"| {case.name} | {len(case.masks)} | {found['steps']:.0f} | {seconds} | {dice} |"


def main() -> None:
    """Measure and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--images", type=int, default=14)
    parser.add_argument("--painted", type=int, default=0, help="which of them, from 0")
    parser.add_argument("--dry-run", action="store_true", help="print the table only")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [made_case(Path(folder) / "smears", given.images)]
        for number, data in enumerate(given.data):
            cases.append(read_case(data, Path(folder) / f"set {number}", given.images))
        rows = [row_of(case, given.painted) for case in cases]
    table = [
        f"Device: {device_name('cpu')}. Seconds from Train; 60 are asked to the first prediction.",
        "",
        "| images | how many | steps | first example | learnt | first mask | all masks | DSC |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
        *rows,
    ]
    print("\n".join(table))
    if not given.dry_run:
        names = " ".join(["--data", *(data.name for data in given.data)] if given.data else [])
        script = f"bench_quick_start.py {names}".rstrip()
        write_section("\n".join(table), "quick-start", "Quick start of Segmentation", script)


if __name__ == "__main__":
    main()
