"""Decode the pages of TIFF files: with Pillow where it can, with tifffile for wide samples."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.pillow_pictures import read_with_pillow, values_with_pillow
from napari_medssl.io.pixels import array_to_rgb, turn_upright
from napari_medssl.io.tiff_header import TiffPage, choose_page

_WIDE = frozenset((1, 5, 8, 32773, 32946))  # none, LZW, deflate, packbits
_ALPHA = (1, 2)  # ExtraSamples: associated and unassociated opacity

# tifffile logs what it dislikes; without a handler that would reach the terminal as bare lines.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(path: Path, page: int, *, robust: bool = False) -> NDArray[np.uint8]:
    """Return page `page` (from 1) of the TIFF file at `path` as uint8 RGB, shape (Y, X, 3).

    How wide samples are scaled, and what `robust` changes, is said in `io.pixels`.
    """
    chosen = choose_page(path, page)
    wide = chosen.bits not in (1, 2, 4, 8)
    if wide and chosen.compression in _WIDE:
        return _read_wide(path, chosen, robust)
    return read_with_pillow(path, "tiff", chosen.index, robust=robust)


def read_tiff_values(path: Path, page: int) -> NDArray[np.generic]:
    """Return the values of page `page` (from 1) as they are stored, shape (Y, X[, S]), upright."""
    chosen = choose_page(path, page)
    if chosen.bits in (1, 2, 4, 8) or chosen.compression not in _WIDE:
        return values_with_pillow(path, "tiff", chosen.index)
    with tifffile.TiffFile(path) as file:
        found = file.pages[chosen.index]
        values, planes = page_values(file, found), found.axes
    if planes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif planes not in ("YX", "YXS"):
        raise UserError(f"Cannot read {path.name!r}: its page has the axes {planes!r}.")
    return turn_upright(values, chosen.orientation)


def holds_no_numbers(path: Path, page: int) -> bool:
    """Return whether a page of floats has values that are not finite, which become black or white.

    Pages that `read_tiff` would refuse count as finite: it tells what is wrong with them.
    """
    chosen = choose_page(path, page)
    if chosen.bits < 16 or chosen.compression not in _WIDE:
        return False
    with tifffile.TiffFile(path) as file:
        found = file.pages[chosen.index]
        if found.dtype is None or found.dtype.kind != "f":
            return False
        return not bool(np.isfinite(page_values(file, found)).all())


def page_values(file: tifffile.TiffFile, page: Any) -> NDArray[np.generic]:
    """Return the samples of a page of an open file as they are stored.

    Raises
    ------
    UserError
        If a part of it is said to be longer than the file: room for it would be made at once.
    """
    if max(page.databytecounts, default=0) > file.filehandle.size:
        raise UserError(f"Cannot read {file.filename!r}: a page of it is longer than the file.")
    values: NDArray[np.generic] = page.asarray()
    return values


def _read_wide(path: Path, chosen: TiffPage, robust: bool) -> NDArray[np.uint8]:
    """Return a page of 16, 32 or 64-bit samples, whole numbers or floats."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[chosen.index]
        pixels = page_values(file, page)
        planes = page.axes
        alpha = bool(page.extrasamples) and page.extrasamples[-1] in _ALPHA
        inverted = page.photometric == 0
    if planes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    elif planes not in ("YX", "YXS"):
        raise UserError(f"Cannot read {path.name!r}: its page has the axes {planes!r}.")
    result = array_to_rgb(pixels, alpha=alpha and planes != "YX", robust=robust)
    return turn_upright(255 - result if inverted else result, chosen.orientation)
