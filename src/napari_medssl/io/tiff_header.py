"""Read the pages of a TIFF file from its tags alone (TIFF 6.0 and BigTIFF).

We differ from the decoders: nothing is allocated by what the file claims, a chain of pages that
bites its tail ends, and claims that no honest file makes are refused before a decoder sees them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from napari_medssl._errors import UserError
from napari_medssl.io.limits import MAX_PIXELS, check_size

MAX_PAGES = 10_000

MAX_BYTES = 4 * MAX_PIXELS
"""Memory of the largest decoded page, before it becomes 8-bit RGB."""

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 274, 277, 322, 323
_WANTED = frozenset((254, 256, 257, 258, 259, 274, 277, 322, 323))
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # whole numbers, by TIFF type
_REDUCED_OR_MASK = 0b101


@dataclass(frozen=True, slots=True)
class TiffPage:
    """What one page says of itself; `index` counts all pages of the chain from 0."""

    index: int
    width: int
    height: int
    bits: int
    samples: int
    compression: int
    orientation: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Byte order and field widths of classic TIFF or BigTIFF."""

    order: str
    big: bool

    def unpack(self, code: str, data: bytes) -> int:
        return int(struct.unpack(self.order + code, data)[0])


def read_pages(path: Path) -> list[TiffPage]:
    """Return the full pages of `path`, without previews and masks; at least one.

    Raises `UserError` for a file that is no TIFF, is cut off, or whose pages run in a circle
    before the first whole one.
    """
    try:
        state = path.stat()
        # Kept while the file is as it was: reading a stack page by page walks its chain once.
        pages = list(_known_pages(path, state.st_mtime_ns, state.st_size))
    except (struct.error, OSError, OverflowError) as error:
        raise UserError(
            f"Cannot read {path.name!r}: the TIFF header is cut off or damaged."
        ) from error
    if not pages:
        raise UserError(f"Cannot read {path.name!r}: the TIFF file holds no picture.")
    return pages


def check_page(page: TiffPage, name: str) -> None:
    """Raise `UserError` if decoding `page` could take more memory than any honest page."""
    check_size(name, page.width, page.height)
    size = page.width * page.height * page.samples * max(page.bits, 1) // 8
    if page.samples > 64 or page.bits > 64 or size > MAX_BYTES:
        raise UserError(
            f"Cannot read {name!r}: it says that a pixel has {page.samples} samples "
            f"of {page.bits} bits, {size // 1_000_000} MB in all."
        )


def choose_page(path: Path, page: int) -> TiffPage:
    """Return page `page` (from 1) of the file, fit to be decoded, else raise `UserError`."""
    pages = read_pages(path)
    if not 1 <= page <= len(pages):
        raise UserError(f"Cannot read page {page} of {path.name!r}: it has {len(pages)}.")
    check_page(pages[page - 1], path.name)
    return pages[page - 1]


def tiff_size(path: Path, page: int) -> tuple[int, int]:
    """Return width and height in pixels of page `page` (from 1), upright."""
    chosen = choose_page(path, page)
    size = (chosen.width, chosen.height)
    return (size[1], size[0]) if chosen.orientation in (5, 6, 7, 8) else size


@lru_cache(maxsize=8)
def _known_pages(path: Path, changed_ns: int, size: int) -> tuple[TiffPage, ...]:
    with path.open("rb") as stream:
        return tuple(_walk(stream, path.name))


def _walk(stream: BinaryIO, name: str) -> list[TiffPage]:
    layout, offset = _read_start(stream, name)
    pages: list[TiffPage] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        try:
            tags, following = _read_directory(stream, layout, offset)
        except (struct.error, OSError, OverflowError):
            if not pages:
                raise
            break  # a damaged tail: the whole pages before it stay readable
        if not (tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK and pages):
            pages.append(_page(tags, len(seen) - 1, name))
        offset = following
    return pages


def _read_start(stream: BinaryIO, name: str) -> tuple[_Layout, int]:
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise UserError(f"Cannot read {name!r}: not a TIFF file.")
    version = struct.unpack(order + "H", head[2:4])[0]
    layout = _Layout(order, big=version == 43)
    if layout.big:
        return layout, layout.unpack("Q", head[8:16])
    return layout, layout.unpack("I", head[4:8])


def _read_directory(stream: BinaryIO, layout: _Layout, offset: int) -> tuple[dict[int, int], int]:
    """Return the first number of each wanted tag, and the offset of the next page."""
    stream.seek(offset)
    count = layout.unpack(*(("Q", stream.read(8)) if layout.big else ("H", stream.read(2))))
    entry = 20 if layout.big else 12
    if count > 4096:
        raise struct.error("too many tags")
    block = stream.read(entry * count)
    following = stream.read(8 if layout.big else 4)
    tags: dict[int, int] = {}
    for start in range(0, len(block) - entry + 1, entry):
        tag, value = _read_entry(stream, layout, block[start : start + entry])
        if tag in _WANTED and value is not None:
            tags.setdefault(tag, value)
    if len(block) < entry * count:
        raise struct.error("directory cut off")
    if len(following) < (8 if layout.big else 4):
        return tags, 0  # some writers leave out the last offset
    return tags, layout.unpack("Q" if layout.big else "I", following)


def _read_entry(stream: BinaryIO, layout: _Layout, entry: bytes) -> tuple[int, int | None]:
    tag, kind = struct.unpack(layout.order + "HH", entry[:4])
    code = _CODES.get(kind)
    if tag not in _WANTED or code is None:
        return tag, None
    count = layout.unpack("Q" if layout.big else "I", entry[4 : 12 if layout.big else 8])
    room = entry[12:] if layout.big else entry[8:]
    size = struct.calcsize(layout.order + code)
    if count < 1:
        return tag, None
    if size * count > len(room):
        stream.seek(layout.unpack("Q" if layout.big else "I", room))
        room = stream.read(size)
    return tag, layout.unpack(code, room[:size])


def _page(tags: dict[int, int], index: int, name: str) -> TiffPage:
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0)
    if tile > max(4 * width * height, 1 << 24):
        raise UserError(
            f"Cannot read {name!r}: it says that its tiles are {tags[_TILE_WIDTH]} x "
            f"{tags[_TILE_HEIGHT]} pixels, in a picture of {width} x {height}."
        )
    return TiffPage(
        index=index,
        width=width,
        height=height,
        bits=tags.get(_BITS, 1),
        samples=tags.get(_SAMPLES, 1),
        compression=tags.get(_COMPRESSION, 1),
        orientation=tags.get(_ORIENTATION, 1),
    )
