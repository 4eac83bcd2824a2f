"""Slides through OpenSlide, which reads every vendor's files.

A handle of OpenSlide is dead after its first error, so each thread has its own, and a failed one
is thrown away: one bad tile costs that tile. OpenSlide itself is loaded with the first slide.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line
from napari_medssl.io.slides.fingerprint import fingerprint_of, sample_file
from napari_medssl.io.slides.level_slide import (
    MAX_REGION_PIXELS,
    About,
    Level,
    LevelSlide,
    check_levels,
    plausible_mpp,
)
from napari_medssl.io.slides.protocol import Pixels, SlideReadError
from napari_medssl.io.slides.sidecars import check_sidecars

if TYPE_CHECKING:
    from openslide import OpenSlide

_CACHE_BYTES = 16 * 2**20  # of each handle: a row of tiles; `TileCache` keeps what was shown
_WHITE = (255, 255, 255)
_SAFE = (
    "openslide.vendor",
    "openslide.mpp-x",
    "openslide.mpp-y",
    "openslide.objective-power",
    "openslide.background-color",
    "openslide.icc-size",
)
_MANY_FILES = frozenset(("mirax", "hamamatsu", "dicom"))  # the named one does not hold the pixels


def openslide_vendor(path: Path) -> str | None:
    """Return OpenSlide's word for the kind of a file, None where it would not read it."""
    openslide = _library()
    try:
        vendor = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None
    return None if vendor is None else str(vendor)


class OpenSlideSlide(LevelSlide):
    """A slide that OpenSlide reads.

    Parameters
    ----------
    path
        The file; of slides of many files the one that OpenSlide is to be given.

    Raises
    ------
    UserError
        If OpenSlide refuses it, a part is missing, or it says absurd things of itself.
    """

    def __init__(self, path: Path) -> None:
        check_sidecars(path)
        self._path = path
        self._mine = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._handles_lock = threading.Lock()
        self._error: type[Exception] = _library().OpenSlideError
        try:
            handle = self._open_handle()
            found = dict(handle.slide.properties)
            levels = _levels(path.name, handle.slide, found)
            self._vendor: str = found.get("openslide.vendor", "")
            self._quickhash: str = found.get("openslide.quickhash-1", "")
            self._background = _color(found.get("openslide.background-color"))
        except (self._error, OSError) as error:
            raise UserError(
                f"Cannot open {path.name!r} as a slide: it is damaged, cut off or of a kind that "
                f"OpenSlide does not read ({one_line(error)})."
            ) from error
        about = About(
            name=path.name,
            source=str(path),
            mpp=plausible_mpp(found.get("openslide.mpp-x"), found.get("openslide.mpp-y")),
            properties={key: found[key] for key in _SAFE if key in found},
        )
        super().__init__(about, levels)
        self._mine.handle = handle

    @property
    def vendor(self) -> str:
        """OpenSlide's word for the kind of the file: "aperio", "mirax", "generic-tiff"."""
        return self._vendor

    @property
    def associated_images(self) -> Mapping[str, Pixels]:
        """See `Slide.associated_images`."""
        return _AssociatedImages(self)

    def read_private_properties(self) -> Mapping[str, str]:
        """See `Slide.read_private_properties`."""
        with self._told("what it says of itself"), self._handle() as handle:
            return dict(handle.properties)

    def read_icc_profile(self) -> bytes | None:
        """See `Slide.read_icc_profile`."""
        with self._told("its colour profile"), self._handle() as handle:
            profile = handle.color_profile
            return None if profile is None else bytes(profile.tobytes())

    def close(self) -> None:
        """See `Slide.close`."""
        super().close()
        with self._handles_lock:
            for handle in list(self._handles):
                handle.close()
            self._handles.clear()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        downsample = self._levels[level].downsample
        location = (round(x * downsample), round(y * downsample))
        try:
            return self._openslide_read(location, level, (width, height))
        except (self._error, OSError) as error:
            raise SlideReadError(
                f"Cannot read {width} x {height} pixels at x {x}, y {y} of level {level} of "
                f"{self.name!r}: the file is damaged there or out of reach ({one_line(error)}).",
                level,
                (x, y),
                (width, height),
            ) from error

    def _openslide_read(
        self, location: tuple[int, int], level: int, size: tuple[int, int]
    ) -> Pixels:
        """Return what OpenSlide gives at a place in level-0 pixels; raises as `_handle`."""
        with self._handle() as handle:
            image = handle.read_region(location, level, size)
        return _flatten(image, self._background)

    def _make_fingerprint(self) -> str:
        parts = [self._vendor.encode(), self._quickhash.encode()]
        # The quick hash of slides of many files covers what tells one slide from another.
        if self._vendor not in _MANY_FILES or not self._quickhash:
            parts.extend(sample_file(self._path))
        return fingerprint_of("file", self._levels, parts)

    @contextmanager
    def _handle(self) -> Iterator[OpenSlide]:
        """Give this thread's handle, opened anew if the last one failed; throw it away if it fails.

        Raises OpenSlide's error or OSError: the file may be gone or damaged by now.
        """
        handle: _Handle | None = getattr(self._mine, "handle", None)
        if self._is_closed:
            raise UserError(f"The slide {self.name!r} is closed: open it again.")
        if handle is None or handle.is_closed or handle.process != os.getpid():
            handle = self._mine.handle = self._open_handle()
        with handle.lock:
            if self._is_closed or handle.is_closed:
                raise UserError(f"The slide {self.name!r} is closed: open it again.")
            try:
                yield handle.slide
            except self._error:
                handle.close()
                raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Tell OpenSlide's errors as `UserError`; `what` was to be read."""
        try:
            yield
        except (self._error, OSError) as error:
            raise UserError(
                f"Cannot read {what} of {self.name!r}: the file is damaged or out of reach "
                f"({one_line(error)})."
            ) from error

    def _open_handle(self) -> _Handle:
        openslide = _library()
        slide = openslide.OpenSlide(self._path)
        slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
        handle = _Handle(slide)
        with self._handles_lock:
            self._handles.add(handle)
        return handle


class _Handle:
    """An OpenSlide handle that is not closed under a read of another thread."""

    def __init__(self, slide: OpenSlide) -> None:
        self.slide = slide
        self.process = os.getpid()  # a fork shares places in files: the child opens its own
        self.lock = threading.RLock()
        self.is_closed = False

    def close(self) -> None:
        """Wait for a running read, then close; may be called twice."""
        with self.lock:
            if not self.is_closed:
                self.is_closed = True
                self.slide.close()


class _AssociatedImages(Mapping[str, Pixels]):
    """Label, macro and thumbnail; decoded when one is taken out."""

    def __init__(self, slide: OpenSlideSlide) -> None:
        self._slide = slide

    def __getitem__(self, key: str) -> Pixels:
        slide = self._slide
        with slide._told(f"the image {key!r}"), slide._handle() as handle:
            # The size is known before a pixel is decoded.
            sides = [f"openslide.associated.{key}.{side}" for side in ("width", "height")]
            width, height = (int(handle.properties.get(side, 0)) for side in sides)
            if width * height > MAX_REGION_PIXELS:
                raise UserError(
                    f"The image {key!r} of {slide.name!r} says that it is {width} x {height} "
                    "pixels: too large."
                )
            return _flatten(handle.associated_images[key], _WHITE)

    def __iter__(self) -> Iterator[str]:
        with self._slide._told("its images"), self._slide._handle() as handle:
            return iter(sorted(handle.associated_images))

    def __len__(self) -> int:
        with self._slide._told("its images"), self._slide._handle() as handle:
            return len(handle.associated_images)


def _library() -> Any:
    try:
        import openslide
    except (ImportError, OSError) as error:
        raise UserError(
            f"OpenSlide cannot be loaded ({one_line(error)}). "
            "Install it: pip install openslide-python openslide-bin"
        ) from error
    return openslide


def _levels(name: str, handle: OpenSlide, found: Mapping[str, str]) -> list[Level]:
    levels = []
    for number, ((width, height), downsample) in enumerate(
        zip(handle.level_dimensions, handle.level_downsamples, strict=True)
    ):
        sides = [
            found.get(f"openslide.level[{number}].tile-{side}") for side in ("width", "height")
        ]
        tile = [int(side) if side and side.isdecimal() else 256 for side in sides]
        levels.append(Level(width, height, float(downsample), tile[0], tile[1]))
    check_levels(name, levels)
    return levels


def _color(text: str | None) -> tuple[int, int, int]:
    """Return the background that a slide names as six hexadecimal digits, else white."""
    try:
        value = bytes.fromhex(text or "")
    except ValueError:
        return _WHITE
    return (value[0], value[1], value[2]) if len(value) == 3 else _WHITE


def _flatten(image: Any, background: tuple[int, int, int]) -> Pixels:
    """Return a Pillow image with opacity as RGB, laid on `background`."""
    if image.mode != "RGBA" or image.getchannel("A").getextrema() == (255, 255):
        return np.array(image.convert("RGB"))
    from PIL import Image

    ground = Image.new("RGB", image.size, background)
    ground.paste(image, mask=image)
    return np.array(ground)
