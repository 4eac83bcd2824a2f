"""`medssl models`: the models that --model takes by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.models import RegisteredModel, list_models
from napari_medssl.cli._console import note, say, say_json


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("models", epilog="Example: medssl models --json")(models)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole cards as JSON.")] = False,
) -> None:
    """List the trained models: shipped ones and those in your models folder."""
    found = list_models()
    if as_json:
        say_json([_as_json(model) for model in found])
        return
    for model in found:
        say(_as_line(model))
    if not found:
        note("No model is registered.")
    note(f"Your own models: put NAME.safetensors and NAME.json into {user_models_folder()}")


def _as_line(model: RegisteredModel) -> str:
    card = model.card
    size = model.path.stat().st_size / 1e6
    origin = "shipped" if model.is_shipped else str(model.path)
    parts = (card.name, card.task, f"{size:.1f} MB", card.licence, f"version {card.version}")
    summary = card.description.split(". ")[0]  # the rest is in --json
    return "  ".join((*parts, origin, summary)).rstrip()


def _as_json(model: RegisteredModel) -> dict[str, Any]:
    return {
        **asdict(model.card),
        "path": str(model.path),
        "is_shipped": model.is_shipped,
        "bytes": model.path.stat().st_size,
    }
