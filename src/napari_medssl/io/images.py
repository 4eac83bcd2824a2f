"""List pictures in files and folders, and read any of them as 8-bit RGB.

PNG, JPEG, TIFF (every page), WebP, BMP, GIF (first frame) and the pages of PDF files, told by
content and not by name; slices of NIfTI files, told by name, where they are asked for. Sizes are
checked from the header before a pixel is decoded, so a small file cannot ask for all the memory.
Whatever a decoder raises becomes a `UserError` of one line.
How 16-bit and float values become 8 bits is said in `io.pixels`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import check_size, one_line
from napari_medssl.io.sniff import PICTURE_SUFFIXES, picture_kind
from napari_medssl.io.volumes import is_nifti, is_zarr, volume_kind

_T = TypeVar("_T")
_PAGE = re.compile(r"^(?P<path>.+)#page=(?P<page>[1-9][0-9]{0,5})$", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class ImageRef:
    """A picture: a file, and the page in it, counted from 1 (None: the file is one picture)."""

    path: Path
    page: int | None = None

    @property
    def name(self) -> str:
        """File name for people and annotation files: "fig.png", "paper.pdf#page=3"."""
        return self.path.name if self.page is None else f"{self.path.name}#page={self.page}"

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> ImageRef:
        """Return the picture that `text` names: a path, with "#page=N" at its end or without."""
        found = _PAGE.match(os.fspath(text))
        if found and not Path(text).exists():
            return cls(Path(found["path"]), int(found["page"]))
        return cls(Path(text))


@dataclass(frozen=True, slots=True)
class ImageListing:
    """What was found: pictures, and (name, reason) of what is not one.

    `failures` are files that a person named or whose suffix promises a picture; `others` are
    further files of a folder (notes, annotations), which nobody expects to be read.
    """

    refs: tuple[ImageRef, ...]
    failures: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()


def list_images(
    paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False
) -> list[ImageRef]:
    """Return the pictures of `scan_images`, without its report."""
    return list(scan_images(paths, recursive=recursive).refs)


def scan_images(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    volumes: bool = False,
    slices: bool = False,
) -> ImageListing:
    """Find the pictures in `paths`, files ("paper.pdf#page=3" too) and folders.

    The order is that of `paths`; inside a folder by name with numbers by value (2 before 10).
    Hidden files are passed over, a picture found twice is listed once, links to folders are not
    followed. Nothing is raised: what cannot be read is in the report. With `volumes` NIfTI files,
    zarr folders and TIFF stacks are listed too, once each and without a page; with `slices` the
    slices of NIfTI files, as the pages of TIFF files ever are.
    """
    refs: dict[ImageRef, None] = {}
    failures: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for given in paths:
        named = ImageRef.parse(given)
        is_one = volumes and is_zarr(named.path)
        is_folder = named.page is None and named.path.is_dir() and not is_one
        below = _files_below(named.path, recursive, failures, volumes) if is_folder else ()
        for path in below if is_folder else [named.path]:
            try:
                wanted = {"volumes": volumes, "slices": slices}
                found = [named] if named.page else refs_of(path, **wanted)
                if named.page:
                    image_size(named)
                refs.update(dict.fromkeys(found))
            except UserError as error:
                expected = not is_folder or path.suffix.lower() in PICTURE_SUFFIXES
                expected |= (volumes or slices) and is_nifti(path)
                (failures if expected else others).append((str(path), str(error)))
    return ImageListing(tuple(refs), tuple(failures), tuple(others))


def read_image(
    ref: ImageRef | str | os.PathLike[str], *, robust: bool = False
) -> NDArray[np.uint8]:
    """Return the picture as uint8 RGB, shape (Y, X, 3), upright, on white.

    With `robust` values of more than 8 bits and dim ones of 8 bits are scaled by percentiles, see
    `io.pixels`; those of a page of a TIFF stack by the line of the whole stack, see `io.volumes`.
    A slice of NIfTI has the line of its volume always.
    Raises `UserError` with one line for a file that is missing, empty, damaged, cut off, too large
    or no picture.
    """
    chosen = ref if isinstance(ref, ImageRef) else ImageRef.parse(ref)
    kind = _kind(chosen)
    pixels = _decode(chosen, lambda: _read(chosen, kind, robust))
    check_size(chosen.name, pixels.shape[1], pixels.shape[0])
    return pixels


def image_size(ref: ImageRef | str | os.PathLike[str]) -> tuple[int, int]:
    """Return (width, height) in pixels of what `read_image` gives, from the header alone."""
    chosen = ref if isinstance(ref, ImageRef) else ImageRef.parse(ref)
    kind = _kind(chosen)
    width, height = _decode(chosen, lambda: _size(chosen, kind))
    check_size(chosen.name, width, height)
    return width, height


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key by which "fig2" comes before "fig10"."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(0, int(p[:4000]), p) if p.isdecimal() else (1, 0, p) for p in parts if p]


def _kind(ref: ImageRef) -> str:
    if is_nifti(ref.path):
        return "nifti"
    kind = picture_kind(ref.path)
    if kind is None:
        raise UserError(
            f"Cannot read {ref.name!r}: not a picture that we know. "
            "Give PNG, JPEG, TIFF, WebP, BMP, GIF or PDF."
        )
    if ref.page is not None and kind not in ("tiff", "pdf") and ref.page != 1:
        raise UserError(f"Cannot read page {ref.page} of {ref.path.name!r}: it has 1.")
    return kind


def _read(ref: ImageRef, kind: str, robust: bool) -> NDArray[np.uint8]:
    # The decoders are imported here: listing and sizes of other kinds need none of them.
    if kind == "pdf":
        from napari_medssl.io.pdf_pages import read_pdf

        return read_pdf(ref.path, ref.page or 1)
    if kind == "tiff":
        from napari_medssl.io.tiff_pages import read_tiff
        from napari_medssl.io.volumes.tiff_stack import read_stack_page

        page = ref.page or 1
        pixels = read_stack_page(ref.path, page) if robust else None
        return read_tiff(ref.path, page, robust=robust) if pixels is None else pixels
    if kind == "nifti":
        from napari_medssl.io.volumes.slices import read_slice

        return read_slice(ref.path, ref.page)
    from napari_medssl.io.pillow_pictures import read_with_pillow

    return read_with_pillow(ref.path, kind, robust=robust)


def _size(ref: ImageRef, kind: str) -> tuple[int, int]:
    if kind == "pdf":
        from napari_medssl.io.pdf_pages import pdf_size

        return pdf_size(ref.path, ref.page or 1)
    if kind == "tiff":
        from napari_medssl.io.tiff_header import tiff_size

        return tiff_size(ref.path, ref.page or 1)
    if kind == "nifti":
        from napari_medssl.io.volumes.slices import slice_size

        return slice_size(ref.path, ref.page)
    from napari_medssl.io.pillow_pictures import size_with_pillow

    return size_with_pillow(ref.path, kind)


def _decode(ref: ImageRef, work: Callable[[], _T]) -> _T:
    """Run `work`; make one line of what the decoders raise.

    Damaged files make them raise OSError, SyntaxError, TypeError, KeyError, struct.error,
    zlib.error, MemoryError and more: here every one of them says "this file is bad".
    """
    try:
        return work()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"Cannot read {ref.name!r}: the file is damaged or of an unusual kind "
            f"({one_line(error)})."
        ) from error


def refs_of(path: Path, *, volumes: bool = False, slices: bool = False) -> list[ImageRef]:
    """Return the picture or pictures in one file; UserError if it holds none.

    With `volumes` a volume is one, without a page; with `slices` those of a NIfTI file are pages.
    """
    whole = ImageRef(path)
    if volumes and path.exists() and volume_kind(path):
        return [whole]
    kind = _kind(whole)
    if kind == "pdf":
        from napari_medssl.io.pdf_pages import count_pdf_pages

        count = _decode(whole, lambda: count_pdf_pages(path))
        if not count:
            raise UserError(f"Cannot read {whole.name!r}: the PDF file has no pages.")
        return [ImageRef(path, page) for page in range(1, count + 1)]
    if kind == "tiff":
        from napari_medssl.io.tiff_header import read_pages

        count = len(_decode(whole, lambda: read_pages(path)))
        return _pages(path, count)
    if kind == "nifti":
        from napari_medssl.io.volumes.slices import count_slices

        if not slices and path.is_file():
            raise UserError(
                f"Cannot read {path.name!r}: a volume, where plain pictures are due. Name one of "
                f"its slices, as '{path.name}#page=1', or write them as the pages of a TIFF file."
            )
        return _pages(path, count_slices(path))
    return [whole]


def _pages(path: Path, count: int) -> list[ImageRef]:
    """Return the pages of a file; one of a single picture has no number."""
    return [ImageRef(path, page + 1 if count > 1 else None) for page in range(count)]


def _files_below(
    folder: Path, recursive: bool, failures: list[tuple[str, str]], volumes: bool
) -> Iterator[Path]:
    """Give the files of a folder that are not hidden, in natural order, then those below.

    A folder that cannot be listed is added to `failures`. With `volumes` those of zarr are files.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name))
    except OSError as error:
        reason = f"Cannot list the folder {str(folder)!r}: {error.strerror or error}."
        failures.append((str(folder), reason))
        return
    visible = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [e for e in visible if e.is_dir() and not (volumes and is_zarr(e))]
    yield from (entry for entry in visible if entry not in folders)
    for entry in folders if recursive else ():
        if not entry.is_symlink():
            yield from _files_below(entry, recursive, failures, volumes)


def name_below(ref: ImageRef, inputs: Iterable[Path]) -> str:
    """Return the picture's path below the folder that was given, else its name."""
    page = "" if ref.page is None else f"#page={ref.page}"
    for given in inputs:
        if given.is_dir() and ref.path.is_relative_to(given):
            return ref.path.relative_to(given).as_posix() + page
    return ref.name
