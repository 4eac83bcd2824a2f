"""Steps a second of a training by how long OpenMP's threads spin before they sleep.

Alone, and beside a program that keeps one core busy. Each measurement is a process of its own, as
OpenMP looks at its settings once; settings take turns within a round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from bench_action import BATCH, made_images
from bench_figures import device_name, write_section

SETTINGS = {
    "300,000 turns, OpenMP's own": {},
    "20,000 turns": {"GOMP_SPINCOUNT": "20000"},
    "3,000 turns, ours": {"GOMP_SPINCOUNT": "3000"},
    "300 turns": {"GOMP_SPINCOUNT": "300"},
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
STEPS = 600
WARM = 3


def train(seconds: float, size: int) -> float:
    """Return the steps a second of the widget's default recipe in this process."""
    from napari_medssl.backend.action_run import ActionRun, Schedule
    from napari_medssl.backend.action_start import start_network
    from napari_medssl.methods.action.stages import parse_stages

    schedule = Schedule(parse_stages("anatomical"), STEPS, BATCH, size)
    run = ActionRun(start_network("imagenet", 3, 1), made_images(), schedule, 1, "cpu")
    run.done = STEPS // 2  # pseudo labels count in full
    for _ in range(WARM):
        run.step()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        run.step()
        done += 1
    return done / (time.perf_counter() - start)


def measured(setting: dict[str, str], seconds: float, size: int) -> float:
    """Return what `train` gives in a fresh process with other settings of OpenMP."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-W", "ignore", __file__, "--train", str(seconds), str(size)]
    done = subprocess.run(
        command, env=kept | setting, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy, as another program would."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def main() -> None:
    """Measure and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12, help="of a measurement")
    parser.add_argument("--size", type=int, default=128, help="side of a crop")
    parser.add_argument("--train", nargs=2, metavar=("SECONDS", "SIZE"))
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md")
    given = parser.parse_args()
    if given.train:
        print(train(float(given.train[0]), int(given.train[1])))
        return
    load = os.getloadavg()[0]
    alone: dict[str, list[float]] = {name: [] for name in SETTINGS}
    beside: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(given.rounds):
        for name, setting in SETTINGS.items():
            alone[name].append(measured(setting, given.seconds, given.size))
            with busy_core():
                beside[name].append(measured(setting, given.seconds, given.size))
            print(name, alone[name][-1], beside[name][-1], file=sys.stderr, flush=True)
    first = next(iter(SETTINGS))
    lines = [
        f"Device: {device_name('cpu')}. Steps a second of `anatomical`, {BATCH} labelled and "
        f"{BATCH} other images, crops of {given.size} px; medians of {given.rounds} rounds of "
        f"{given.seconds:g} s; load of the machine at the start {load:.1f}.",
        "",
        "| threads that wait look | alone | ratio | beside a busy core | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in SETTINGS:
        cells = []
        for found in (alone, beside):
            ratio = np.median([a / b for a, b in zip(found[name], found[first], strict=True)])
            cells += [f"{np.median(found[name]):.2f}", f"{ratio:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join(lines)
    print(text)
    if not given.dry:
        script = " ".join(["bench_openmp.py", *sys.argv[1:]])
        write_section(text, "openmp", "Threads that wait", script)


if __name__ == "__main__":
    main()
