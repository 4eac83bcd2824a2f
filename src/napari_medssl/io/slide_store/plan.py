"""What a store will hold: settings, size of each level, and which shards are written.

A shard is named by its level and its place in the grid of 2048-pixel squares; the four shards of a
square of 2 x 2 are the parents' sources, so levels form a tree with one shard at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.slides.halving import halved
from napari_medssl.io.slides.protocol import Slide

SHARD = 2048
"""Pixels of the side of a shard, at every level."""

CHUNKS = (256, 512)
"""The sides of a chunk that can be chosen."""

FILL = 255
"""Value of each colour where a store holds nothing: white, as glass without tissue is."""

_COARSEST = 512  # pixels of the longer side below which no further level is made

FindTissue = Callable[[Slide], tuple[NDArray[np.bool_], float]]
"""From a slide to where its tissue is, bool (Y, X), and the level-0 pixels of a pixel of that."""

Codec = Literal["lossless", "jpeg"]


class Shard(NamedTuple):
    """A shard: its level, and its row and column in the grid of that level."""

    level: int
    row: int
    column: int

    @property
    def key(self) -> str:
        """Place of its file below the store, with the one place of the colour axis."""
        return f"{self.level}/c/0/{self.row}/{self.column}"

    @property
    def parent(self) -> Shard:
        """The shard of the next level that it is a quarter of."""
        return Shard(self.level + 1, self.row // 2, self.column // 2)

    @property
    def children(self) -> tuple[Shard, ...]:
        """The four shards that it is made from; some may lie outside their level."""
        row, column = 2 * self.row, 2 * self.column
        places = ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1))
        return tuple(Shard(self.level - 1, *place) for place in places)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What decides the bytes of a store besides the slide.

    Attributes
    ----------
    mpp
        Microns per pixel of its full size; None keeps the slide's.
    tissue_only
        Whether only shards that touch tissue are written.
    codec
        "lossless" is zstd, which every reader of zarr v3 knows; "jpeg" needs imagecodecs.
    chunk
        Pixels of the side of a chunk, 256 or 512.
    """

    mpp: float | None = None
    tissue_only: bool = False
    codec: Codec = "lossless"
    chunk: int = 512

    def __post_init__(self) -> None:
        if self.chunk not in CHUNKS:
            raise UserError(f"The side of a chunk is {self.chunk!r}; due is 256 or 512.")
        if self.codec not in ("lossless", "jpeg"):
            raise UserError(f"The codec is {self.codec!r}; due is 'lossless' or 'jpeg'.")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they stand in a journal and a manifest."""
        return asdict(self)

    def differences(self, written: object) -> str:
        """Say in words how these differ from the settings in a file; empty if they do not."""
        found = written if isinstance(written, dict) else {}
        mine = self.to_json()
        return ", ".join(
            f"{field.name} was {found.get(field.name)!r}, now {mine[field.name]!r}"
            for field in fields(self)
            if found.get(field.name) != mine[field.name]
        )


@dataclass(frozen=True)
class StorePlan:
    """The levels of a store and the shards of level 0 that hold something.

    Attributes
    ----------
    sizes
        `(width, height)` of each level in pixels.
    kept
        Which shards of level 0 are written, shape (rows, columns).
    """

    sizes: tuple[tuple[int, int], ...]
    kept: NDArray[np.bool_]

    @classmethod
    def of_size(cls, width: int, height: int) -> StorePlan:
        """Return the plan that writes every shard."""
        sizes = [(width, height)]
        while max(sizes[-1]) > _COARSEST:
            sizes.append((halved(sizes[-1][0]), halved(sizes[-1][1])))
        return cls(tuple(sizes), np.ones(_grid(sizes[0]), np.bool_))

    def only(self, places: Iterable[tuple[int, int]]) -> StorePlan:
        """Return the plan that writes these `(row, column)` of level 0, and what is above them.

        Raises
        ------
        ValueError
            If a place lies outside.
        """
        kept = np.zeros_like(self.kept)
        for row, column in places:
            if not (0 <= row < kept.shape[0] and 0 <= column < kept.shape[1]):
                raise ValueError(f"shard {row}, {column} is outside {kept.shape}")
            kept[row, column] = True
        return StorePlan(self.sizes, kept)

    @property
    def left_out(self) -> int:
        """How many shards of level 0 are not written."""
        return int((~self.kept).sum())

    def shape_of(self, shard: Shard) -> tuple[int, int]:
        """Return height and width of the pixels of a shard: smaller at the right and lower edge."""
        width, height = self.sizes[shard.level]
        return min(SHARD, height - shard.row * SHARD), min(SHARD, width - shard.column * SHARD)

    def is_written(self, shard: Shard) -> bool:
        """Say whether a shard lies inside and holds something."""
        rows, columns = _grid(self.sizes[shard.level])
        if shard.row >= rows or shard.column >= columns:
            return False
        side = 2**shard.level
        top, left = shard.row * side, shard.column * side
        return bool(self.kept[top : top + side, left : left + side].any())

    def shards(self) -> Iterator[Shard]:
        """Give every shard that is written, each after those that it is made from.

        The order goes down the tree, so that few shards wait for their parts at a time.
        """
        yield from self._below(Shard(len(self.sizes) - 1, 0, 0))

    def _below(self, shard: Shard) -> Iterator[Shard]:
        if not self.is_written(shard):
            return
        if shard.level:
            for child in shard.children:
                yield from self._below(child)
        yield shard

    def count(self) -> int:
        """Return how many shards are written, over all levels."""
        return sum(1 for _ in self.shards())


def touch_tissue(plan: StorePlan, mask: NDArray[np.bool_], step: tuple[float, float]) -> StorePlan:
    """Return the plan that writes only shards under which `mask` is true anywhere.

    Parameters
    ----------
    plan
        The levels.
    mask
        Where tissue is, shape (Y, X).
    step
        Pixels of level 0 of the store along x and y that a pixel of the mask covers.
    """
    (width, height), (ys, xs) = plan.sizes[0], np.nonzero(mask)
    places: set[tuple[int, int]] = set()
    # A pixel of the mask may lie over the border of two shards: both its ends count.
    for rows in _shards_under(ys, step[1], height):
        for columns in _shards_under(xs, step[0], width):
            places.update(zip(rows.tolist(), columns.tolist(), strict=True))
    return plan.only(places)


def _shards_under(
    places: NDArray[np.intp], step: float, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the shards of the first and the last pixel under pixels of a mask, along an axis."""
    ends = np.floor(places * step), np.ceil((places + 1) * step) - 1
    first, last = (np.clip(end, 0, size - 1).astype(np.intp) // SHARD for end in ends)
    return first, last


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of shards of a level of `size` (width, height)."""
    return -(-size[1] // SHARD), -(-size[0] // SHARD)
