"""The table of docs/methods/simcfs.md: baseline, ablations and the shipped detector on all test
sets.

Usage: python benchmarks/figures_table.py --data DATA --pool POOL --out DIR [--steps 600]

Trains four small detectors of one budget and each seed (without side loss, in cells, in panel
sizes, without intra-class figures), simulates test figures from images that no pool holds, makes
the montages, and evaluates everything. What is already in DIR is kept, so a stopped run goes on
where it was. The thresholds of the ablations are not tuned: AP needs none, and F1 takes each at
score 0.3.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
from bench_figures import ROOT
from make_montages import read_sets

from napari_medssl.backend.evaluate_figures import EvaluateFiguresConfig, evaluate_figures
from napari_medssl.backend.figure_pool import SimulateConfig, simulate_figures
from napari_medssl.backend.figures import DEFAULT_MODEL
from napari_medssl.backend.splitters import GUTTERS
from napari_medssl.backend.train_figures import TrainFiguresConfig, train_figures

PAGE = ROOT / "docs" / "methods" / "simcfs.md"
_MARK = "<!-- table -->"
_ABLATIONS = {  # name -> (side loss, intra-class figures)
    "side loss off": ("off", True),
    "side loss in cells (published)": ("cell", True),
    "side loss in panel sizes": ("panel", True),
    "side loss in cells, no intra-class figures": ("cell", False),
}


def _train(out: Path, pool: Path, steps: int, seeds: list[int]) -> dict[str, list[str]]:
    """Return name -> models: one of each seed where a name is trained here."""
    models: dict[str, list[str]] = {"gutter splitter": [GUTTERS]}
    for seed, (name, (side, intra)) in itertools.product(seeds, _ABLATIONS.items()):
        path = out / f"{name.replace(' ', '-').replace(',', '')}-{seed}.safetensors"
        if not path.is_file():
            train_figures(
                TrainFiguresConfig(
                    pool=pool,
                    out=path,
                    steps=steps,
                    side_loss=side,
                    intra_class=intra,
                    smallest=256,
                    largest=352,
                    learning_rate=0.002,
                    seed=seed,
                    resume=path.with_suffix(".checkpoint.safetensors").is_file(),
                )
            )
        models.setdefault(f"{name}, {steps} steps", []).append(str(path))
    return {**models, f"shipped `{DEFAULT_MODEL}`": [DEFAULT_MODEL]}


def _test_sets(out: Path, data: Path) -> dict[str, Path]:
    simulated = out / "simulated"
    if not (simulated / "annotations.json").is_file():
        pool = out / "test-pool"
        for name, images in read_sets(data).items():
            (pool / name).mkdir(parents=True, exist_ok=True)
            for k, image in enumerate(images):
                image.save(pool / name / f"{k:03d}.png")
        simulate_figures(pool, simulated, SimulateConfig(count=150, seed=77))
    if not (out / "zero-gap" / "annotations.json").is_file():
        script = Path(__file__).with_name("make_montages.py")
        subprocess.run([sys.executable, script, "--data", data, "--out", out], check=True)
    return {
        "simulated": simulated,
        "real figures": data / "figures",
        "real, hard": data / "figures_hard",
        "montages on black": out / "black",
        "montages, no gap": out / "zero-gap",
    }


def _scores(model: str, folder: Path) -> list[float]:
    report = evaluate_figures(EvaluateFiguresConfig(data=folder, model=model))
    g = report.groups[0]
    return [
        g.f1_50,
        g.f1_75,
        g.ap_50,
        g.ap_50_95,
        g.imageclef_accuracy,
        g.mean_figure_f1_50,
        g.split_singles,
        report.seconds_median * 1000,
    ]


def _table(models: dict[str, list[str]], sets: dict[str, Path]) -> str:
    """Return the table: means over the seeds, and least and greatest AP50:95."""
    lines = [
        "| detector | test set | F1@.5 | F1@.75 | AP50 | AP50:95 | ImageCLEF | mean F1@.5 "
        "| singles split | ms |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, seeds in models.items():
        for label, folder in sets.items():
            rows = np.array([_scores(model, folder) for model in seeds])
            cells = [f"{value:.3f}" for value in rows[:, :6].mean(axis=0)]
            if len(rows) > 1:
                cells[3] += f" ({rows[:, 3].min():.3f} to {rows[:, 3].max():.3f})"
            split, ms = rows[:, 6].mean(), rows[:, 7].mean()
            lines.append(f"| {name} | {label} | {' | '.join(cells)} | {split:.3g} | {ms:.0f} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5])
    parser.add_argument("--train-only", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    models = _train(arguments.out, arguments.pool, arguments.steps, arguments.seeds)
    if arguments.train_only:
        return
    sets = _test_sets(arguments.out, arguments.data)
    before, _, after = PAGE.read_text("utf-8").split(_MARK)
    PAGE.write_text(f"{before}{_MARK}\n{_table(models, sets)}\n{_MARK}{after}", "utf-8")


if __name__ == "__main__":
    main()
