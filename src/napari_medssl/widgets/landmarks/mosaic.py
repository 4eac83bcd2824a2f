"""Where images lie side by side on the canvas: the template large, the others in cells around it.

No Qt here. Coordinates of the world are `(y, x)`, as napari has them; the pixels of the template
are its units. Places are `(x, y)` in pixels of an image, the centre of the top left one at (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Size = tuple[int, int]
Place = tuple[float, float]
_GAP = 0.04, 0.11  # between images, as a part of a cell, (x, y): above each stands its name
_BLOCK = 2  # cells along a side of the template


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an image lies: how large its pixel is, and the centre of the top left one, `(y, x)`."""

    scale: float
    top: float
    left: float
    width: int
    height: int

    def to_world(self, place: Place) -> tuple[float, float]:
        """Return where a place of the image lies in the world, `(y, x)`."""
        return self.top + place[1] * self.scale, self.left + place[0] * self.scale

    def to_place(self, world: Sequence[float]) -> Place:
        """Return the place of the image, `(x, y)`, at a point of the world `(y, x)`."""
        y, x = world[-2:]
        return float((x - self.left) / self.scale), float((y - self.top) / self.scale)

    def holds(self, world: Sequence[float]) -> bool:
        """Say whether a point of the world lies in the image."""
        x, y = self.to_place(world)
        return -0.5 <= x < self.width - 0.5 and -0.5 <= y < self.height - 0.5

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the image in the world, `(y, x)`."""
        return self.to_world(((self.width - 1) / 2, (self.height - 1) / 2))


class Mosaic:
    """Images side by side.

    Parameters
    ----------
    front
        Id of the template.
    sizes
        Width and height in pixels by id, the template among them; in the order of the cells.
    """

    def __init__(self, front: int | None = None, sizes: Mapping[int, Size] | None = None) -> None:
        self.front = front
        self.spots: dict[int, Spot] = {}
        if front is None or not sizes or front not in sizes:
            return
        width, height = sizes[front]
        cell = width / _BLOCK, height / _BLOCK
        self.spots[front] = Spot(1.0, 0.0, 0.0, width, height)
        others = [key for key in sizes if key != front]
        columns, rows = grid_of(len(others))
        for key, (row, column) in zip(others, _cells(columns, rows), strict=False):
            self.spots[key] = _fitted(sizes[key], cell, row, column)

    def image_at(self, world: Sequence[float]) -> int | None:
        """Return the image at a point of the world, None beside all."""
        return next((key for key, spot in self.spots.items() if spot.holds(world)), None)


def grid_of(count: int) -> tuple[int, int]:
    """Return columns and rows of cells for so many images beside the template, which takes four."""
    columns, rows = _BLOCK, _BLOCK
    while columns * rows - _BLOCK**2 < count:
        if columns <= rows:
            columns += 1
        else:
            rows += 1
    return columns, rows


def page_of(images: Sequence[int], front: int | None, wanted: int | None, count: int) -> list[int]:
    """Return the images to show: the template first, then the page that holds the wanted one.

    Parameters
    ----------
    images
        All, in order.
    front
        The template.
    wanted
        The one that has to be seen; with the template the first page is shown.
    count
        How many others a page has.
    """
    others = [key for key in images if key != front]
    start = others.index(wanted) // count * count if wanted in others else 0
    first = [] if front is None else [front]
    return [*first, *others[start : start + count]]


def _cells(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Give row and column of every cell that the template leaves free."""
    for row in range(rows):
        for column in range(columns):
            if row >= _BLOCK or column >= _BLOCK:
                yield row, column


def _fitted(size: Size, cell: tuple[float, float], row: int, column: int) -> Spot:
    """Return the spot of an image in the middle of a cell."""
    width, height = size
    room = cell[0] * (1 - _GAP[0]), cell[1] * (1 - _GAP[1])
    scale = min(room[0] / width, room[1] / height)
    left = column * cell[0] + (cell[0] - (width - 1) * scale) / 2 + cell[0] * _GAP[0] / 2
    top = row * cell[1] + (cell[1] - (height - 1) * scale) / 2 + cell[1] * _GAP[1] / 2
    return Spot(scale, top, left, width, height)
