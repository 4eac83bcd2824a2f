"""TIFF stacks: the pages of a file, if they are slices of one volume.

Pages of one size and type are slices, unless ImageJ's or OME's metadata say that they are channels
or that there is both depth and time. Masks keep the spacing in the way of their image: ImageJ, OME,
or the resolution of a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.class_tiff import legend_tags, page_legend
from napari_medssl.io.files import replace_whole
from napari_medssl.io.limits import one_line
from napari_medssl.io.pillow_pictures import read_with_pillow
from napari_medssl.io.tiff_header import TiffPage, choose_page, read_pages
from napari_medssl.io.tiff_pages import page_values
from napari_medssl.io.volumes.tiff_about import is_ratio, read_about
from napari_medssl.io.volumes.volume import Volume

_PLAIN = frozenset((1, 5, 8, 32773, 32946))  # none, LZW, deflate, packbits
_GREY, _RGB = 1, 2  # photometric interpretations


def is_stack(path: Path) -> bool:
    """Say whether a TIFF file is a volume of more than one slice; UserError if it is damaged."""
    pages = read_pages(path)
    kinds = {(page.width, page.height, page.bits, page.samples) for page in pages}
    if len(kinds) > 1 or pages[0].samples not in (1, 3):
        return False
    if any(page.orientation not in (0, 1) for page in pages):
        return False
    with _told(path), _opened(path) as file:
        about = read_about(file, len(pages))
        return about.depth == len(pages) > 1 or _is_run_on(file, about.depth, pages)


def read_stack_page(path: Path, page: int) -> NDArray[np.uint8] | None:
    """Return page `page` (from 1) as the slice of its stack, uint8 RGB, shape (Y, X, 3).

    None if it is a picture of its own: the file is no stack, or another page of it is damaged.
    """
    if not 1 <= page <= len(read_pages(path)) > 1:
        return None
    try:
        if not is_stack(path):
            return None
        with TiffStack(path) as stack:
            return stack.picture(page - 1)
    except UserError:  # what ails this page is told by who reads it alone
        return None


class TiffStack(Volume):
    """A TIFF file of slices."""

    suffix = ".tif"

    def __init__(self, path: Path) -> None:
        self._pages = read_pages(path)
        first = choose_page(path, 1)
        with _told(path):
            self._file = _opened(path)
        try:
            with _told(path):
                self._about = read_about(self._file, len(self._pages))
                page = self._file.pages[first.index]
                self._is_raw = _is_raw(page, first)
                kind = page.dtype if self._is_raw and page.dtype else np.dtype(np.uint8)
            shape = (self._about.depth, first.height, first.width)
            super().__init__(path, shape, kind, self._about.spacing_mm)
        except BaseException:
            self._file.close()
            raise

    @property
    def is_mask(self) -> bool:
        """See `Volume.is_mask`."""
        return page_legend(self._file.pages[self._pages[0].index]) is not None

    @property
    def legend(self) -> ClassLegend:
        """See `Volume.legend`."""
        return page_legend(self._file.pages[self._pages[0].index]) or NO_LEGEND

    def close(self) -> None:
        """See `Volume.close`."""
        self._file.close()

    def _read(self, z: int) -> NDArray[np.generic]:
        if len(self._pages) == 1:
            return self._read_run_on(z)
        page = choose_page(self.path, z + 1)
        if not self._is_raw:
            return read_with_pillow(self.path, "tiff", page.index)
        return page_values(self._file, self._file.pages[page.index])

    def _read_run_on(self, z: int) -> NDArray[np.generic]:
        """Return a slice of a file whose slices follow the first without headers of their own."""
        page = self._file.pages[self._pages[0].index]
        kind = np.dtype(self._file.byteorder + page.dtype.char)
        count = math.prod(page.shape)
        start = page.dataoffsets[0] + z * count * kind.itemsize
        stored = np.fromfile(self.path, kind, count, offset=start)
        return stored.reshape(page.shape).astype(page.dtype, copy=False)

    def _write(
        self, target: Path, slices: Iterator[NDArray[np.uint8]], legend: ClassLegend
    ) -> None:
        about, shape = self._about, self.shape
        options: dict[str, Any] = {"metadata": {"axes": "ZYX", **about.metadata}}
        options["extratags"] = legend_tags(legend)
        if about.kind != "imagej":  # which reads no compressed stacks
            options |= {"compression": "zlib"}
        if about.kind != "ome":
            options |= page_resolution(self._file.pages[self._pages[0].index])
        form = {about.kind: True} if about.kind else {}
        with (
            replace_whole(target) as temporary,
            tifffile.TiffWriter(temporary, **form) as writer,
        ):
            writer.write(slices, shape=shape, dtype=np.uint8, photometric="minisblack", **options)


def write_class_tiff(
    target: Path,
    classes: NDArray[np.uint8],
    like: Path | None = None,
    legend: ClassLegend = NO_LEGEND,
) -> None:
    """Write class numbers, shape (Y, X), as a grey TIFF file of 8 bits, whole or not at all.

    Parameters
    ----------
    like
        TIFF file whose resolution the mask shall have.
    legend
        What the classes are called.
    """
    options: dict[str, Any] = {}
    if like is not None:
        # Odd tags lose the resolution, but not the mask.
        with suppress(Exception), _opened(like) as file:
            options = page_resolution(file.pages[0])
    with replace_whole(target) as temporary:
        tifffile.imwrite(
            temporary,
            np.ascontiguousarray(classes),
            photometric="minisblack",
            compression="zlib",
            metadata=None,
            extratags=legend_tags(legend),
            **options,
        )


def page_resolution(page: Any) -> dict[str, Any]:
    """Return the resolution of a page as tifffile writes it; nothing if it has none."""
    across, down = page.tags.valueof(282), page.tags.valueof(283)
    if not (is_ratio(across) and is_ratio(down)):
        return {}
    unit = page.tags.valueof(296, 2)
    return {"resolution": (across, down), "resolutionunit": int(unit) if unit in (1, 2, 3) else 1}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make one line of what tifffile raises on damaged files: nearly everything."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"Cannot read {path.name!r}: its tags are damaged ({one_line(error)})."
        ) from error


def _opened(path: Path) -> tifffile.TiffFile:
    return tifffile.TiffFile(path, is_ome=False)


def _is_raw(page: Any, header: TiffPage) -> bool:
    """Say whether the samples of a page are the values, with nothing to be done to them."""
    is_plain = header.bits >= 8 and header.compression in _PLAIN
    return bool(is_plain and page.photometric in (_GREY, _RGB) and page.axes in ("YX", "YXS"))


def _is_run_on(file: Any, depth: int, pages: list[TiffPage]) -> bool:
    """Say whether slices without headers follow the only page, as ImageJ saves large stacks."""
    if len(pages) > 1 or depth < 2 or pages[0].compression != 1:
        return False
    page = file.pages[pages[0].index]
    if not _is_raw(page, pages[0]) or not page.is_contiguous:
        return False
    return bool(page.dataoffsets[0] + depth * page.nbytes <= file.filehandle.size)
