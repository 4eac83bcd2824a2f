"""Put a trained model of local discrimination into resources/models with its scores on its card.

Usage: python scripts/ship_landmarks.py WEIGHTS NAME REPORT...

Each REPORT is what `medssl evaluate landmarks --model WEIGHTS --out REPORT` wrote, as JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from napari_medssl._resources import resources_folder
from napari_medssl.backend.models import find_weights, load_card, read_weights, write_model


def scores_of(report: Path) -> dict[str, object]:
    """Return the scores of the first model of a report, named by data and number of templates."""
    content = json.loads(report.read_text("utf-8"))
    scores = content["methods"][0]["overall"]
    of = f"{Path(content['data']).name}, median of {len(content['templates'])} templates"
    shares = {f"{of}/SDR {radius}": round(share, 4) for radius, share in scores["sdr"].items()}
    counted = {f"{of}/{key}": scores[key] for key in ("count", "missed")}
    return {f"{of}/MRE %": round(scores["mre_percent"], 3), **shares, **counted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("reports", type=Path, nargs="+")
    arguments = parser.parse_args()
    card = load_card(arguments.weights)
    metrics = dict(card.metrics)
    for report in arguments.reports:
        metrics |= scores_of(report)
    state, _ = read_weights(find_weights(str(arguments.weights)))
    out = resources_folder() / "models" / f"{arguments.name}.safetensors"
    print(write_model(out, state, replace(card, name=arguments.name, metrics=metrics)))


if __name__ == "__main__":
    main()
