"""What `medssl evaluate retrieval` reports: scores of encoders on sets of labelled tiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SetScores:
    """Scores of one encoder on one set; NaN is None.

    Attributes
    ----------
    name, tiles, classes, slides
        Of the set, and how many it has.
    queries
        How many could be counted: those with a fellow of their class on another slide.
    by_class, by_slide
        Macro means of the scores by name, such as "map_10" and "precision_1".
    each_class
        Of each class, such as tumour, the means over its queries by the same names, what a random
        order scores as "chance_map_10" and so on, and how many "queries" it has.
    chance
        What a random order scores, macro by class.
    jittered
        As `by_class`, the queries in another stain; empty where that was not asked for.
    addr
        Global ADDR.
    map_tightness
        Of each class on a UMAP of the set, see `methods.siamese.tightness`; empty where that was
        not asked for.
    """

    name: str
    tiles: int
    classes: int
    slides: int
    queries: int
    by_class: Mapping[str, float | None]
    by_slide: Mapping[str, float | None]
    chance: Mapping[str, float | None]
    jittered: Mapping[str, float | None]
    addr: float | None
    map_tightness: Mapping[str, float | None] = field(default_factory=dict)
    each_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncoderScores:
    """Scores of one encoder: each set, and the means over sets."""

    encoder: Mapping[str, Any]
    sets: tuple[SetScores, ...]
    mean: Mapping[str, float | None]
    mean_chance: Mapping[str, float | None]
    mean_jittered: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """All that `medssl evaluate retrieval` prints and writes."""

    data: str
    addr_normalisation: str
    encoders: tuple[EncoderScores, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
