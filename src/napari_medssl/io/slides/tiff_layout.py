"""Where the tiles of a tiled TIFF file lie, and whether they are all there.

Read only after OpenSlide has accepted the file: tifffile believes what a file claims.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

JPEG = 7

# tifffile logs what it dislikes; without a handler that would reach the terminal as bare lines.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class TiledPage:
    """A page of 8-bit RGB tiles.

    Attributes
    ----------
    width, height, tile_width, tile_height
        In pixels.
    offsets, counts
        Place and length in bytes of each tile, row by row, shape (tiles,). Length 0: not stored.
    tables
        JPEG tables that the tiles share.
    jpeg_color, rgb_color
        Colour spaces in and out that the decoder is to be told, by TIFF's numbers.
    is_plain_jpeg
        Whether the tiles are such as the fast path decodes.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    tables: bytes | None
    jpeg_color: int | None
    rgb_color: int | str | None
    is_plain_jpeg: bool

    @property
    def columns(self) -> int:
        """Number of tiles in a row."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Number of rows of tiles."""
        return -(-self.height // self.tile_height)


def read_tiled_pages(path: Path) -> tuple[TiledPage, ...]:
    """Return the tiled pages of a TIFF file in the order of the file.

    Raises
    ------
    UserError
        If a tile lies beyond the end of the file (it was cut off), or the file cannot be read.
    """
    import tifffile

    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as file:
            pages = [_page(page) for page in file.pages if getattr(page, "is_tiled", False)]
    except Exception as error:  # tifffile raises nearly every kind of error for damaged files
        raise UserError(
            f"Cannot open {path.name!r}: its TIFF directories are damaged ({one_line(error)})."
        ) from error
    for page in pages:
        known = min(len(page.offsets), len(page.counts))  # OpenSlide may not need all of them
        end = int((page.offsets[:known] + page.counts[:known]).max(initial=0))
        if end > size:
            raise UserError(
                f"Cannot open {path.name!r}: the file is cut off. It has {size} bytes, and its "
                f"tiles reach to {end}. Copy it again."
            )
    return tuple(pages)


def is_tiff(path: Path) -> bool:
    """Say whether a file begins like a TIFF or BigTIFF file."""
    with path.open("rb") as stream:
        return stream.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _page(page: Any) -> TiledPage:
    from tifffile.tifffile import jpeg_decode_colorspace

    photometric = int(page.photometric)
    offsets = np.asarray(page.dataoffsets, np.int64)
    counts = np.asarray(page.databytecounts, np.int64)
    columns, rows = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    is_plain = (
        int(page.compression) == JPEG
        and photometric in (2, 6)
        and page.planarconfig == 1
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and not page.extrasamples
        and page.imagedepth == 1
        and len(offsets) == len(counts) == columns * rows
    )
    color = (None, None)
    if is_plain:
        color = jpeg_decode_colorspace(photometric, 1, (), bool(page.is_jfif))
    return TiledPage(
        page.imagewidth,
        page.imagelength,
        page.tilewidth,
        page.tilelength,
        offsets,
        counts,
        page.jpegtables,
        color[0],
        color[1],
        is_plain,
    )
