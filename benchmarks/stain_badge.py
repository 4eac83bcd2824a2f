"""How often a hit is said to be due to stain: of true fellows, and of tiles of another kind.

    MEDSSL_DATA=data python benchmarks/stain_badge.py

On the labelled tiles of `MEDSSL_DATA` or ../shared/data. The gallery of a query are the tiles of
other slides. Twice it is asked for its ten nearest:

- genuine: the tiles as they are. A hit of the query's class is a fellow.
- planted: every tile of the query's class is in another stain (`backend.stain_jitter`), and as many
  tiles of other classes are brought to the stain of the query (Reinhard's transfer). Those among
  the ten nearest that are of another class and in the query's stain are strangers: they are found
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
from napari_medssl.backend.stain_rank import DUE, OTHERS, stain_share
from napari_medssl.backend.stainless import without_stain
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.io.stain import Reinhard, fit_stain

TOP = 10
BATCH = 32
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


class Bench:
    """One set of tiles and one encoder."""

    def __init__(self, encoder: Encoder, tiles: LabelledTiles, queries: int) -> None:
        self.encoder = encoder
        self.tiles = [read_tile(ref, encoder.info.pixels) for ref in tiles.refs]
        self.classes, self.slides = tiles.class_numbers(), tiles.slide_numbers()
        self.plain = embed(encoder, self.tiles)
        self.without = embed(encoder, [without_stain(tile) for tile in self.tiles])
        moved = [jitter_in_lab(tile, 7 * n + 1) for n, tile in enumerate(self.tiles)]
        self.moved = embed(encoder, moved)
        self.moved_without = embed(encoder, [without_stain(tile) for tile in moved])
        rng = np.random.default_rng(0)
        self.queries = rng.permutation(len(self.tiles))[:queries]

    def shares(self) -> dict[str, list[float]]:
        """Return the stain's share of every hit, by what it is."""
        found: dict[str, list[float]] = {"fellow": [], "other": [], "stranger": [], "moved": []}
        for query in self.queries:
            gallery = np.flatnonzero(self.slides != self.slides[query])
            is_own = self.classes[gallery] == self.classes[query]
            if is_own.sum() < 2:
                continue
            made = self._ranked(query, self.plain[gallery], self.without[gallery])
            for row, share in made:
                found["fellow" if is_own[row] else "other"].append(share)
            self._planted(query, gallery, is_own, found)
        return found

    def _planted(
        self,
        query: int,
        gallery: NDArray[np.int64],
        is_own: NDArray[np.bool_],
        found: dict[str, list[float]],
    ) -> None:
        rng = np.random.default_rng(query)
        others = np.flatnonzero(~is_own)
        chosen = rng.permutation(others)[: max(2, min(is_own.sum(), TOP))]
        stained = [in_stain_of(self.tiles[gallery[row]], self.tiles[query]) for row in chosen]
        plain = np.where(is_own[:, None], self.moved[gallery], self.plain[gallery])
        without = np.where(is_own[:, None], self.moved_without[gallery], self.without[gallery])
        plain[chosen] = embed(self.encoder, stained)
        without[chosen] = embed(self.encoder, [without_stain(tile) for tile in stained])
        strangers = set(chosen.tolist())
        for row, share in self._ranked(query, plain, without):
            if row in strangers:
                found["stranger"].append(share)
            elif is_own[row]:
                found["moved"].append(share)

    def _ranked(self, query: int, plain: Vectors, without: Vectors) -> list[tuple[int, float]]:
        """Return the rows of the nearest with the share of the stain, as `stain_rank` has it."""
        before, after = plain @ self.plain[query], without @ self.without[query]
        places = (
            (np.arange(min(OTHERS, len(before))) + 0.5) * len(before) / min(OTHERS, len(before))
        )
        others = places.astype(np.int64)
        rows = np.argsort(-before)[:TOP]
        spreads = [max(float(s[others].std()), 1e-6) for s in (before, after)]
        means = [float(s[others].mean()) for s in (before, after)]
        return [
            (
                int(row),
                stain_share(
                    (before[row] - means[0]) / spreads[0], (after[row] - means[1]) / spreads[1]
                ),
            )
            for row in rows
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=60, help="queries of each set")
    parser.add_argument("--encoder", action="append", help="names of encoders")
    parser.add_argument("--dry-run", action="store_true", help="leave RESULTS.md as it is")
    chosen = parser.parse_args()
    data = Path(os.environ.get("MEDSSL_DATA", "../shared/data")) / "tiles"
    lines = [
        f"{device_name('cpu')}. Share of hits with the badge (more than {DUE:g} of how far they "
        f"stand out), among the {TOP} nearest of {chosen.queries} queries of each set; in brackets "
        "how many hits.",
        "",
        "| encoder | set | genuine: fellows | genuine: other classes | fellows in another stain | "
        "planted strangers in the query's stain |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name in chosen.encoder or ("siamese-tissue", "imagenet", "histogram"):
        encoder = make_encoder(name, "cpu")
        every: dict[str, list[float]] = {}
        for tiles in read_labelled_tiles(data):
            if len(tiles.refs) < 40:
                continue
            found = Bench(encoder, tiles, chosen.queries).shares()
            lines.append(row(name, tiles.name, found))
            print(lines[-1], flush=True)
            for kind, shares in found.items():
                every.setdefault(kind, []).extend(shares)
        lines.append(row(f"**{name}**", "all", every))
        print(lines[-1], flush=True)
        for kind, shares in every.items():
            print(kind, np.percentile(shares, (5, 25, 50, 75, 90, 95, 99)).round(2).tolist())
    if not chosen.dry_run:
        write_section(
            "\n".join(lines), "stain-badge", "Hits that are due to stain", Path(__file__).name
        )


def row(name: str, title: str, found: dict[str, list[float]]) -> str:
    """Return a line of the table."""
    cells = []
    for kind in ("fellow", "other", "moved", "stranger"):
        shares = np.array(found[kind])
        part = f"{(shares > DUE).mean():.1%}" if len(shares) else "-"
        cells.append(f"{part} ({len(shares)})")
    return f"| {name} | {title} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
