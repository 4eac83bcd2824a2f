"""The value of everything about landmarks: a named point in an image.

Places are `(x, y)` in pixels of the image, x to the right, y down, and the centre of the top left
pixel is (0, 0): as in napari, NumPy, 3D Slicer and the keypoints of COCO. (Boxes count from the
corner of that pixel: half a pixel lies between the two.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from napari_medssl.io.annotations.shapes import LIMIT

State = Literal["undefined", "found", "confirmed", "absent", "locked"]
"""What is known of a landmark: nothing yet, a place by the program, a place by a person, that the
image does not show it, or that nobody may change it."""

STATES: tuple[State, ...] = get_args(State)

NO_NAME = ""
"""Name of the image where a file does not say one: it is about a single image, which one gives."""


@dataclass(frozen=True, slots=True)
class Landmark:
    """A named point.

    `x` and `y` are in pixels (see the module); both are None where the landmark has no place:
    always if it is "absent" or "undefined", and perhaps if it is "locked".
    `score` is the program's confidence in [0, 1], None when a person placed it. `is_visible` is
    False for a point that was marked although something lies before it.

    Raises
    ------
    ValueError
        If the values do not fit together: a fault of the caller, readers check what comes in.
    """

    label: str
    x: float | None = None
    y: float | None = None
    state: State = "confirmed"
    score: float | None = None
    is_visible: bool = True

    def __post_init__(self) -> None:
        """Check that the values fit together."""
        if not self.label or self.label != clean_name(self.label):
            raise ValueError(f"label {self.label!r} is empty or holds what a line of text cannot")
        if self.state not in STATES:
            raise ValueError(f"state {self.state!r} is none of {', '.join(STATES)}")
        if (self.x is None) != (self.y is None):
            raise ValueError(f"x {self.x!r} and y {self.y!r}: give both or none")
        if self.x is None and self.state in ("found", "confirmed"):
            raise ValueError(f"{self.label!r} is {self.state} and has no place")
        if self.x is not None and self.state in ("absent", "undefined"):
            raise ValueError(f"{self.label!r} is {self.state} and has the place {self.place!r}")
        if any(v is not None and not -LIMIT <= v <= LIMIT for v in (self.x, self.y)):
            raise ValueError(f"place {self.place!r} is not finite, or beyond {LIMIT:g} pixels")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score {self.score!r} is not in [0, 1]")

    @property
    def place(self) -> tuple[float, float] | None:
        """`(x, y)` in pixels, None where there is none."""
        return None if self.x is None or self.y is None else (self.x, self.y)


@dataclass(frozen=True, slots=True)
class ImageLandmarks:
    """The landmarks of one image, in their order; no two have the same label.

    `width` and `height` are in pixels, 0 where they are not known. `spacing_mm` is the distance
    of pixels `(x, y)`, None where it is not known.
    """

    image: str
    landmarks: tuple[Landmark, ...] = ()
    width: int = 0
    height: int = 0
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LandmarkFile:
    """What a file holds: images in its order, and a line for each thing that was not kept."""

    images: tuple[ImageLandmarks, ...]
    format: str
    notes: tuple[str, ...] = ()
    path: Path = Path()

    @property
    def by_image(self) -> dict[str, tuple[Landmark, ...]]:
        """The landmarks by the name of their image (`NO_NAME` where the file says none)."""
        return {image.image: image.landmarks for image in self.images}


def clean_name(text: str) -> str:
    """Return `text` as names are kept: one line, single spaces, nothing that cannot be printed."""
    shown = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)
    return " ".join(shown.split())


def usual_state(place: tuple[float, float] | None, score: float | None) -> State:
    """Return the state of a landmark in a file that says none.

    What has a score was found by a program; an empty place means "not in this image".
    """
    if place is None:
        return "absent"
    return "confirmed" if score is None else "found"
