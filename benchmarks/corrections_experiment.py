"""How F1 on held-out figures grows with the number of corrected ones: 0, 5, 10, 20.

    python benchmarks/corrections_experiment.py --data DATA --out DIR --steps 100 --draws 2

`DATA` is a folder of figures (images/ and annotations.json), by default `figures` of MEDSSL_DATA or
../shared/data. One half of the figures, the same part of each `source_group`, is held out; the
corrected figures are drawn from the other half, a longer draw holding the shorter ones. Then the
halves change places, so that each figure is held out once. `improve` fine-tunes as the widget does,
without check rounds: the held-out half is the check. The weights are thrown away: figures to
evaluate on are never trained on for what is shipped.

Each run is written to DIR/results.json as soon as it is done, and a run that was stopped goes on
from its checkpoint, so the same command may be given again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl.backend.evaluate_figures import EvaluateFiguresConfig, evaluate_figures
from napari_medssl.backend.figures import DEFAULT_MODEL
from napari_medssl.backend.improve import ImproveConfig, can_resume, improve
from napari_medssl.backend.jobs import Progress

ROOT = Path(__file__).parents[1]
SPLIT_SEED = 2022
Image = dict[str, Any]


def halves(images: list[Image]) -> tuple[list[Image], list[Image]]:
    """Return (to correct, held out): the figures of each source group fall to both in turn.

    Groups of odd size take turns in which half gets the odd figure.
    """
    groups = defaultdict(list)
    for image in images:
        groups[image.get("source_group", "")].append(image)
    rng = np.random.default_rng(SPLIT_SEED)
    parts: tuple[list[Image], list[Image]] = ([], [])
    turn = 0
    for name in sorted(groups):
        members = sorted(groups[name], key=lambda image: image["file_name"])
        for k in rng.permutation(len(members)):
            parts[turn % 2].append(members[k])
            turn += 1
    return parts


def write_part(content: dict[str, Any], images: list[Image], data: Path, folder: Path) -> Path:
    """Copy some figures with their annotations into a new folder; return it."""
    (folder / "images").mkdir(parents=True)
    ids = {image["id"] for image in images}
    for image in images:
        shutil.copy2(data / image["file_name"], folder / "images")
    part = {
        **content,
        "images": [{**i, "file_name": f"images/{Path(i['file_name']).name}"} for i in images],
        "annotations": [a for a in content["annotations"] if a["image_id"] in ids],
    }
    (folder / "annotations.json").write_text(json.dumps(part))
    return folder


def score(folder: Path, model: str, device: str) -> dict[str, float]:
    """Return F1 on a folder of figures at IoU 0.5 and 0.75, pooled and mean per figure."""
    report = evaluate_figures(EvaluateFiguresConfig(folder, model, device))
    everything = report.groups[0]
    kinds = {group.name: group for group in report.groups if group.kind == "kind"}
    return {
        "f1_50": everything.f1_50,
        "f1_75": everything.f1_75,
        "mean_figure_f1_50": everything.mean_figure_f1_50,
        "compound_f1_50": kinds["compound"].f1_50,
        "split_singles": everything.split_singles,
    }


def tell(progress: Progress) -> None:
    """Print a line now and then."""
    if progress.done % 20 == 0:
        loss = progress.values.get("loss")
        tail = "" if loss is None else f", loss {loss:.2f}"
        print(f"  {progress.message} {progress.done}/{progress.total}{tail}", flush=True)


def run_draw(options: argparse.Namespace, figures: list[Image], label: str) -> dict[str, float]:
    """Improve on some figures and score on the held-out half."""
    out = options.out.absolute() / f"{label}.safetensors"
    config = ImproveConfig(
        project=write_part(options.content, figures, options.data, options.scratch / label),
        model=options.model,
        out=str(out),
        pool=options.pool,
        steps=options.steps,
        learning_rate=options.learning_rate,
        repeats=options.repeats,
        checks=0,
        device=options.device,
    )
    report = improve(replace(config, resume=can_resume(config)), on_progress=tell)
    values = score(options.held_out, str(out), options.device)
    out.unlink()
    out.with_suffix(".json").unlink()
    simulated = report.simulated
    return {
        **values,
        "simulated_before": simulated.before_50,
        "simulated_after": simulated.after_50,
    }


def table(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> str:
    """Return the results as Markdown: means over the draws, and how far the draws lie apart."""
    lines = [
        "| corrected figures | F1@.5 | F1@.75 | mean F1@.5 per figure | compound only F1@.5 "
        "| single figures split | simulated F1@.5 | draws |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for count in options.counts:
        runs = draws_of(results, count, options.folds)
        if not runs:
            continue
        cells = [
            _spread([run[name] for run in runs])
            for name in ("f1_50", "f1_75", "mean_figure_f1_50", "compound_f1_50")
        ]
        split = np.mean([run["split_singles"] for run in runs]) * len(options.folds)
        stage = "simulated_after" if count else "simulated_before"
        known = [v[stage] for label, v in results.items() if stage in v and _count(label, count)]
        lines.append(
            f"| {count} | {' | '.join(cells)} | {split:.1f} | {np.mean(known or [np.nan]):.3f} "
            f"| {len(runs)} |"
        )
    return "\n".join(lines)


def draws_of(
    results: dict[str, dict[str, float]], count: int, folds: list[int]
) -> list[dict[str, float]]:
    """Return one row a draw: the mean over the halves that were held out, if all were."""
    rows = defaultdict(list)
    for label, values in results.items():
        number, draw, fold = (int(part) for part in label.split("-"))
        if number == count and fold in folds:
            rows[draw].append(values)
    return [
        {name: float(np.mean([row[name] for row in held_out])) for name in held_out[0]}
        for held_out in rows.values()
        if len(held_out) == len(folds)
    ]


def _count(label: str, count: int) -> bool:
    """Tell whether a run counts for the simulated column: before is the same for all."""
    return count == 0 or label.split("-")[0] == str(count)


def _spread(values: list[float]) -> str:
    text = f"{np.mean(values):.3f}"
    return text if len(values) == 1 else f"{text} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Run what is missing and print the table."""
    root = Path(os.environ.get("MEDSSL_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=root / "figures", help="folder of figures")
    parser.add_argument("--out", type=Path, required=True, help="results.json goes here")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="registered name or file")
    parser.add_argument("--pool", type=Path, help="pool of the replayed figures")
    parser.add_argument("--steps", type=int, default=ImproveConfig.steps)
    parser.add_argument("--learning-rate", type=float, default=ImproveConfig.learning_rate)
    parser.add_argument("--repeats", type=int, default=ImproveConfig.repeats)
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 5, 10, 20])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1], choices=(0, 1))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.content = json.loads((options.data / "annotations.json").read_text())
    annotated = [image for image in options.content["images"] if image.get("annotated", True)]
    parts = halves(annotated)
    place = options.out / "results.json"
    results = json.loads(place.read_text())["results"] if place.exists() else {}
    settings = {
        "model": options.model,
        "steps": options.steps,
        "learning_rate": options.learning_rate,
        "repeats": options.repeats,
        "halves": [sorted(Path(image["file_name"]).name for image in part) for part in parts],
    }
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        folders = [
            write_part(options.content, part, options.data, options.scratch / f"half-{k}")
            for k, part in enumerate(parts)
        ]
        for draw in range(options.draws):
            for count, fold in itertools.product(options.counts, options.folds):
                label = f"{count}-{draw if count else 0}-{fold}"
                if label in results:
                    continue
                print(f"{count} corrected figures, draw {draw + 1}, half {fold + 1}", flush=True)
                options.held_out, pool = folders[fold], parts[1 - fold]
                order = np.random.default_rng([SPLIT_SEED, draw]).permutation(len(pool))
                figures = [pool[k] for k in order[:count]]
                results[label] = (
                    run_draw(options, figures, label)
                    if count
                    else score(options.held_out, options.model, options.device)
                )
                place.write_text(json.dumps({**settings, "results": results}, indent=1) + "\n")
                print(table(options, results), flush=True)
    print(table(options, results))


if __name__ == "__main__":
    main()
