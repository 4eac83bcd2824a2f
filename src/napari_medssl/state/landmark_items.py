"""What a set of landmarks is made of, as values: images, named landmarks, and a point of the two.

Places are in pixels, x to the right, y down, the centre of the top left pixel at (0, 0), as in
`io.landmarks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_medssl.io.color import Color
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.images import ImageRef
from napari_medssl.io.landmarks import STATES, Landmark, State, clean_name
from napari_medssl.state.colors import check_color

_PROBE = "landmark"


@dataclass(frozen=True, slots=True)
class LandmarkImage:
    """An image on which landmarks are placed.

    Attributes
    ----------
    name
        What it is called here and in files; no two images of a set share one.
    source
        Path of its file, with "#page=N" for a page of several.
    width, height
        Size in pixels; 0 until it was read.
    spacing_mm
        Distance of pixels `(x, y)` in mm, None where it is not known.
    """

    name: str
    source: str
    width: int = 0
    height: int = 0
    spacing_mm: tuple[float, float] | None = None

    @property
    def ref(self) -> ImageRef:
        """Where its pixels are."""
        return ImageRef.parse(self.source)


@dataclass(frozen=True, slots=True)
class LandmarkName:
    """A landmark of the list: what it is called, its colour, words about it.

    `order` says where it stands; lower ones come first.
    """

    name: str
    color: Color
    description: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One landmark in one image.

    Attributes
    ----------
    image, name
        Ids of the `LandmarkImage` and the `LandmarkName`.
    state
        See `io.landmarks.State`.
    x, y
        Place in pixels; None where there is none.
    score
        The program's confidence in [0, 1]; None where a person decided.
    is_template
        Whether other images are compared with this point.
    is_picked
        Whether a person chose this place among those that the program offered.
    is_visible
        False for a point that was marked although something lies before it.
    """

    image: int
    name: int
    state: State = "undefined"
    x: float | None = None
    y: float | None = None
    score: float | None = None
    is_template: bool = False
    is_picked: bool = False
    is_visible: bool = True

    @property
    def place(self) -> tuple[float, float] | None:
        """`(x, y)` in pixels, None where there is none."""
        return None if self.x is None or self.y is None else (self.x, self.y)

    @property
    def is_decided(self) -> bool:
        """True if a person has said what is right: nothing is left to look at."""
        if self.state == "absent":
            return self.score is None
        return self.state in ("confirmed", "locked")

    @property
    def is_placed(self) -> bool:
        """True if a person has said where it is."""
        return self.is_decided and self.place is not None

    @property
    def is_by_person(self) -> bool:
        """True if a person made it so: the program never changes it."""
        return self.is_decided or self.is_picked


@dataclass(frozen=True, slots=True)
class Tally:
    """What the points of an image add up to.

    Attributes
    ----------
    decided, found
        How many a person has decided about; how many the program has found, or says are absent.
    doubt
        Sum of what a look at each is worth, see `state.landmark_queue.uncertainty`.
    """

    decided: int
    found: int
    doubt: float


LandmarkItem = LandmarkImage | LandmarkName | Point


def fit_item(item: LandmarkItem) -> LandmarkItem:
    """Return the item if it is sound; ValueError if it is not."""
    if isinstance(item, Point):
        Landmark(_PROBE, item.x, item.y, item.state, item.score, item.is_visible)
        if item.is_template and item.place is None:
            raise ValueError("a point without a place is no template")
        return item
    if isinstance(item, LandmarkName):
        if not item.name or item.name != clean_name(item.name):
            raise ValueError(f"name {item.name!r} is empty or holds what a line of text cannot")
        check_color(item.color)
        return item
    if not item.name or item.name != clean_image_name(item.name):
        raise ValueError(f"image name {item.name!r} is empty or is no line of text")
    return item


def item_to_row(item: LandmarkItem) -> list[Any]:
    """Return an item as a JSON list."""
    if isinstance(item, LandmarkImage):
        spacing = None if item.spacing_mm is None else list(item.spacing_mm)
        return ["image", item.name, item.source, item.width, item.height, spacing]
    if isinstance(item, LandmarkName):
        return ["name", item.name, list(item.color), item.description, item.order]
    flags = [item.is_template, item.is_picked, item.is_visible]
    return ["point", item.image, item.name, item.state, item.x, item.y, item.score, *flags]


def item_from_row(row: list[Any]) -> LandmarkItem:
    """Return the item of a list made by `item_to_row`.

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    kind, *values = row
    item: LandmarkItem
    if kind == "image":
        name, source, width, height, spacing = values
        sides = None if spacing is None else (float(spacing[0]), float(spacing[1]))
        item = LandmarkImage(str(name), str(source), int(width), int(height), sides)
    elif kind == "name":
        name, (red, green, blue), description, order = values
        color = (int(red), int(green), int(blue))
        item = LandmarkName(str(name), color, str(description), int(order))
    elif kind == "point":
        image, name, state, x, y, score, is_template, is_picked, is_visible = values
        if state not in STATES:
            raise ValueError(f"state {state!r} is none of {', '.join(STATES)}")
        x, y, score = (None if value is None else float(value) for value in (x, y, score))
        flags = bool(is_template), bool(is_picked), bool(is_visible)
        item = Point(int(image), int(name), state, x, y, score, *flags)
    else:
        raise ValueError(f"a row is an image, a name or a point, got {kind!r}")
    return fit_item(item)
