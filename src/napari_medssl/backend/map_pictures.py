"""Where the pictures of the rows of a map are: files, or places on slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.images import ImageRef
from napari_medssl.io.slides.places import is_inside


@dataclass(frozen=True, slots=True)
class SlidePlace:
    """A slide: path or URL ("" where it was not found), fingerprint ("" if unknown), name."""

    path: str
    fingerprint: str
    name: str


@dataclass(frozen=True, slots=True)
class SlideTile:
    """A square of a slide: corner `(x, y)` and side in level-0 pixels."""

    slide: SlidePlace
    x: int
    y: int
    size: int


class RowPictures(Protocol):
    """Says where the picture of each of N rows is."""

    def __len__(self) -> int:
        """Return the number of rows, N."""
        ...

    def __getitem__(self, row: int) -> ImageRef | SlideTile | None:
        """Return where the picture of a row is, None if nobody knows."""
        ...


class FilePictures:
    """A picture file for each row.

    Parameters
    ----------
    refs
        N of them, None for a row whose picture is not found.
    """

    def __init__(self, refs: Sequence[ImageRef | None]) -> None:
        self._refs = tuple(refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, row: int) -> ImageRef | None:
        return self._refs[row]

    def row_of(self, ref: ImageRef) -> int | None:
        """Return the row of a picture, None if it has none."""
        return self._row_of.get(ref)

    @cached_property
    def _row_of(self) -> dict[ImageRef, int]:
        return {ref: row for row, ref in enumerate(self._refs) if ref is not None}


class NamedPictures:
    """Pictures that a table names, below a folder; names that lead out of it are not followed.

    Parameters
    ----------
    names
        Paths below the folder, N of them.
    folder
        None where it is not known.
    """

    def __init__(self, names: Sequence[str], folder: Path | None) -> None:
        self._names, self.folder = names, folder

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> ImageRef | None:
        name = self._names[row]
        if self.folder is None or not is_inside(name.partition("#page=")[0]):
            return None
        return ImageRef.parse(self.folder / name)

    def is_there(self, row: int) -> bool:
        """Say whether there is a file for a row."""
        ref = self[row]
        return ref is not None and ref.path.is_file()


class TilePictures:
    """A tile of a slide for each row.

    Parameters
    ----------
    slides
        The slides, S.
    numbers
        Which of them each row is of, int32, shape (N,).
    locations
        Corners `(x, y)` at level 0, int64, shape (N, 2).
    sizes
        Sides in level-0 pixels, int64, shape (N,); 0 where nobody said.
    """

    def __init__(
        self,
        slides: Sequence[SlidePlace],
        numbers: NDArray[np.int32],
        locations: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> None:
        self.slides = tuple(slides)
        self.numbers, self.locations, self.sizes = numbers, locations, sizes

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> SlideTile | None:
        slide, size = self.slides[self.numbers[row]], int(self.sizes[row])
        if not slide.path or not size:
            return None
        x, y = self.locations[row].tolist()
        return SlideTile(slide, x, y, size)

    def rows_in(self, slide: int, box: tuple[float, float, float, float]) -> NDArray[np.int64]:
        """Return the rows whose tiles' middles are in a box `(x0, y0, x1, y1)` of a slide."""
        x0, y0, x1, y1 = box
        rows: NDArray[np.int64] = np.flatnonzero(self.numbers == slide)
        x, y = (self.locations[rows] + self.sizes[rows, None] / 2).T
        inside: NDArray[np.int64] = rows[(x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)]
        return inside
