"""Put a trained tile encoder into resources/models with its scores on its card.

Usage: python scripts/ship_encoder.py WEIGHTS REPORT

REPORT is what `medssl evaluate retrieval --encoder WEIGHTS --out REPORT` wrote.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from napari_medssl._resources import resources_folder
from napari_medssl.backend.encoders import DEFAULT_ENCODER
from napari_medssl.backend.models import find_weights, load_card, read_weights, write_model


def _scores_of(report: Path, sha256: str) -> dict[str, float]:
    content = json.loads(report.read_text("utf-8"))
    (scores,) = (e for e in content["encoders"] if e["encoder"]["sha256"] == sha256)
    return {
        f"{one['name']}/{key}": one[part]["map_10"]
        for one in scores["sets"]
        for key, part in (("map_10", "by_class"), ("map_10_stained", "jittered"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("report", type=Path)
    arguments = parser.parse_args()
    card = load_card(str(arguments.weights))
    metrics = card.metrics | _scores_of(arguments.report, card.sha256)
    state, _ = read_weights(find_weights(str(arguments.weights)))
    out = resources_folder() / "models" / f"{DEFAULT_ENCODER}.safetensors"
    print(write_model(out, state, replace(card, name=DEFAULT_ENCODER, metrics=metrics)))


if __name__ == "__main__":
    main()
