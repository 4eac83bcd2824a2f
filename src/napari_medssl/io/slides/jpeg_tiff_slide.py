"""The fast path: JPEG tiles of Aperio and generic tiled TIFF, decoded without OpenSlide.

OpenSlide spends most of a read in drawing tiles on a canvas; decoding the tiles and copying them
takes a quarter of the time. It opens the file all the same: what it refuses is refused. Before a
level is first read here, tiles spread over it are compared with OpenSlide's pixels
(`io.slides.sameness`); if one differs, the whole slide is left to OpenSlide.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line
from napari_medssl.io.slides.byte_lru import ByteLru
from napari_medssl.io.slides.openslide_slide import OpenSlideSlide
from napari_medssl.io.slides.protocol import Pixels, SlideReadError
from napari_medssl.io.slides.sameness import is_same
from napari_medssl.io.slides.thread_files import FilePerThread
from napari_medssl.io.slides.tiff_layout import TiledPage, is_tiff, read_tiled_pages

logger = logging.getLogger(__name__)

_VENDORS = frozenset(("aperio", "generic-tiff"))
_CACHE_BYTES = 32 * 2**20  # as much as OpenSlide keeps: a row of tiles under unaligned reads
_MOST_TILE_BYTES = 2**27


def open_vendor_file(path: Path, vendor: str) -> OpenSlideSlide:
    """Open a file that OpenSlide says is of `vendor`, with the fast path where it can serve.

    Raises
    ------
    UserError
        As `OpenSlideSlide`, and for a TIFF file that was cut off.
    """
    if vendor in _VENDORS:
        return JpegTiffSlide(path)
    slide = OpenSlideSlide(path)
    try:
        if vendor != "hamamatsu" and is_tiff(path):  # NDPI has one tile a level, and tricks
            read_tiled_pages(path)
    except UserError:
        slide.close()
        raise
    return slide


def _page_of(size: tuple[int, int], pages: Sequence[TiledPage]) -> TiledPage | None:
    """Return the one page of this size that the fast path can decode, None if it is not clear."""
    found = [page for page in pages if (page.width, page.height) == size]
    return found[0] if len(found) == 1 and found[0].is_plain_jpeg else None


@dataclass(frozen=True, slots=True)
class _Overlap:
    """A tile, and what of it goes where in a batch of reads."""

    row: int
    target: tuple[slice, slice]
    part: tuple[slice, slice]


class JpegTiffSlide(OpenSlideSlide):
    """A tiled TIFF slide; levels of JPEG tiles are decoded directly.

    Parameters
    ----------
    path
        The TIFF file.

    Raises
    ------
    UserError
        As `OpenSlideSlide`, and if the file was cut off.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            pages = read_tiled_pages(path)
        except UserError:
            self.close()
            raise
        found = [_page_of(size, pages) for size in self.level_dimensions]
        self._pages = tuple(page for page in found if page is not None)
        self._files = FilePerThread(path)
        self._decoded: ByteLru[tuple[int, int]] = ByteLru(_CACHE_BYTES)
        self._checked: dict[int, bool] = {}
        self._check_lock = threading.Lock()
        self._is_refuted = len(self._pages) < self.level_count

    def is_fast(self, level: int) -> bool:
        """Say whether `level` is decoded directly; checks it first if it has not been read yet."""
        if not self._is_refuted and level not in self._checked:
            with self._check_lock:
                if level not in self._checked:
                    self._checked[level] = self._check(level)
        return not self._is_refuted

    def read_many(
        self, level: int, corners: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> Pixels:
        """See `Slide.read_many`: each tile under the batch is decoded once."""
        self._check_request(level, size)
        if not self.is_fast(level):
            return super().read_many(level, corners, size)
        result = np.full((len(corners), size[1], size[0], 3), 255, np.uint8)
        under: dict[int, list[_Overlap]] = {}
        for row, corner in enumerate(corners):
            for tile, overlap in self._overlaps(level, row, corner, size):
                under.setdefault(tile, []).append(overlap)
        page = self._pages[level]
        grid = (page.tile_width, page.tile_height)
        # Tiles at the border of an unaligned batch are wanted by the next one again.
        keep = any(x % grid[0] or y % grid[1] for x, y in corners) or tuple(size) != grid
        # By place in the file: a disk reads forwards.
        for tile in sorted(under, key=page.offsets.__getitem__):
            pixels = self._tile(level, tile, keep=keep)
            for overlap in under[tile]:
                result[overlap.row][overlap.target] = pixels[overlap.part]
        return result

    def close(self) -> None:
        """See `Slide.close`."""
        super().close()
        if hasattr(self, "_files"):  # not when the file was refused
            self._files.close()
            self._decoded.clear()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        if not self.is_fast(level):
            return super()._read_inside(level, x, y, width, height)
        page = self._pages[level]
        overlaps = list(self._overlaps(level, 0, (x, y), (width, height)))
        keep = bool(x % page.tile_width or y % page.tile_height)
        if len(overlaps) == 1 and (width, height) == (page.tile_width, page.tile_height):
            return self._tile(level, overlaps[0][0], keep=False).copy()
        result = np.empty((height, width, 3), np.uint8)
        for tile, overlap in overlaps:
            result[overlap.target] = self._tile(level, tile, keep=keep)[overlap.part]
        return result

    def _overlaps(
        self, level: int, row: int, corner: tuple[int, int], size: tuple[int, int]
    ) -> Iterator[tuple[int, _Overlap]]:
        """Give the tiles under one read, each with what of it goes where."""
        window = self._inside(level, corner, size)
        if window is None:
            return
        x, y, width, height = window
        page = self._pages[level]
        across, down = page.tile_width, page.tile_height
        for tile_y in range(y // down, (y + height - 1) // down + 1):
            y0, y1 = max(y, tile_y * down), min(y + height, (tile_y + 1) * down)
            for tile_x in range(x // across, (x + width - 1) // across + 1):
                x0, x1 = max(x, tile_x * across), min(x + width, (tile_x + 1) * across)
                left, top = tile_x * across, tile_y * down
                yield (
                    tile_y * page.columns + tile_x,
                    _Overlap(
                        row,
                        (
                            slice(y0 - corner[1], y1 - corner[1]),
                            slice(x0 - corner[0], x1 - corner[0]),
                        ),
                        (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)),
                    ),
                )

    def _tile(self, level: int, tile: int, *, keep: bool) -> Pixels:
        """Return one whole tile, shape (tile height, tile width, 3); not to be written to."""
        kept = self._decoded.get((level, tile))
        if kept is not None:
            return kept
        pixels = self._decode(level, tile)
        if keep:
            self._decoded.put((level, tile), pixels)
        return pixels

    def _decode(self, level: int, tile: int) -> Pixels:
        import imagecodecs

        page = self._pages[level]
        offset, count = int(page.offsets[tile]), int(page.counts[tile])
        x = tile % page.columns * page.tile_width
        y = tile // page.columns * page.tile_height
        if not 0 < count <= _MOST_TILE_BYTES:  # a hole: OpenSlide knows what the vendor means
            return self._tile_of_openslide(level, x, y)
        result = np.empty((page.tile_height, page.tile_width, 3), np.uint8)
        try:
            data = self._files.read(offset, count)
        except OSError as error:
            raise SlideReadError(
                f"Cannot read the tile at x {x}, y {y} of level {level} of {self.name!r}: the file "
                f"is damaged there or out of reach ({one_line(error)}).",
                level,
                (x, y),
                (page.tile_width, page.tile_height),
            ) from error
        try:
            # Into an array of the size due: a tile that claims another takes no memory.
            imagecodecs.jpeg8_decode(
                data,
                tables=page.tables,
                colorspace=page.jpeg_color,
                outcolorspace=page.rgb_color,
                out=result,
            )
        except (ValueError, RuntimeError):  # damaged or unusual: OpenSlide has the last word
            return self._tile_of_openslide(level, x, y)
        return result

    def _tile_of_openslide(self, level: int, x: int, y: int) -> Pixels:
        page = self._pages[level]
        width, height = min(page.tile_width, page.width - x), min(page.tile_height, page.height - y)
        result = np.full((page.tile_height, page.tile_width, 3), 255, np.uint8)
        result[:height, :width] = super()._read_inside(level, x, y, width, height)
        return result

    def _check(self, level: int) -> bool:
        """Compare tiles of `level` with OpenSlide's pixels; one difference refutes the slide."""
        page = self._pages[level]
        for tile in _spread(page):
            corner = (
                tile % page.columns * page.tile_width,
                tile // page.columns * page.tile_height,
            )
            try:
                ours = self._decode(level, tile)
                same = is_same(
                    ours[: page.height - corner[1], : page.width - corner[0]],
                    corner,
                    self._levels[level].downsample,
                    lambda place, size: self._openslide_read(place, level, size),
                )
            except (SlideReadError, self._error, OSError):
                continue  # a bad tile is bad in both; the others decide
            if not same:
                logger.warning("Tiles differ from OpenSlide's: the slide is left to OpenSlide.")
                self._is_refuted = True
                return False
        return True


def _spread(page: TiledPage) -> list[int]:
    """Return tiles to compare: first, middle, last of the edges, and the largest of each third."""
    last = page.columns * page.rows - 1
    middle = page.rows // 2 * page.columns + page.columns // 2
    wanted = {0, middle, last, page.columns - 1}
    for part in np.array_split(np.arange(last + 1), 3):
        if part.size:  # much data: tissue, not empty glass
            wanted.add(int(part[np.argmax(page.counts[part])]))
    return sorted(tile for tile in wanted if page.counts[tile])
