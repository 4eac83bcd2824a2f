"""Pictures of regions of slides as PNG files that say which slide they are of, and where.

The place is a text of the file, in JSON, so that it is not lost when the file is copied.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

from napari_medssl.io.files import replace_whole
from napari_medssl.io.slides.protocol import Pixels

_KEY = "medssl region"


@dataclass(frozen=True, slots=True)
class SlideRecord:
    """Where on a slide a picture lies.

    Attributes
    ----------
    slide, fingerprint
        What the slide was called in the window, and its fingerprint, "" if that is not known.
    x, y
        Corner of the picture in level-0 pixels.
    step_x, step_y
        Level-0 pixels of a pixel of the picture.
    mpp_x, mpp_y
        Microns per level-0 pixel, None where the slide does not say.
    """

    slide: str
    fingerprint: str
    x: float
    y: float
    step_x: float
    step_y: float
    mpp_x: float | None = None
    mpp_y: float | None = None

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Distance of pixels of the picture `(x, y)` in mm, None where it is not known."""
        if self.mpp_x is None or self.mpp_y is None:
            return None
        return self.step_x * self.mpp_x / 1000, self.step_y * self.mpp_y / 1000

    @property
    def scale(self) -> tuple[float, float]:
        """Size of a pixel `(y, x)` in napari's world, where the slide lies in microns."""
        return self.step_y * (self.mpp_y or 1.0), self.step_x * (self.mpp_x or 1.0)

    @property
    def translate(self) -> tuple[float, float]:
        """Centre of the first pixel `(y, x)` in napari's world."""
        x = self.x + self.step_x / 2 - 0.5  # napari counts from the centre of the first pixel
        y = self.y + self.step_y / 2 - 0.5
        return y * (self.mpp_y or 1.0), x * (self.mpp_x or 1.0)


def write_region_picture(
    path: Path,
    pixels: Pixels,
    record: SlideRecord,
    *,
    on_part: Callable[[], object] = lambda: None,
) -> None:
    """Write a picture as PNG with its place, whole or not at all; UserError if it cannot be.

    `on_part` is called before each part of the file is written; what it raises leaves no file.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text(_KEY, json.dumps(asdict(record)))
    with replace_whole(path) as temporary, _Parts(temporary, on_part) as stream:
        Image.fromarray(pixels).save(stream, format="PNG", pnginfo=about)


def read_region_record(path: Path) -> SlideRecord | None:
    """Return where on a slide a picture lies, None if it is of none or cannot be read."""
    from PIL import Image

    if path.suffix.lower() != ".png":
        return None
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            text = picture.info.get(_KEY)
        return None if text is None else _record(json.loads(text))
    except (OSError, ValueError, TypeError, SyntaxError):  # damaged, or made by somebody else
        return None


class _Parts(BufferedWriter):
    """A file that calls a function before each part is written."""

    def __init__(self, path: Path, on_part: Callable[[], object]) -> None:
        super().__init__(FileIO(path, "wb"))
        self._on_part = on_part

    def write(self, part: Any) -> int:
        """Call the function, then write."""
        self._on_part()
        return super().write(part)


def _record(found: dict[str, Any]) -> SlideRecord:
    record = SlideRecord(**found)
    numbers = (record.x, record.y, record.step_x, record.step_y)
    if not all(isinstance(one, (int, float)) for one in numbers) or min(numbers[2:]) <= 0:
        raise ValueError(f"{found!r} is no place on a slide")
    return record
