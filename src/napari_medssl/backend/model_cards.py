"""Model cards: what a person must know of a model, and what code needs to build it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from napari_medssl._errors import UserError


@dataclass(frozen=True)
class Recipe:
    """How a model came to be: enough to train it again."""

    command: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    steps: int | None = None
    duration_s: float | None = None
    hardware: str = ""


@dataclass(frozen=True)
class DataSource:
    """Data a model has seen, with its licence."""

    name: str
    licence: str
    source: str = ""


@dataclass(frozen=True)
class ModelCard:
    """What a person must know of a model, and what code needs to build it.

    `architecture` names the network and `config` holds its arguments. `sha256` is that of the
    weights file; `write_model` fills it in.
    """

    name: str
    task: str
    architecture: str
    config: dict[str, Any]
    recipe: Recipe
    data: tuple[DataSource, ...]
    metrics: dict[str, Any]
    licence: str
    version: str
    sha256: str = ""
    description: str = ""

    @property
    def default_score(self) -> float:
        """Least score of a box that a detector gives when nobody asks for another."""
        return float(self.metrics.get("score_threshold", 0.3))


def card_to_json(card: ModelCard) -> str:
    """Return the text of the card's JSON file."""
    return json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"


def card_from_json(text: str, where: str) -> ModelCard:
    """Return the card that `text` holds; `where` names its file in errors."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"Model card {where} is no JSON: {error}.") from None
    if not isinstance(values, dict):
        raise UserError(f"Model card {where} holds a {type(values).__name__}, not an object.")
    known = {f.name for f in fields(ModelCard)}
    missing = sorted(known - {"sha256", "description"} - set(values))
    if missing:
        raise UserError(f"Model card {where} lacks {', '.join(missing)}.")
    try:
        recipe = Recipe(**values["recipe"])
        data = tuple(DataSource(**source) for source in values["data"])
        named = {key: value for key, value in values.items() if key in known}
        return ModelCard(**{**named, "recipe": recipe, "data": data})
    except TypeError as error:
        raise UserError(f"Model card {where} has wrong entries: {error}.") from None
