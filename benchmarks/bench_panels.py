"""Measure what harvest and snapping rest on, on real figures; the table goes to RESULTS.md.

Kind: hand labels of 161 panels (`tests/methods/truth/panel_kinds.csv`), never used to choose the
measure's weights, for there are none. Duplicates: each panel against a damaged copy of itself, and
all panels against each other. Snapping: true boxes with noise on every edge, before and after.
The figures are those of MEDSSL_DATA or ../shared/data; without them nothing is measured.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench_figures import ROOT, write_section
from PIL import Image

from napari_medssl.backend.true_figures import read_true_figures
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.methods.simcfs.duplicates import NEAR_BITS, perceptual_hash
from napari_medssl.methods.simcfs.evidence import LineEvidence
from napari_medssl.methods.simcfs.metrics import intersection_over_union
from napari_medssl.methods.simcfs.panel_kind import panel_kind
from napari_medssl.methods.simcfs.snapping import snap_boxes

DATA = Path(os.environ.get("MEDSSL_DATA", ROOT.parent / "shared" / "data"))
TRUTH = ROOT / "tests" / "methods" / "truth" / "panel_kinds.csv"
SETS = ("figures", "figures_hard")
SMALLEST = 48  # pixels; smaller panels are not harvested either


def figures(folder: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Give name, image and true boxes of each figure."""
    for figure in read_true_figures(DATA / folder):
        yield figure.path.name, read_image(ImageRef(figure.path)), figure.truth


def measure_kind() -> list[str]:
    """Return the table of labels against answers."""
    with TRUTH.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["kind"] != "mixed"]
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        image = read_image(ImageRef(DATA / row["folder"] / row["file_name"]))
        x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
        counts[row["kind"], panel_kind(image[y0:y1, x0:x1])] += 1
    right = counts["photo", "photo"] + counts["plot", "plot"]
    return [
        "| labelled | told photo | told plot |",
        "|---|---:|---:|",
        *(
            f"| {kind} | {counts[kind, 'photo']} | {counts[kind, 'plot']} |"
            for kind in ("photo", "plot")
        ),
        "",
        f"Panel kind: {right} of {len(rows)} right, {right / len(rows):.3f}.",
    ]


def damaged(rng: np.random.Generator, panel: np.ndarray) -> np.ndarray:
    """Return a copy as another journal might print it: cropped, rescaled, brighter, JPEG."""
    picture = Image.fromarray(panel)
    width, height = picture.size
    cut = rng.uniform(0, 0.02, 4) * [width, height, width, height]
    left, top, right, bottom = np.rint(cut).astype(int).tolist()
    picture = picture.crop((left, top, width - right, height - bottom))
    scale, gain, offset = rng.uniform(0.5, 1.5), rng.uniform(0.9, 1.1), rng.uniform(-10, 10)
    picture = picture.resize((max(8, round(width * scale)), max(8, round(height * scale))))
    picture = picture.point(lambda value: int(np.clip(value * gain + offset, 0, 255)))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=int(rng.integers(50, 95)))
    return np.asarray(Image.open(stream).convert("RGB"))


def measure_duplicates() -> list[str]:
    """Return how many damaged copies are found, and how many pairs of other figures are near."""
    rng = np.random.default_rng(0)
    names, codes, copies, shapes = [], [], [], []
    for folder in SETS:
        for name, image, truth in figures(folder):
            for x0, y0, x1, y1 in truth.astype(int):
                panel = image[y0:y1, x0:x1]
                if min(panel.shape[:2]) < SMALLEST:
                    continue
                names.append(name)
                codes.append(perceptual_hash(panel))
                copies.append(perceptual_hash(damaged(rng, panel)))
                shapes.append(np.log(panel.shape[1] / panel.shape[0]))
    code, shape, name = np.array(codes), np.array(shapes), np.array(names)
    found = np.bitwise_count(code ^ np.array(copies)).sum(axis=1) <= NEAR_BITS
    near = np.bitwise_count(code[:, None] ^ code[None]).sum(axis=2) <= NEAR_BITS
    near &= np.abs(shape[:, None] - shape[None]) <= 0.15
    near = np.triu(near, 1)
    other = name[:, None] != name[None]
    return [
        f"Duplicates at {NEAR_BITS} of 256 bits: {found.mean():.3f} of {len(code)} damaged copies "
        f"found; of {np.triu(other, 1).sum()} pairs from different figures {(near & other).sum()} "
        f"are taken for duplicates, of those within a figure {(near & ~other).sum()} (the same "
        "picture with an overlay, another stain, the neighbouring section).",
    ]


def measure_snapping() -> list[str]:
    """Return the table of mean IoU before and after snapping."""
    lines = [
        "| figures | noise per edge | mean IoU | snapped | IoU > .9 | snapped |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for folder in SETS:
        known = [(LineEvidence.of(image), truth) for _, image, truth in figures(folder)]
        for noise in (0.02, 0.04, 0.06):
            rng = np.random.default_rng(0)
            before, after = [], []
            for evidence, truth in known:
                if len(truth) < 2:
                    continue
                sides = np.tile(truth[:, 2:] - truth[:, :2], 2)
                noisy = truth + rng.normal(0, noise, truth.shape) * sides
                before.extend(np.diag(intersection_over_union(noisy, truth)))
                snapped = snap_boxes(evidence, noisy)
                after.extend(np.diag(intersection_over_union(snapped, truth)))
            old, new = np.array(before), np.array(after)
            lines.append(
                f"| {folder} | {noise:.0%} | {old.mean():.3f} | {new.mean():.3f} | "
                f"{(old > 0.9).mean():.2f} | {(new > 0.9).mean():.2f} |"
            )
    return lines


def main() -> None:
    """Measure, print and put the section into RESULTS.md."""
    if not DATA.is_dir():
        print("No development data: set MEDSSL_DATA, or put them at ../shared/data.")
        return
    text = "\n".join([*measure_snapping(), "", *measure_kind(), "", *measure_duplicates()])
    print(text)
    write_section(text, "panels", "Panels: snapping, kind, duplicates", Path(__file__).name)


if __name__ == "__main__":
    main()
