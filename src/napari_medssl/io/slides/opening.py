"""Open anything that is a slide: the content decides, the name only words the refusal."""

from __future__ import annotations

import os
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.images import read_image
from napari_medssl.io.slides.array_slide import PictureSlide
from napari_medssl.io.slides.fingerprint import fingerprint_of, sample_file
from napari_medssl.io.slides.jpeg_tiff_slide import open_vendor_file
from napari_medssl.io.slides.level_slide import Level
from napari_medssl.io.slides.openslide_slide import openslide_vendor
from napari_medssl.io.slides.places import local_path
from napari_medssl.io.slides.protocol import Slide
from napari_medssl.io.slides.sidecars import check_sidecars
from napari_medssl.io.sniff import picture_kind

_ZARR_KEYS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_PICTURE_PIXELS = 16_000_000
_ZIP_SUFFIXES = (".ozx", ".zip")
_STORE_SUFFIXES = (".zarr", ".ozx")

SLIDE_SUFFIXES = frozenset(
    (
        *(".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm"),
        *(".avs", ".czi", ".zarr", ".ozx"),
    )
)
"""Suffixes that promise a slide, in lower case; TIFF may be one too."""


def open_slide(path_or_url: str | os.PathLike[str]) -> Slide:
    """Open a slide.

    Parameters
    ----------
    path_or_url
        A file of any vendor that OpenSlide reads; an OME-Zarr store as a folder, a zip file or a
        URL that fsspec knows; or a plain picture, which becomes a slide with levels made when they
        are read.

    Raises
    ------
    UserError
        If there is nothing, or nothing that is whole and a picture.
    """
    text = os.fspath(path_or_url)
    path = local_path(text)
    if path is None:
        _check_is_store(text)
        return _open_store(text)
    _check_exists(path)
    path = path.absolute()  # `source` is to hold when the working folder changes
    if path.is_dir():
        return _open_folder(path)
    if path.suffix.lower() in _ZIP_SUFFIXES:
        return _open_store(path)
    vendor = openslide_vendor(path)
    if vendor is not None:
        return open_vendor_file(path, vendor)
    check_sidecars(path)  # OpenSlide does not know a slide whose parts are missing
    return _open_picture(path)


def is_slide(path_or_url: str | os.PathLike[str]) -> bool:
    """Say whether a person would call this a slide, without opening more than needed.

    Names that only slides have count as they are. TIFF files count if OpenSlide reads them and
    they have levels, or more pixels than a picture; DICOM files if OpenSlide reads them; folders
    if they hold zarr metadata.
    """
    text = os.fspath(path_or_url).rstrip("/\\")
    suffix = Path(text.lower()).suffix
    path = local_path(text)
    if path is None:
        return suffix in _STORE_SUFFIXES
    if suffix in SLIDE_SUFFIXES and suffix != ".dcm":
        return True
    if path.is_dir():
        return any((path / key).is_file() for key in _ZARR_KEYS)
    if suffix not in (".tif", ".tiff", ".dcm") or not path.is_file():
        return False
    try:
        return _has_slide_size(path, openslide_vendor(path))
    except UserError:
        return False


def _has_slide_size(path: Path, vendor: str | None) -> bool:
    if vendor is None or vendor == "dicom":
        return vendor is not None
    with open_vendor_file(path, vendor) as slide:
        width, height = slide.dimensions
        return slide.level_count > 1 or width * height > _PICTURE_PIXELS


def _open_store(path_or_url: str | Path) -> Slide:
    from napari_medssl.io.slides.ome_zarr_slide import OmeZarrSlide  # zarr takes half a second

    return OmeZarrSlide(path_or_url)


def _open_folder(path: Path) -> Slide:
    if any((path / key).is_file() for key in _ZARR_KEYS):
        return _open_store(path)
    raise UserError(
        f"Cannot open {path.name!r} as a slide: it is a folder without zarr metadata. "
        "Give the slide in it."
    )


def _check_is_store(url: str) -> None:
    """Raise `UserError` if a URL names a file of a scanner, which OpenSlide reads from a disk."""
    name = url.rstrip("/").rpartition("/")[2]
    suffix = Path(name.lower()).suffix
    if suffix in (*SLIDE_SUFFIXES, ".tif", ".tiff") and suffix not in _STORE_SUFFIXES:
        raise UserError(
            f"Cannot open {name!r} by a URL: files of scanners are read from a disk. Mount or copy "
            "it, or put it there as OME-Zarr (`medssl slide convert`)."
        )


def _check_exists(path: Path) -> None:
    try:
        if path.is_dir():
            return
        if not path.is_file():
            what = "it is not a plain file" if path.exists() else "there is no such file"
            raise UserError(f"Cannot open {str(path)!r}: {what}.")
        if not path.stat().st_size:
            raise UserError(f"Cannot open {path.name!r}: the file is empty.")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, UserError):
            raise
        raise UserError(f"Cannot open {str(path)!r}: {error}.") from error


def _open_picture(path: Path) -> Slide:
    if path.suffix.lower() in SLIDE_SUFFIXES or picture_kind(path) in (None, "pdf"):
        raise UserError(
            f"Cannot open {path.name!r} as a slide: the file is damaged, cut off or of a kind that "
            "is not read. Due is a slide of a scanner, OME-Zarr or a picture."
        )

    def make_fingerprint(levels: tuple[Level, ...]) -> str:
        return fingerprint_of("picture", levels, sample_file(path))

    return PictureSlide(
        read_image(path), name=path.name, source=str(path), make_fingerprint=make_fingerprint
    )
