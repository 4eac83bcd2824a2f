"""What a slide is to the rest of the program: OpenSlide's names, whole pixels, uint8 RGB.

We differ from OpenSlide in four ways. Pixels come as arrays without opacity; a read is of whole
pixels of its level (OpenSlide interpolates between them, so formats that only it can read come
shifted by up to half a level-0 pixel where the downsample is not a whole number); resolution is in
microns per pixel only; and label, macro and free text, which name patients, are touched only when
they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError

Pixels = NDArray[np.uint8]
"""RGB, shape (Y, X, 3)."""


class SlideReadError(UserError):
    """A part of a slide that cannot be read; the rest of it can.

    Attributes
    ----------
    level
        The level that was read.
    corner
        Top left corner `(x, y)` of the read in pixels of that level.
    size
        `(width, height)` of the read in pixels of that level.
    """

    def __init__(
        self, text: str, level: int, corner: tuple[int, int], size: tuple[int, int]
    ) -> None:
        super().__init__(text)
        self.level = level
        self.corner = corner
        self.size = size


class Slide(Protocol):
    """An opened slide. All reads may come from several threads at once.

    Levels count from 0, the full size. Sizes are `(width, height)`, places `(x, y)`.
    """

    @property
    def name(self) -> str:
        """File name for messages to the person who opened it; it may name a patient."""
        ...

    @property
    def source(self) -> str:
        """Path or URL that `open_slide` opens again; empty for arrays."""
        ...

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height of level 0 in pixels."""
        ...

    @property
    def level_count(self) -> int:
        """Number of levels, at least 1."""
        ...

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each level in pixels."""
        ...

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """How many level-0 pixels make a pixel of each level, 1.0 first, growing."""
        ...

    @property
    def mpp(self) -> tuple[float, float] | None:
        """Microns per level-0 pixel along x and y; None where the slide does not say."""
        ...

    @property
    def properties(self) -> Mapping[str, str]:
        """What is safe to show and to copy, by OpenSlide's names: vendor, mpp, objective power."""
        ...

    @property
    def associated_images(self) -> Mapping[str, Pixels]:
        """Label, macro and thumbnail, read when they are taken out. They may name a patient."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the content in 32 hexadecimal digits, the same wherever the file lies.

        Made from the size, the geometry and samples of the file, so that it is quick for 5 GB.
        """
        ...

    def tile_size(self, level: int) -> tuple[int, int]:
        """Return width and height of the tiles in which `level` is stored: cheap to read."""
        ...

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels:
        """Return the pixels of `level` whose top left corner is nearest to `location`.

        Parameters
        ----------
        location
            `(x, y)` in pixels of level 0; may lie outside.
        level
            Level to read.
        size
            `(width, height)` in pixels of that level.

        Returns
        -------
        uint8 RGB, shape (height, width, 3); white outside the slide.

        Raises
        ------
        SlideReadError
            If this part of the file is damaged. Other parts can be read after that.
        UserError
            If level or size make no sense or the slide is closed.
        """
        ...

    def read_pixels(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Pixels:
        """Return pixels like `read_region`, from `corner` in pixels of `level` itself."""
        ...

    def read_many(
        self, level: int, corners: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> Pixels:
        """Return one read of `size` at each corner, shape (N, height, width, 3).

        A batch in stored order is faster than its reads one by one: tiles that lie under several
        of them are decoded once.
        """
        ...

    def read_private_properties(self) -> Mapping[str, str]:
        """Return everything that the file says of itself; it may name a patient."""
        ...

    def read_icc_profile(self) -> bytes | None:
        """Return the colour profile of level 0, None where there is none."""
        ...

    def close(self) -> None:
        """Give the files back; reads fail after that. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
