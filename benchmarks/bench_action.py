"""Time ACTION's training and segmentation beside plain PyTorch; the table goes to RESULTS.md.

Steps of each recipe beside a loop of the same network as one writes it (`plain_action.py`), in
float32 and in bfloat16, by turns in one process: the fastest of some steps of each round counts,
ratios are taken within a round, the median of the rounds stands in the table. A recipe of stages is
their mean, each as often as it has steps.

A picture of 4096 x 3072 through `ActionSegmenter` beside MONAI's `sliding_window_inference` with
the same windows, each time a process of its own, by turns as well. Memory is the most that a
process ever held, less what it held before the picture: torch, the network, a small picture done.

All pictures are made here; the network has learnt them for some steps, so that masks are masks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_convert import peak_bytes
from bench_figures import device_name, write_section

if TYPE_CHECKING:
    from napari_medssl.backend.action_data import ActionImages
    from napari_medssl.methods.action.network import SegmentationUNet

RECIPES = ("supervised", "mean-teacher", "strong-weak", "anatomical", "action", "action++")
WAYS = {"float32": "plain loop, float32", "bfloat16": "plain loop, bfloat16", "ours": "ours"}
SIDE = 256
COLORS = np.array(((200, 60, 60), (225, 225, 80)))
OVERLAP, AT_ONCE = 0.25, 4  # of windows, those of ActionSegmenter
STEPS = 600  # of a recipe: how many each stage has of them
SMALL = 9  # times that a small picture is segmented
BATCH = 4


def disks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return disks of two colours on noise, uint8 (256, 256, 3), and their classes 1 and 2."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 160, (SIDE, SIDE, 3))
    classes = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = np.indices((SIDE, SIDE))
    for place in range(6):
        number, radius = 1 + place % 2, rng.integers(16, 40)
        y, x = rng.integers(0, SIDE, 2)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        classes[inside] = number
        pixels[inside] = COLORS[number - 1] + rng.integers(-30, 30, (int(inside.sum()), 3))
    return pixels.clip(0, 255).astype(np.uint8), classes


def made_images() -> ActionImages:
    """Return four labelled pictures and 20 others, as a training takes them."""
    from napari_medssl.backend.action_data import prepare
    from napari_medssl.backend.transfer_data import LabelledImage

    known = [LabelledImage(str(seed), str(seed), *disks(seed)) for seed in range(4)]
    return prepare(known, [disks(seed)[0] for seed in range(4, 24)], SIDE)


def learnt_network(images: ActionImages, size: int, steps: int = 60) -> SegmentationUNet:
    """Return a network that finds the disks."""
    from napari_medssl.backend.action_run import ActionRun, Schedule
    from napari_medssl.backend.action_start import start_network

    schedule = Schedule(("supervised",), steps, BATCH, size)
    run = ActionRun(start_network("imagenet", 3, 1), images, schedule, 1, "cpu")
    while run.done < steps:
        run.step()
    return run.network("teacher").requires_grad_(True)


# -- training ------------------------------------------------------------------------------------


class Stage:
    """One stage of a recipe, in each way; `seconds` gives the fastest step of a round."""

    def __init__(
        self, name: str, recipe: tuple[str, ...], network: SegmentationUNet, size: int
    ) -> None:
        from plain_action import PlainLoop

        from napari_medssl.backend.action_run import ActionRun, Schedule
        from napari_medssl.methods.action.stages import STAGES

        images = made_images()
        self.name = name
        self.ours = ActionRun(network, images, Schedule(recipe, STEPS, BATCH, size), 1, "cpu")
        place = recipe.index(name)
        ends = (0, *self.ours.ends)
        self.part = (ends[place + 1] - ends[place]) / STEPS
        self._middle, self._terms = (ends[place] + ends[place + 1]) // 2, STAGES[name]
        self._plain = {
            way: PlainLoop(network, images, BATCH, size, amp=way == "bfloat16")
            for way in WAYS
            if way != "ours"
        }

    def seconds(self, way: str, steps: int) -> float:
        """Return how long the fastest of some steps takes."""
        self.ours.done = self._middle
        work = self.ours.step if way == "ours" else lambda: self._plain[way].step(self._terms)
        return min(timed(work) for _ in range(steps))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_training(
    network: SegmentationUNet, size: int, rounds: int, steps: int
) -> dict[str, list[dict[str, float]]]:
    """Return the seconds of a step by recipe: of each round, by way."""
    from napari_medssl.methods.action.stages import parse_stages

    taken: dict[str, list[dict[str, float]]] = {}
    for recipe in RECIPES:
        names = parse_stages(recipe)
        stages = [Stage(name, names, network, size) for name in names]
        for stage in stages:  # warm
            for way in WAYS:
                stage.seconds(way, 1)
        taken[recipe] = []
        for _ in range(rounds):
            found = dict.fromkeys(WAYS, 0.0)
            for stage in stages:
                of_stage = {way: stage.seconds(way, steps) for way in WAYS}
                print(recipe, stage.name, of_stage, file=sys.stderr, flush=True)
                for way in WAYS:
                    found[way] += stage.part * of_stage[way]
            taken[recipe].append(found)
    return taken


def training_table(taken: dict[str, list[dict[str, float]]]) -> list[str]:
    lines = [
        "| recipe | " + " | ".join(f"{words}, steps/s" for words in WAYS.values()) + " "
        "| ours to float32 | ours to bfloat16 |",
        "|---|" + "---:|" * (len(WAYS) + 2),
    ]
    for recipe, rounds in taken.items():
        rates = [1 / float(np.median([one[way] for one in rounds])) for way in WAYS]
        ratios = [
            float(np.median([one[way] / one["ours"] for one in rounds]))
            for way in WAYS
            if way != "ours"
        ]
        cells = [f"{value:.2f}" for value in (*rates, *ratios)]
        lines.append(f"| {recipe} | " + " | ".join(cells) + " |")
    return lines


# -- segmentation --------------------------------------------------------------------------------


def segment(way: str, window: int, folder: Path) -> None:
    """Segment a small and the large picture in this process; print what it took."""
    import torch
    from safetensors.torch import load_file

    from napari_medssl.methods.action.network import SegmentationUNet

    network = SegmentationUNet(3)
    network.load_state_dict(load_file(folder / "network.safetensors"))
    picture = np.load(folder / "picture.npy")
    small = np.ascontiguousarray(picture[:SIDE, :SIDE])
    look = looker(way, network.eval(), window)
    look(small)
    small_s = [timed(lambda: look(small)) for _ in range(SMALL)]
    held = now_bytes()
    start = time.perf_counter()
    mask = look(picture)
    seconds = time.perf_counter() - start
    np.save(folder / f"{way}.npy", mask)
    values = {"seconds": seconds, "bytes": peak_bytes() - held, "small": float(np.median(small_s))}
    print(json.dumps(values | {"threads": torch.get_num_threads()}))


def looker(way: str, network: SegmentationUNet, window: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the mask of a picture."""
    import torch
    from monai.inferers import sliding_window_inference
    from plain_action import plain

    from napari_medssl.backend.action_segmenter import ActionSegmenter

    if way == "ours":
        return lambda pixels: ActionSegmenter(
            network, "", ("1", "2"), min(pixels.shape[:2]), window
        ).segment(pixels)
    network = plain(network)

    def look(pixels: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, way == "bfloat16"):
            logits = sliding_window_inference(
                planes,
                window,
                AT_ONCE,
                network,
                OVERLAP,
                mode="gaussian",
                padding_mode="reflect",
            )
            return logits[0].argmax(dim=0).to(torch.uint8).numpy()

    return look


def now_bytes() -> int:
    """Return the memory that this process holds; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found.group(1)) * 1024 if found else 0


def time_segmentation(
    network: SegmentationUNet, sides: Sequence[int], window: int, rounds: int
) -> tuple[dict[str, list[dict[str, float]]], dict[str, float]]:
    """Return what each way took, and in which part of the pixels its mask is another than ours."""
    from safetensors.torch import save_file

    width, height = sides
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file(state, folder / "network.safetensors")
        across, down = -(-width // SIDE), -(-height // SIDE)
        parts = [[disks(100 + y * across + x)[0] for x in range(across)] for y in range(down)]
        whole = np.concatenate([np.concatenate(line, axis=1) for line in parts])
        np.save(folder / "picture.npy", whole[:height, :width])
        for _ in range(rounds):
            for way, rows in taken.items():
                what = [__file__, "--segment", way, str(window), name]
                command = [sys.executable, "-W", "ignore", *what]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(way, rows[-1], file=sys.stderr, flush=True)
        masks = {way: np.load(folder / f"{way}.npy") for way in WAYS}
    return taken, {way: float((mask != masks["ours"]).mean()) for way, mask in masks.items()}


def segmentation_table(
    taken: dict[str, list[dict[str, float]]], others: dict[str, float], pixels: int
) -> list[str]:
    lines = [
        "| way | Mpx/s | ours is faster | memory for it, MB | other pixels than ours "
        "| 256 px image, ms | ours is faster |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way, rows in taken.items():
        medians = {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
        cells = [f"{pixels / 1e6 / medians['seconds']:.2f}", "", f"{medians['bytes'] / 1e6:.0f}"]
        cells += ["", f"{1000 * medians['small']:.0f}", ""]
        if way != "ours":
            for place, key in ((1, "seconds"), (5, "small")):
                ratios = [a[key] / b[key] for a, b in zip(rows, taken["ours"], strict=True)]
                cells[place] = f"{np.median(ratios):.2f} times"
            cells[3] = f"{others[way]:.3%}"
        words = WAYS[way].replace("plain loop", "MONAI's sliding window")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Measure and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="of each stage in a round")
    parser.add_argument("--size", type=int, default=192, help="side of a crop in training")
    parser.add_argument("--picture", type=int, nargs=2, default=(4096, 3072), metavar=("W", "H"))
    parser.add_argument("--segment", nargs=3, metavar=("WAY", "WINDOW", "FOLDER"))
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md")
    given = parser.parse_args()
    if given.segment:
        way, window, folder = given.segment
        segment(way, int(window), Path(folder))
        return
    load = os.getloadavg()[0]
    network = learnt_network(made_images(), given.size)
    steps = time_training(network, given.size, given.rounds, given.steps)
    pictures, others = time_segmentation(network, given.picture, given.size, given.rounds)
    width, height = given.picture
    threads = int(pictures["ours"][0]["threads"])
    lines = [
        f"Device: {device_name('cpu')}, {threads} thread{'s' if threads > 1 else ''}. Medians of "
        f"{given.rounds} rounds; load of the machine at the start {load:.1f}, at the end "
        f"{os.getloadavg()[0]:.1f}: where others compute too, ratios count.",
        "",
        f"Training, {BATCH} labelled and {BATCH} other images a step, crops of {given.size} px:",
        "",
        *training_table(steps),
        "",
        f"Segmentation of {width} x {height} px in windows of {given.size} px, three classes:",
        "",
        *segmentation_table(pictures, others, width * height),
    ]
    text = "\n".join(lines)
    print(text)
    if not given.dry:
        script = " ".join(["bench_action.py", *sys.argv[1:]])
        write_section(text, "action", "ACTION: training and segmentation", script)


if __name__ == "__main__":
    main()
