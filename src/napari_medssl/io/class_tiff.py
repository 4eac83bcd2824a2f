"""Class numbers of pixels as a grey TIFF file of 8 bits, with the size of a pixel.

That they are class numbers, and what the classes are called, says a tag of our own, which other
programs pass over and do not write again: a picture made of the mask is none any more.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import MOST_BYTES, ClassLegend
from napari_medssl.io.limits import check_size, one_line
from napari_medssl.io.mask_values import class_numbers

_MM = {2: 25.4, 3: 10.0}  # of TIFF's units of length: inch, centimetre
_LEGEND = 65330  # of those that are free for private use
_ASCII = 2  # TIFF's type
_NO_UNIT, _CENTIMETRE = 1, 3
Spacing = tuple[float, float]


def class_tiff(
    classes: NDArray[np.uint8], spacing_mm: Spacing | None, legend: ClassLegend
) -> bytes:
    """Return class numbers, shape (Y, X), as the content of a TIFF file, deflated.

    Parameters
    ----------
    spacing_mm
        The size of a pixel, `(x, y)`: the resolution in pixels per cm. None leaves it out.
    legend
        What the classes are called.
    """
    from tifffile import TiffWriter

    known: dict[str, Any] = {"resolutionunit": _NO_UNIT}
    if spacing_mm is not None:
        per_cm = (_MM[_CENTIMETRE] / spacing_mm[0], _MM[_CENTIMETRE] / spacing_mm[1])
        known = {"resolution": per_cm, "resolutionunit": _CENTIMETRE}
    stream = io.BytesIO()
    with TiffWriter(stream) as writer:
        writer.write(
            classes,
            photometric="minisblack",
            compression="zlib",
            predictor=False,
            rowsperstrip=max(1, 2**18 // max(1, classes.shape[1])),
            metadata=None,
            software=False,
            extratags=legend_tags(legend),
            **known,
        )
    return stream.getvalue()


def legend_tags(legend: ClassLegend) -> list[tuple[int, int, int, str, bool]]:
    """Return the tag of a mask, as tifffile takes it: the first page alone has it."""
    return [(_LEGEND, _ASCII, 0, legend.as_text(), True)]


def tiff_legend(path: Path) -> ClassLegend | None:
    """Return what the classes of a mask are called; None of a file that does not say it is one."""
    from tifffile import TiffFile

    try:
        with TiffFile(path, is_ome=False) as file:
            return page_legend(file.pages[0])
    except Exception:  # tifffile raises what it pleases: it is none that could be read
        return None


def page_legend(page: Any) -> ClassLegend | None:
    """Return what `tiff_legend` does of the first page of an open file."""
    text = page.tags.valueof(_LEGEND)
    if not isinstance(text, str) or len(text) > MOST_BYTES:
        return None
    is_grey = page.dtype == np.uint8 and page.samplesperpixel == 1
    return ClassLegend.of_text(text) if is_grey else None


def read_class_tiff(
    path: Path, *, as_foreground: bool = False
) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Return the class numbers of a TIFF file, shape (Y, X), and the size of a pixel in mm.

    Parameters
    ----------
    as_foreground
        See `io.mask_values.class_numbers`.

    Raises
    ------
    UserError
        If it is missing, damaged, no grey picture of one page, or has numbers of no classes.
    """
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            page, pages = file.pages[0], len(file.pages)
            check_size("mask", page.imagewidth, page.imagelength)
            if pages != 1 or len(page.shape) != 2:
                raise ValueError(f"{pages} page(s) of shape {page.shape}; due is one page of grey")
            values = page.asarray()
            return class_numbers(values, path.name, as_foreground=as_foreground), _spacing(page)
    except UserError:
        raise
    except Exception as error:  # tifffile and its codecs raise what they please
        raise UserError(
            f"Cannot read the mask {str(path)!r} ({one_line(error)}). Export it again."
        ) from error


def _spacing(page: Any) -> Spacing | None:
    """Return the size of a pixel in mm, None if the file does not tell."""
    unit = page.tags.get("ResolutionUnit")
    sides = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if unit is None or int(unit.value) not in _MM or None in sides:
        return None
    found = []
    for side in sides:
        over, under = side.value
        if not over or not under:
            return None
        found.append(_MM[int(unit.value)] * under / over)
    return found[0], found[1]
