"""Put a trained start of segmentations into resources/models, as a start alone.

Usage: python scripts/ship_segmentation_encoder.py WEIGHTS [REPORT ...]

WEIGHTS is what `medssl train action` wrote. It has learnt classes that nobody is to be offered:
others begin with it. Each REPORT is what `medssl evaluate action --start WEIGHTS --out REPORT`
wrote; its mean scores go onto the card.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medssl._resources import resources_folder
from napari_medssl.backend.action_comparison import RecipeRun
from napari_medssl.backend.action_config import START_TASK
from napari_medssl.backend.models import find_weights, load_card, read_weights, write_model

_NAME = "segmentation-encoder"


def scores_of(report: Path) -> dict[str, float]:
    """Return the mean DSC of the teacher by set, recipe and percent of labels, over seeds."""
    content = json.loads(report.read_text("utf-8"))
    found: dict[str, list[float]] = {}
    for compared in content["sets"]:
        for run in compared["runs"]:
            if run["branch"] == "teacher":
                key = f"{compared['name']}/{run['recipe']}/{run['percent']} %/DSC"
                found.setdefault(key, []).append(RecipeRun(**run).mean("dsc", None))
    return {key: round(float(np.mean(values)), 4) for key, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("reports", type=Path, nargs="*")
    arguments = parser.parse_args()
    card = load_card(str(arguments.weights))
    metrics = dict(card.metrics)
    for report in arguments.reports:
        metrics |= scores_of(report)
    state, _ = read_weights(find_weights(str(arguments.weights)))
    out = resources_folder() / "models" / f"{_NAME}.safetensors"
    description = (
        "Start of segmentations: nuclei, vessels of the retina and structures of the heart were "
        "learnt from masks, and images of blood, tissue, chest and retina without."
    )
    shipped = replace(card, name=_NAME, task=START_TASK, metrics=metrics, description=description)
    print(write_model(out, state, shipped))


if __name__ == "__main__":
    main()
