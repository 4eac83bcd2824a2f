"""Decode PNG, JPEG, WebP, BMP, GIF and ordinary TIFF pages with Pillow."""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, _imaging

from napari_medssl._errors import UserError
from napari_medssl.io.limits import MAX_PIXELS, check_size
from napari_medssl.io.pixels import (
    bands,
    choose_scaling,
    lay_on_white,
    thin_out,
    turn_upright,
)
from napari_medssl.io.png_files import LEVELS_CHOSEN

_FORMATS = {
    "png": ("PNG",),
    "jpeg": ("JPEG", "MPO"),
    "gif": ("GIF",),
    "tiff": ("TIFF",),
    "webp": ("WEBP",),
    "bmp": ("BMP",),
}
_T = TypeVar("_T")
_ORIENTATION = 0x0112
_START_OF_SCAN = b"\xff\xda"
_FEW_SCANS = 64  # encoders use about ten
_MAX_SCANNED = 1_000_000_000

_lock = threading.RLock()
_quiet_depth = 0
_quiet: warnings.catch_warnings[None] | None = None


def read_with_pillow(
    path: Path, kind: str, frame: int = 0, *, robust: bool = False
) -> NDArray[np.uint8]:
    """Return frame `frame` of the picture at `path` as uint8 RGB, shape (Y, X, 3).

    How wide values are scaled, and what `robust` changes, is said in `io.pixels`. Transparent
    pictures are laid on white; the EXIF orientation is applied. Raises `UserError` above the size
    limit, and lets Pillow's many other exceptions through.
    """
    with _quiet_warnings(), _open(path, kind) as image:
        if frame:
            _unlimited(lambda: image.seek(frame))
        check_size(path.name, *image.size, _pixel_limit(image))
        _check_scans(path, image)
        image.load()
        return turn_upright(_to_rgb(image, robust), _orientation(image))


def values_with_pillow(path: Path, kind: str, frame: int = 0) -> NDArray[np.generic]:
    """Return the values of a frame as they are stored, shape (Y, X[, S]), upright.

    Of a picture with a palette these are the places in it. Raises like `read_with_pillow`.
    """
    with _quiet_warnings(), _open(path, kind) as image:
        if frame:
            _unlimited(lambda: image.seek(frame))
        check_size(path.name, *image.size, _pixel_limit(image))
        image.load()
        return turn_upright(np.array(image), _orientation(image))


def size_with_pillow(path: Path, kind: str) -> tuple[int, int]:
    """Return width and height in pixels as `read_with_pillow` will give them, from the header."""
    with _quiet_warnings(), _open(path, kind) as image:
        width, height = image.size
        if kind != "tiff" and _orientation(image) in (5, 6, 7, 8):
            return height, width
        return width, height


def _pixel_limit(image: Image.Image) -> int:
    """Return how many pixels fit: some decoders hold several copies of the picture."""
    costly = image.format == "WEBP" or bool(image.info.get("progressive"))
    return MAX_PIXELS // 2 if costly else MAX_PIXELS


def _check_scans(path: Path, image: Image.Image) -> None:
    """Refuse a progressive JPEG of thousands of empty scans: each costs a pass over the picture."""
    if not image.info.get("progressive"):
        return
    scans = path.read_bytes().count(_START_OF_SCAN)
    if scans > _FEW_SCANS and scans * image.width * image.height > _MAX_SCANNED:
        raise UserError(
            f"Cannot read {path.name!r}: a JPEG of {image.width} x {image.height} pixels "
            f"in {scans} passes. Save it again without progressive passes."
        )


def _open(path: Path, kind: str) -> Image.Image:
    try:
        return _unlimited(lambda: Image.open(path, formats=_FORMATS[kind]))
    except UnidentifiedImageError as error:  # its text is the whole path, which says nothing
        raise UserError(
            f"Cannot read {path.name!r}: its {kind.upper()} header is damaged."
        ) from error


def _unlimited(work: Callable[[], _T]) -> _T:
    """Run `work` without Pillow's own size limit, which warns long before ours is reached.

    The limit is a global of Pillow: it is given back at once, for the sake of other plugins.
    Only headers are read meanwhile, and `check_size` follows before any pixel is decoded.
    """
    with _lock:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return work()
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _silence_libtiff() -> None:
    """Stop the TIFF library inside Pillow from writing to the terminal what we report ourselves.

    It has no Python interface for that. Where the library is hidden inside Pillow (Windows) the
    symbols are not found, and it goes on writing.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(library, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    """Silence Pillow's warnings: a picture is readable or not, the rest is noise for a person.

    `warnings.catch_warnings` alone would mix up the filters when threads overlap, so the first
    thread in sets the filter and the last one out takes it away.
    """
    global _quiet_depth, _quiet
    with _lock:
        _quiet_depth += 1
        if _quiet is None:
            _quiet = warnings.catch_warnings()
            _quiet.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _lock:
            _quiet_depth -= 1
            if not _quiet_depth and _quiet is not None:
                _quiet.__exit__(None, None, None)
                _quiet = None


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where the metadata are missing or broken."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF raises nearly anything, and is no reason to refuse a picture
        return 1
    return value if isinstance(value, int) else 1


def _scale(image: Image.Image, robust: bool) -> NDArray[np.uint8]:
    """Return a picture of wide grey values (modes I, I;16*, F) as RGB."""
    rows = list(bands(image.height, image.width))
    step = max(1, len(rows) // 16)
    sample = [thin_out(_values(image, part)) for part in rows[::step]]
    scaling = choose_scaling(np.concatenate([part.ravel() for part in sample]), robust=robust)
    result = np.empty((image.height, image.width, 3), np.uint8)
    for part in rows:
        result[part] = scaling.apply(_values(image, part))
    return result


def _values(image: Image.Image, rows: slice) -> NDArray[np.generic]:
    """Return some rows of a one-channel picture, shape (rows, X, 1)."""
    return np.asarray(image.crop((0, rows.start, image.width, rows.stop)))[..., None]


def _to_rgb(image: Image.Image, robust: bool) -> NDArray[np.uint8]:
    """Return the pixels of `image`, loaded, on white; band by band to spare memory."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scale(image, robust)
    see_through = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    result = np.empty((image.height, image.width, 3), np.uint8)
    for rows in bands(image.height, image.width):
        band = image.crop((0, rows.start, image.width, rows.stop))
        if see_through:
            pixels = np.asarray(band.convert("RGBA"))
            result[rows] = lay_on_white(pixels[..., :3], pixels[..., 3:])
        else:
            result[rows] = np.asarray(band.convert("RGB"))
    if robust and LEVELS_CHOSEN not in image.info:
        scaling = choose_scaling(thin_out(result), robust=True)
        for rows in bands(image.height, image.width):
            result[rows] = scaling.apply(result[rows])
    return result


_silence_libtiff()
