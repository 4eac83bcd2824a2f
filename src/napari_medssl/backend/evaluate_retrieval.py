"""Score tile retrieval across slides, for several encoders on the same labelled tiles.

What is counted is defined in `methods.siamese.retrieval`. Scores of a set are macro means over its
classes (and over its slides); the mean over sets weighs each set alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.encoders import DEFAULT_ENCODER, Embeddings, Encoder, make_encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_tiles import LabelledTiles, read_labelled_tiles
from napari_medssl.backend.retrieval_report import EncoderScores, RetrievalReport, SetScores
from napari_medssl.backend.stain_jitter import jitter_in_lab
from napari_medssl.backend.tile_map import umap_places
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.io.stain import Reinhard, fit_stain
from napari_medssl.methods.siamese.retrieval import (
    QueryScores,
    global_addr,
    macro_mean,
    score_queries,
)
from napari_medssl.methods.siamese.tightness import tightness

_BATCH = 32
NORMALISATION = "embeddings of unit length; near = same slide, far = other slides of the set"


@dataclass(frozen=True)
class EvaluateRetrievalConfig:
    """Score the retrieval of tiles across slides."""

    data: Path = option(help="Folder of labelled tiles: tiles.csv, or a subfolder for each class.")
    encoder: tuple[str, ...] = option(
        (DEFAULT_ENCODER, "imagenet", "histogram"),
        help="Name or file of an encoder; may be given several times.",
    )
    sets: tuple[str, ...] = option((), help="Only these sets of tiles.csv.")
    jitter: bool = option(True, help="Also ask with the queries in another stain.")
    stain: str = option(
        "none", help="Bring each tile to this stain first, by itself.", choices=("none", "he")
    )
    map: bool = option(
        False, help="Also tell how tight classes lie on a UMAP; takes about a minute more."
    )
    seed: int = option(0, help="Seed of the stains and of the map.", min=0, advanced=True)
    device: str = option("auto", help="Where networks run.", choices=("auto", "cpu", "cuda", "mps"))


def evaluate_retrieval(
    config: EvaluateRetrievalConfig,
    *,
    encoders: tuple[Encoder, ...] = (),
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> RetrievalReport:
    """Embed every tile with every encoder, and score each tile as a query.

    Tiles that cannot be read are listed in `failures` and left out. `encoders` replaces those that
    `config.encoder` names.

    Raises
    ------
    UserError
        If there are no tiles or encoders, or no set of that name.
    Cancelled
        If it was asked to stop; a part of the scores would be of other galleries.
    """
    check(config)
    chosen = _chosen_sets(config)
    used = encoders or tuple(make_encoder(name, config.device) for name in config.encoder)
    if not used:
        raise UserError("No encoder is given. Name one with --encoder.")
    total = len(used) * sum(len(tiles.refs) for tiles in chosen)
    failures: dict[str, str] = {}
    scores, done = [], 0
    for encoder in used:
        found = []
        for tiles in chosen:
            run = _Embedding(encoder, tiles, config, failures)
            for count in run:
                on_progress(Progress(done + count, total, f"embedding {tiles.name}"))
                if should_stop():
                    raise Cancelled(
                        f"Stopped after {done + count} of {total} tiles; no score is written, "
                        "since it would be of a part."
                    )
            done += len(tiles.refs)
            found.append(run.score())
        scores.append(_encoder_scores(encoder, tuple(found)))
    return RetrievalReport(
        str(config.data), NORMALISATION, tuple(scores), tuple(sorted(failures.items()))
    )


def _chosen_sets(config: EvaluateRetrievalConfig) -> tuple[LabelledTiles, ...]:
    every = read_labelled_tiles(config.data)
    known = [tiles.name for tiles in every]
    unknown = [name for name in config.sets if name not in known]
    if unknown:
        raise UserError(
            f"{str(config.data)!r} has no set {unknown[0]!r}. Choose from {', '.join(known)}."
        )
    return tuple(tiles for tiles in every if not config.sets or tiles.name in config.sets)


class _Embedding:
    """Embeds a set in batches, as it is and in another stain."""

    def __init__(
        self,
        encoder: Encoder,
        tiles: LabelledTiles,
        config: EvaluateRetrievalConfig,
        failures: dict[str, str],
    ) -> None:
        self._encoder, self._tiles, self._config = encoder, tiles, config
        self._failures = failures
        self._kept: list[int] = []
        self._parts: list[Embeddings] = []
        self._asked: list[Embeddings] = []

    def __iter__(self) -> Any:
        """Embed a batch at a time; give how many tiles are done."""
        refs = self._tiles.refs
        for start in range(0, len(refs), _BATCH):
            pictures, asked = [], []
            for place in range(start, min(start + _BATCH, len(refs))):
                try:
                    tile = read_tile(refs[place], self._encoder.info.pixels)
                except UserError as error:
                    self._failures[refs[place].name] = str(error)
                    continue
                self._kept.append(place)
                pictures.append(self._look(tile))
                if self._config.jitter:
                    # A seed of its own for each tile: leaving one out changes no other.
                    asked.append(self._look(jitter_in_lab(tile, self._config.seed + place)))
            if pictures:
                self._parts.append(self._encoder.embed(np.stack(pictures)))
            if asked:
                self._asked.append(self._encoder.embed(np.stack(asked)))
            yield min(start + _BATCH, len(refs))

    def _look(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the tile in the stain that is asked for; one without stain stays as it is."""
        if self._config.stain == "none":
            return tile
        try:
            return Reinhard(fit_stain(tile), self._config.stain)(tile)
        except UserError:
            return tile

    def _map_tightness(
        self, embeddings: Embeddings, classes: NDArray[np.int64], slides: NDArray[np.int64]
    ) -> dict[str, float | None]:
        places = umap_places(embeddings, self._config.seed) if self._config.map else None
        if places is None:
            return {}
        names, found = self._class_names(), tightness(places, classes, slides)
        return {names[label]: _number(value) for label, value in found.items()}

    def _class_names(self) -> dict[int, str]:
        """Return the name of each class by its number."""
        return dict(zip(self._tiles.class_numbers().tolist(), self._tiles.classes, strict=True))

    def score(self) -> SetScores:
        """Return the scores of what was embedded."""
        tiles, kept = self._tiles, np.array(self._kept, np.int64)
        if not len(kept):
            raise UserError(f"No tile of the set {tiles.name!r} can be read.")
        classes, slides = tiles.class_numbers()[kept], tiles.slide_numbers()[kept]
        embeddings = np.concatenate(self._parts)
        plain = score_queries(embeddings, classes, slides)
        jittered: dict[str, float | None] = {}
        if self._asked:
            asked = np.concatenate(self._asked)
            again = score_queries(embeddings, classes, slides, queries=asked)
            jittered = _macro(again.values, classes)
        return SetScores(
            name=tiles.name,
            tiles=len(kept),
            classes=len(np.unique(classes)),
            slides=len(np.unique(slides)),
            queries=_counted(plain),
            by_class=_macro(plain.values, classes),
            by_slide=_macro(plain.values, slides),
            chance=_macro(plain.chance, classes),
            jittered=jittered,
            addr=_number(global_addr(embeddings, slides)),
            map_tightness=self._map_tightness(embeddings, classes, slides),
            each_class={
                name: _of_class(plain, classes == label)
                for label, name in sorted(self._class_names().items())
                if (classes == label).any()
            },
        )


def _counted(scores: QueryScores) -> int:
    return int((~np.isnan(scores.values["map_10"])).sum())


def _macro(
    values: Mapping[str, NDArray[np.float64]], groups: NDArray[np.int64]
) -> dict[str, float | None]:
    return {name: _number(macro_mean(each, groups)) for name, each in values.items()}


def _of_class(scores: QueryScores, is_own: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return the means over the queries of a class, with chance beside, and how many they are."""
    counted = is_own & ~np.isnan(scores.values["map_10"])
    found: dict[str, float | None] = {"queries": int(counted.sum())}
    for prefix, values in (("", scores.values), ("chance_", scores.chance)):
        for name, each in values.items():
            found[prefix + name] = _number(float(each[counted].mean())) if counted.any() else None
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _encoder_scores(encoder: Encoder, sets: tuple[SetScores, ...]) -> EncoderScores:
    def mean(part: str) -> dict[str, float | None]:
        parts: list[Mapping[str, float | None]] = [getattr(scores, part) for scores in sets]
        names = dict.fromkeys(name for each in parts for name in each)
        found = {name: [v for each in parts if (v := each.get(name)) is not None] for name in names}
        return {name: _number(float(np.mean(v))) if v else None for name, v in found.items()}

    return EncoderScores(
        asdict(encoder.info), sets, mean("by_class"), mean("chance"), mean("jittered")
    )
