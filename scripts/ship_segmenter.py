"""Put a trained segmentation model into resources/models with its scores on its card.

Usage: python scripts/ship_segmenter.py WEIGHTS REPORT NAME

REPORT is what `medssl evaluate segmentation --model WEIGHTS --out REPORT` wrote.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from napari_medssl._resources import resources_folder
from napari_medssl.backend.models import find_weights, load_card, read_weights, write_model


def _scores_of(report: Path, name: str) -> dict[str, float]:
    content = json.loads(report.read_text("utf-8"))
    return {
        f"{content['data']}/{method['method'].removeprefix(name + ', ')}/{label}/{key}": round(
            scores[key], 4
        )
        for method in content["methods"]
        if method["method"].startswith(f"{name}, ")
        for label, scores in method["classes"].items()
        for key in ("dsc_mean", "dsc_std")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    card = load_card(str(arguments.weights))
    metrics = card.metrics | _scores_of(arguments.report, card.name)
    state, _ = read_weights(find_weights(str(arguments.weights)))
    out = resources_folder() / "models" / f"{arguments.name}.safetensors"
    print(write_model(out, state, replace(card, name=arguments.name, metrics=metrics)))


if __name__ == "__main__":
    main()
