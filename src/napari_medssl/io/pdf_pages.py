"""Render the pages of PDF files (PDFium)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError

DPI = 150
"""Resolution that pages are rendered at, unless that makes them too large."""

MAX_PAGE_PIXELS = 25_000_000
"""Pixels of the largest rendered page: A2 at 150 dpi has 8.7 million."""

_MAX_SIDE = 12_000
_MAX_PAGES = 10_000

_lock = threading.RLock()  # PDFium must not be entered by two threads


def count_pdf_pages(path: Path) -> int:
    """Return how many pages the file at `path` has."""
    with _open(path) as document:
        return int(min(len(document), _MAX_PAGES))


def read_pdf(path: Path, page: int) -> NDArray[np.uint8]:
    """Return page `page` (from 1) as uint8 RGB on white, shape (Y, X, 3)."""
    with _open(path) as document:
        sheet = _choose(document, path, page)
        scale = _scale(path, *sheet.get_size())
        bitmap = sheet.render(scale=scale, rev_byteorder=True, maybe_alpha=False)
        pixels = bitmap.to_numpy()
        rgb = np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]
        return np.array(rgb, dtype=np.uint8)  # a copy: the bitmap dies with the document


def pdf_size(path: Path, page: int) -> tuple[int, int]:
    """Return width and height in pixels that `read_pdf` gives."""
    with _open(path) as document:
        width, height = _choose(document, path, page).get_size()
    scale = _scale(path, width, height)
    return math.ceil(width * scale), math.ceil(height * scale)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import pypdfium2

    with _lock:
        try:
            document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            hint = " It needs a password." if "password" in str(error).lower() else ""
            raise UserError(f"Cannot read {path.name!r}: not a sound PDF file.{hint}") from error
        try:
            yield document
        finally:
            document.close()


def _choose(document: Any, path: Path, page: int) -> Any:
    if not 1 <= page <= len(document):
        raise UserError(f"Cannot read page {page} of {path.name!r}: it has {len(document)}.")
    return document[page - 1]


def _scale(path: Path, width: float, height: float) -> float:
    """Return pixels per point for a page of this size in points."""
    if not (0 < width < 1e7 and 0 < height < 1e7):
        raise UserError(f"Cannot read {path.name!r}: a page of {width:g} x {height:g} points.")
    scale = min(DPI / 72, math.sqrt(MAX_PAGE_PIXELS / (width * height)))
    return min(scale, _MAX_SIDE / max(width, height))
