"""How often a hit is said to be due to stain: of true fellows, and of tiles of another kind.

    MEDSSL_DATA=data python benchmarks/stain_badge.py

On the labelled tiles of `MEDSSL_DATA` or ../shared/data. The gallery of a query are the tiles of
other slides. Twice it is asked for its ten nearest:

- genuine: the tiles as they are. A hit of the query's class is a fellow.
- planted: every tile of the query's class is in another stain (`backend.stain_jitter`), and eight
  tiles of other classes are brought to the stain of the query (Reinhard's transfer). Those of them
  that are among the ten nearest now, and were not in their own stain, are strangers: they are found
  for their stain.

The badge (`backend.stain_rank`) should come for strangers, and not for fellows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from bench_figures import device_name, write_section
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Encoder, make_encoder
from napari_medssl.backend.labelled_tiles import LabelledTiles, read_labelled_tiles
from napari_medssl.backend.stain_jitter import jitter_in_lab
from napari_medssl.backend.stain_rank import OTHERS, HitStain, stain_distance, stain_share
from napari_medssl.backend.stainless import without_stain
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.io.stain import Reinhard, fit_stain

TOP = 10
BATCH = 32
PLANTED = 8
KINDS = ("fellow", "other", "moved", "stranger")
Vectors = NDArray[np.float32]


def embed(encoder: Encoder, tiles: list[NDArray[np.uint8]]) -> Vectors:
    """Return the embeddings of tiles, shape (N, D)."""
    parts = [
        encoder.embed(np.stack(tiles[start : start + BATCH]))
        for start in range(0, len(tiles), BATCH)
    ]
    return np.concatenate(parts)


def in_stain_of(tile: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a tile in the stain of another one; as it is where one has too little."""
    try:
        return Reinhard(fit_stain(tile), fit_stain(other))(tile)
    except UserError:
        return tile


def looked(encoder: Encoder, tiles: list[NDArray[np.uint8]]) -> tuple[Vectors, NDArray[np.float64]]:
    """Return embeddings without stain (N, D) and the stains (N, 3)."""
    moved, stains = zip(*map(without_stain, tiles), strict=True)
    return embed(encoder, list(moved)), np.array(stains)


class Bench:
    """One set of tiles and one encoder."""

    def __init__(self, encoder: Encoder, tiles: LabelledTiles, queries: int, most: int) -> None:
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.permutation(len(tiles.refs))[:most])
        self.encoder = encoder
        self.tiles = [read_tile(tiles.refs[row], encoder.info.pixels) for row in chosen]
        self.classes, self.slides = tiles.class_numbers()[chosen], tiles.slide_numbers()[chosen]
        self.plain = embed(encoder, self.tiles)
        self.without, self.stains = looked(encoder, self.tiles)
        moved = [jitter_in_lab(tile, 7 * n + 1) for n, tile in enumerate(self.tiles)]
        self.moved = embed(encoder, moved)
        self.moved_without, self.moved_stains = looked(encoder, moved)
        self.queries = rng.permutation(len(self.tiles))[:queries]

    def badges(self) -> dict[str, list[bool]]:
        """Return whether each hit has the badge, by what it is."""
        found: dict[str, list[bool]] = {kind: [] for kind in KINDS}
        for query in self.queries:
            gallery = np.flatnonzero(self.slides != self.slides[query])
            is_own = self.classes[gallery] == self.classes[query]
            if is_own.sum() < 2:
                continue
            seen = self.plain[gallery], self.without[gallery], self.stains[gallery]
            made = self._ranked(query, *seen)
            for row, has_badge in made.items():
                found["fellow" if is_own[row] else "other"].append(has_badge)
            self._planted(query, gallery, is_own, (set(made), found))
        return found

    def _planted(
        self,
        query: int,
        gallery: NDArray[np.int64],
        is_own: NDArray[np.bool_],
        known: tuple[set[int], dict[str, list[bool]]],
    ) -> None:
        former, found = known
        rng = np.random.default_rng(query)
        chosen = rng.permutation(np.flatnonzero(~is_own))[:PLANTED]
        stained = [in_stain_of(self.tiles[gallery[row]], self.tiles[query]) for row in chosen]
        own = is_own[:, None]
        plain = np.where(own, self.moved[gallery], self.plain[gallery])
        without = np.where(own, self.moved_without[gallery], self.without[gallery])
        stains = np.where(own, self.moved_stains[gallery], self.stains[gallery])
        plain[chosen] = embed(self.encoder, stained)
        without[chosen], stains[chosen] = looked(self.encoder, stained)
        for row, has_badge in self._ranked(query, plain, without, stains).items():
            if row in chosen and row not in former:
                found["stranger"].append(has_badge)
            elif is_own[row]:
                found["moved"].append(has_badge)

    def _ranked(
        self, query: int, plain: Vectors, without: Vectors, stains: NDArray[np.float64]
    ) -> dict[int, bool]:
        """Return the rows of the nearest and whether each has the badge, as `stain_rank` says."""
        before, after = plain @ self.plain[query], without @ self.without[query]
        count = min(OTHERS, len(before))
        others = ((np.arange(count) + 0.5) * len(before) / count).astype(np.int64)
        distance = stain_distance(self.stains[query], stains[others])

        def standing(values: Vectors, row: int) -> float:
            part = values[others]
            return float((values[row] - part.mean()) / max(float(part.std()), 1e-6))

        found = {}
        for row in np.argsort(-before)[:TOP].tolist():
            share = stain_share(standing(before, row), standing(after, row))
            found[row] = HitStain(float(after[row]), share, distance(stains[row])).is_due
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=60, help="queries of each set")
    parser.add_argument("--tiles", type=int, default=300, help="tiles of each set at most")
    parser.add_argument("--encoder", action="append", help="names of encoders")
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    chosen = parser.parse_args()
    data = Path(os.environ.get("MEDSSL_DATA", "../shared/data")) / "tiles"
    lines = [
        f"{device_name('cpu')}. Hits with the badge among the {TOP} nearest of {chosen.queries} "
        f"queries of each set (at most {chosen.tiles} tiles); in brackets how many hits.",
        "",
        "| encoder | set | fellows | other classes | fellows in another stain | "
        "strangers found for their stain |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name in chosen.encoder or ("siamese-tissue", "imagenet", "histogram"):
        encoder = make_encoder(name, "cpu")
        every: dict[str, list[bool]] = {}
        for tiles in read_labelled_tiles(data):
            if len(tiles.refs) < 40:
                continue
            found = Bench(encoder, tiles, chosen.queries, chosen.tiles).badges()
            lines.append(row(name, tiles.name, found))
            print(lines[-1], flush=True)
            for kind, badges in found.items():
                every.setdefault(kind, []).extend(badges)
        lines.append(row(f"**{name}**", "all", every))
        print(lines[-1], flush=True)
    if not chosen.dry_run:
        write_section(
            "\n".join(lines), "stain-badge", "Hits that are due to stain", Path(__file__).name
        )


def row(name: str, title: str, found: dict[str, list[bool]]) -> str:
    """Return a line of the table."""
    cells = [
        f"{np.mean(found[kind]):.1%} ({len(found[kind])})" if found[kind] else "- (0)"
        for kind in KINDS
    ]
    return f"| {name} | {title} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
