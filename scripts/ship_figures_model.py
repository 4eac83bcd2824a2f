"""Put a trained panel detector into resources/models with what its card must say.

Usage: python scripts/ship_figures_model.py WEIGHTS --pool POOL --score S [--report JSON ...]

The weights are stored in half precision. Each report is what `medssl evaluate figures --json`
wrote; its figures go into the card.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from napari_medssl._resources import resources_folder
from napari_medssl.backend.figure_pool import pool_sources
from napari_medssl.backend.figures import DEFAULT_MODEL
from napari_medssl.backend.models import find_weights, load_card, read_weights, write_model

_SCORES = ("f1_50", "f1_75", "ap_50", "ap_50_95", "mean_figure_f1_50", "split_singles")


def _figures_of(report: Path) -> dict[str, float]:
    content = json.loads(report.read_text("utf-8"))
    whole = next(g for g in content["groups"] if g["kind"] == "all")
    name = Path(content["data"]).name
    return {f"{name}/{key}": whole[key] for key in _SCORES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--score", type=float, required=True)
    parser.add_argument("--note", default="")
    parser.add_argument("--report", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    metrics = {"score_threshold": arguments.score}
    for report in arguments.report:
        metrics |= _figures_of(report)
    card = load_card(arguments.weights)
    start = Path(card.recipe.config.get("init", "")).name
    card = replace(
        card,
        recipe=replace(card.recipe, config={**card.recipe.config, "init": start}),
        name=DEFAULT_MODEL,
        data=pool_sources(arguments.pool),
        metrics=metrics,
        description="Finds the panels of compound figures; trained on simulated ones alone. "
        + arguments.note,
    )
    state, _ = read_weights(find_weights(arguments.weights))
    halved = {name: value.half() if value.ndim > 1 else value for name, value in state.items()}
    out = resources_folder() / "models" / f"{DEFAULT_MODEL}.safetensors"
    print(write_model(out, halved, card))


if __name__ == "__main__":
    main()
