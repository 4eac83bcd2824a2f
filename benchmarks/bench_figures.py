"""Time figure separation and the simulator; the table goes to RESULTS.md beside this file.

Every number is over figures, each run several times after a warm-up, the fastest run counts
(other programs only ever make a run slower). The model is loaded once, before the clock starts.
The figures are those of MEDSSL_DATA or ../shared/data if they are there, else simulated ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.figure_pool import SimulateConfig, make_simulator
from napari_medssl.io.images import ImageRef, list_images, read_image
from napari_medssl.methods.simcfs.evidence import LineEvidence
from napari_medssl.methods.simcfs.gutters import gutter_lines, split_by_gutters
from napari_medssl.methods.simcfs.pool import Pool, made_textures
from napari_medssl.methods.simcfs.snapping import snap_boxes

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "RESULTS.md"

Row = tuple[str, str, str]


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Return the seconds of the fastest of `repeats` runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def device_name(device: str) -> str:
    """Return the device in words, as results must name it."""
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"model name\s*: (.+)", info.read_text())):
        model = found.group(1).strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, torch {torch.__version__} on {device}"


def row(name: str, seconds: Sequence[float]) -> Row:
    """Return a table row: name, median and 95th percentile in milliseconds."""
    values = np.array(seconds) * 1000
    return name, f"{np.median(values):.1f}", f"{np.percentile(values, 95):.1f}"


def time_evidence(images: list[np.ndarray], repeats: int) -> list[Row]:
    """Time what needs no model: evidence, snapping of 30 boxes, gutter lines, baseline."""
    rng = np.random.default_rng(0)
    evidences = [LineEvidence.of(image) for image in images]
    boxes = [random_boxes(rng, image, 30) for image in images]
    pairs = list(zip(evidences, boxes, strict=True))
    return [
        row("line evidence", [fastest(lambda i=i: LineEvidence.of(i), repeats) for i in images]),
        row("snapping 30 boxes", [fastest(lambda p=p: snap_boxes(*p), repeats) for p in pairs]),
        row("gutter lines", [fastest(lambda e=e: gutter_lines(e), repeats) for e in evidences]),
        row("gutter baseline", [fastest(lambda i=i: split_by_gutters(i), repeats) for i in images]),
    ]


def random_boxes(rng: np.random.Generator, image: np.ndarray, count: int) -> np.ndarray:
    """Return boxes (count, 4) of a tenth to a fifth of the image's sides."""
    height, width = image.shape[:2]
    low = rng.uniform(0, 0.8, (count, 2))
    high = low + rng.uniform(0.1, 0.2, (count, 2))
    return np.hstack([low, high]) * [width, height, width, height]


def time_separation(
    refs: list[ImageRef], images: list[np.ndarray], arguments: argparse.Namespace
) -> tuple[str, list[Row]]:
    """Time reading, the network and the whole of `separate`; return the device and the rows."""
    from napari_medssl.backend.figures import SeparateConfig, Separator

    separator = Separator(SeparateConfig(model=arguments.model, device=arguments.device))
    for image in images[:3]:
        separator.separate(image)
    repeats = arguments.repeats
    # copies, for the separator remembers the image that it looked at last
    whole = [fastest(lambda i=i: separator.separate(i.copy()), repeats) for i in images]
    network = [fastest(lambda i=i: separator.propose(i), repeats) for i in images]
    rest = np.maximum(np.subtract(whole, network), 0)
    rows = [
        row("separate, image in memory", whole),
        row("of it: scaling and network", network),
        row("of it: choice of panels, evidence, snapping", rest.tolist()),
    ]
    if refs:
        read = [fastest(lambda r=r: read_image(r), repeats) for r in refs]
        rows.insert(0, row("reading the file", read))
        rows.append(row("reading and separating", np.add(read, whole).tolist()))
    return separator.device, rows


def simulator_speed(count: int) -> float:
    """Return simulated figures per second, one process, pool of made textures."""
    simulator = make_simulator(Pool(made_textures()), SimulateConfig())
    simulator.figure(0)
    start = time.perf_counter()
    for number in range(count):
        simulator.figure(number + 1)
    return count / (time.perf_counter() - start)


def find_figures(data: Path | None, count: int) -> list[ImageRef]:
    """Return the figures to time, at most `count`; none if there is no data."""
    root = Path(os.environ.get("MEDSSL_DATA", ROOT.parent / "shared" / "data"))
    folder = data or root / "figures"
    return list_images([folder], recursive=True)[:count] if folder.is_dir() else []


def main() -> None:
    """Run the benchmark, print its table and put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of figures")
    parser.add_argument("--model", default="simcfs-figures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--count", type=int, default=80, help="most figures")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    arguments = parser.parse_args()
    refs = find_figures(arguments.data, arguments.count)
    simulator = make_simulator(Pool(made_textures()), SimulateConfig())
    images = [read_image(ref) for ref in refs] or [
        simulator.figure(number).image for number in range(arguments.count)
    ]
    device, rows, notes = "cpu", [], []
    try:
        device, rows = time_separation(refs, images, arguments)
    except UserError as error:
        notes.append(f"Separation not timed: {error}")
    rows += time_evidence(images, arguments.repeats)
    notes.append(f"Simulator: {simulator_speed(60):.1f} figures/s in one process.")
    text = table(device, arguments.model, images, rows, notes)
    print(text)
    if not arguments.dry_run:
        write_section(text, "figures", "Figure separation", Path(__file__).name)


def table(
    device: str, model: str, images: list[np.ndarray], rows: list[Row], notes: list[str]
) -> str:
    """Return the results as Markdown, with the device named."""
    sides = [max(image.shape[:2]) for image in images]
    lines = [
        f"Device: {device_name(device)}. Model: {model}. {len(images)} figures, longer side "
        f"{min(sides)} to {max(sides)} px (median {int(np.median(sides))}).",
        "",
        "| part | median, ms per figure | 95th percentile, ms |",
        "|---|---:|---:|",
        *(f"| {name} | {median} | {high} |" for name, median, high in rows),
        "",
        *notes,
    ]
    return "\n".join(lines)


def write_section(text: str, name: str, title: str, script: str) -> None:
    """Replace the section `name` of RESULTS.md, between two marks, or add it."""
    mark = f"<!-- {name} -->"
    content = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    head = f"## {title}\n\nMade by `python benchmarks/{script}`."
    section = f"{mark}\n{head}\n\n{text}\n{mark}"
    parts = content.split(mark)
    if len(parts) == 3:
        content = parts[0] + section + parts[2]
    else:
        content = content.rstrip() + "\n\n" + section + "\n"
    RESULTS.write_text(content)


if __name__ == "__main__":
    main()
