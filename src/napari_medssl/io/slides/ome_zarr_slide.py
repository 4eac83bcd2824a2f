"""OME-Zarr stores as slides: versions 0.1 to 0.5, folders, zip files and URLs.

One or three channels (a fourth is opacity and is left out), one plane, one time point. Other types
than uint8 become uint8 by one straight line for all levels, chosen from the coarsest level as
`io.pixels` says. Stores of many images are refused with the name of one of them, except that of a
bioformats2raw conversion the first series is opened: the others may be label and macro.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_medssl._errors import UserError
from napari_medssl.io.limits import without_secrets
from napari_medssl.io.pixels import Scaling, choose_scaling
from napari_medssl.io.slides.fingerprint import fingerprint_of
from napari_medssl.io.slides.level_slide import About, Level, LevelSlide, check_levels
from napari_medssl.io.slides.lost_shards import LostShards
from napari_medssl.io.slides.ome_metadata import OmeImage, first_image_path, read_ome_image
from napari_medssl.io.slides.places import is_inside
from napari_medssl.io.slides.protocol import Pixels, SlideReadError
from napari_medssl.io.slides.zarr_store import (
    JPEG,
    MAX_CHUNK_BYTES,
    CheckedStore,
    StoreError,
    learn_jpeg,
    open_store,
)

_CODECS = frozenset(
    (
        *("bytes", "transpose", "blosc", "gzip", "zlib", "zstd", "lz4", "crc32c"),
        *("sharding_indexed", JPEG),
    )
)
_TELL_SIZES = ("zstd", "blosc", "gzip", "zlib", "lz4", JPEG)
_MOST_SAMPLE_PIXELS = 2**22
_MOST_TOGETHER = 2**24  # pixels that are read together
_MOST_SPARE = 1.34  # pixels read for each that is wanted


class OmeZarrSlide(LevelSlide):
    """An image of an OME-Zarr store.

    Parameters
    ----------
    path_or_url
        The store, or an image inside it.

    Raises
    ------
    UserError
        If it cannot be reached, holds no such image, or is damaged or hostile.
    """

    def __init__(self, path_or_url: str | Path) -> None:
        source = str(path_or_url)
        name = source.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
        self._store = open_store(path_or_url)
        try:
            attributes = read_attributes(name, self._store, "")
            inner = first_image_path(name, attributes)
            if inner:
                attributes = read_attributes(name, self._store, inner)
            image = read_ome_image(name, attributes)
            if JPEG in str(attributes.get("medssl")):  # said by `io.slide_store.metadata`
                learn_jpeg()
            self._arrays = [
                open_level(name, self._store, f"{inner}/{path}".lstrip("/"), image.axes)
                for path in image.paths
            ]
            for path, array in zip(image.paths, self._arrays, strict=True):
                _check_planes(name, f"{inner}/{path}".lstrip("/"), array, image)
            levels = _levels(name, image, self._arrays)
        except BaseException:
            self._store.close()
            raise
        self._axes = image.axes
        self._paths = image.paths
        self._lost = LostShards(path_or_url) if not inner else None
        self._scaling: Scaling | None = None
        super().__init__(About(name=name, source=source, mpp=image.mpp), levels)

    def read_many(
        self, level: int, corners: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> Pixels:
        """See `Slide.read_many`: neighbours are read together, for zarr takes long over each."""
        self._check_request(level, size)
        if len(corners) < 2:
            return super().read_many(level, corners, size)
        left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
        width, height = (
            max(corner[axis] for corner in corners) - first + size[axis]
            for axis, first in enumerate((left, top))
        )
        area = width * height
        if area > min(_MOST_TOGETHER, _MOST_SPARE * len(corners) * size[0] * size[1]):
            half = len(corners) // 2
            parts = (corners[:half], corners[half:])
            return np.concatenate([self.read_many(level, part, size) for part in parts])
        whole = self.read_pixels(level, (left, top), (width, height))
        return np.stack(
            [whole[y - top : y - top + size[1], x - left : x - left + size[0]] for x, y in corners]
        )

    def close(self) -> None:
        """See `Slide.close`."""
        super().close()
        self._store.close()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        values = self._values(level, x, y, width, height)
        pixels = values if values.dtype == np.uint8 else self._chosen_scaling().apply(values)
        if pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        return np.ascontiguousarray(pixels)

    def _make_fingerprint(self) -> str:
        last = self._levels[-1]
        step = max(1, round((last.width * last.height / _MOST_SAMPLE_PIXELS) ** 0.5))
        size = (max(1, last.width // step), max(1, last.height // step))
        parts = [_described(array) for array in self._arrays]
        parts.append(self.read_pixels(self.level_count - 1, (0, 0), size).tobytes())
        for corner in _spread(self._levels[0]):
            parts.append(self.read_pixels(0, corner, (64, 64)).tobytes())
        return fingerprint_of("ome-zarr", self._levels, parts)

    def _values(self, level: int, x: int, y: int, width: int, height: int) -> Any:
        """Return the values as stored, shape (height, width, 1 or 3)."""
        windows = {"y": slice(y, y + height), "x": slice(x, x + width), "c": slice(0, 3)}
        try:
            lost = self._lost and self._lost.under(self._paths[level], x, y, width, height)
            if lost:
                raise StoreError(f"its part {lost!r} is missing or cut off")
            found = np.asarray(self._arrays[level][tuple(windows.get(a, 0) for a in self._axes)])
        except Exception as error:  # codecs raise nearly every kind of error for damaged chunks
            if isinstance(error, UserError):
                raise
            raise SlideReadError(
                f"Cannot read {width} x {height} pixels at x {x}, y {y} of level {level} of "
                f"{self.name!r}: the store is damaged or cannot be reached "
                f"({without_secrets(error)}).",
                level,
                (x, y),
                (width, height),
            ) from error
        kept = [axis for axis in self._axes if axis in windows]
        if "c" not in kept:
            found, kept = found[..., None], [*kept, "c"]
        return found.transpose([kept.index(axis) for axis in "yxc"])

    def _chosen_scaling(self) -> Scaling:
        if self._scaling is None:
            last = len(self._levels) - 1
            width, height = self.level_dimensions[last]
            side = int(_MOST_SAMPLE_PIXELS**0.5)
            x, y = max(0, (width - side) // 2), max(0, (height - side) // 2)
            sample = self._values(last, x, y, min(width, side), min(height, side))
            self._scaling = choose_scaling(sample)
        return self._scaling


def read_attributes(name: str, store: CheckedStore, path: str) -> dict[str, Any]:
    """Return the attributes of a group of a store; UserError if they cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = zarr.open_group(store, path=path, mode="r")
            return dict(group.attrs)
    except Exception as error:  # zarr raises nearly every kind of error for damaged metadata
        is_array = "contains an array" in str(error) or type(error).__name__ == "ContainsArrayError"
        hint = " It is a bare array: give the folder above it." if is_array else ""
        raise UserError(
            f"Cannot open {name!r}: its zarr metadata cannot be read "
            f"({without_secrets(error)}).{hint}"
        ) from error


def open_level(name: str, store: CheckedStore, path: str, axes: Sequence[str] | None) -> Any:
    """Open an array of a store.

    Parameters
    ----------
    name
        Of the store, for messages.
    path
        Of the array below it, "" for itself.
    axes
        Names of its axes, None if nothing names them.

    Raises
    ------
    UserError
        If it is missing or damaged, or needs more memory than any honest one.
    """
    if not is_inside(path):
        raise UserError(f"Cannot open {name!r}: its level {path!r} lies outside it.")
    own = store._with_store(store._store)  # with the codec of this array
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = zarr.open_array(own, path=path, mode="r")
    except Exception as error:
        is_missing = isinstance(error, FileNotFoundError)
        why = "is missing" if is_missing else f"cannot be read ({without_secrets(error)})"
        raise UserError(f"Cannot open {name!r}: its level {path!r} {why}.") from error
    _check_array(name, path, array, axes)
    names = [codec for codec in _codec_names(array) if codec in _CODECS]
    own.compressor = next((n for n in names if n in _TELL_SIZES), "")
    return array


def _check_array(name: str, path: str, array: Any, axes: Sequence[str] | None) -> None:
    """Refuse arrays that are no picture, or that would need more memory than any honest one."""
    where = f"Cannot open {name!r}: its level {path!r}"
    if axes is not None and array.ndim != len(axes):
        raise UserError(f"{where} has {array.ndim} dimensions, its axes are {', '.join(axes)}.")
    if array.dtype.kind not in "buif":
        raise UserError(f"{where} holds {array.dtype}; due are numbers.")
    unknown = sorted(set(_codec_names(array)) - _CODECS)
    if unknown:
        raise UserError(f"{where} is stored with {unknown[0]!r}, which is not read.")
    chunk_bytes = int(np.prod([float(c) for c in array.chunks])) * array.dtype.itemsize
    if min(array.chunks) < 1 or chunk_bytes > MAX_CHUNK_BYTES:
        raise UserError(
            f"{where} has chunks of {' x '.join(map(str, array.chunks))}; the limit is "
            f"{MAX_CHUNK_BYTES // 2**20} MiB each."
        )


def _check_planes(name: str, path: str, array: Any, image: OmeImage) -> None:
    """Refuse volumes, time series and stains: a slide has one plane of grey or RGB."""
    where = f"Cannot open {name!r}: its level {path!r}"
    for axis, size in zip(image.axes, array.shape, strict=True):
        if axis in "tz" and size != 1:
            raise UserError(
                f"{where} has {size} planes along {axis}; a slide has one. Save one plane."
            )
        if axis == "c" and size not in (1, 3, 4):
            raise UserError(f"{where} has {size} channels; a slide has 1 or 3 (RGB).")


def _codec_names(array: Any) -> Iterator[str]:
    """Give the names of all codecs of an array, those inside shards too."""
    if array.metadata.zarr_format == 2:
        stored = array.metadata.to_dict()
        for codec in [stored.get("compressor"), *(stored.get("filters") or ())]:
            if codec is not None:
                yield str(codec.get("id") if isinstance(codec, dict) else codec)
        return
    yield from _names_of(array.metadata.to_dict()["codecs"])


def _names_of(codecs: Any) -> Iterator[str]:
    for codec in codecs:
        yield str(codec["name"])
        inner = codec.get("configuration") or {}
        yield from _names_of(inner.get("codecs", ()))
        yield from _names_of(inner.get("index_codecs", ()))


def _levels(name: str, image: OmeImage, arrays: list[Any]) -> list[Level]:
    across, down = image.axes.index("x"), image.axes.index("y")
    full = arrays[0].shape
    levels: list[Level] = []
    for array, scale in zip(arrays, image.scales, strict=True):
        width, height = array.shape[across], array.shape[down]
        if levels and (width > levels[-1].width or height > levels[-1].height):
            raise UserError(
                f"Cannot open {name!r}: its levels do not shrink ({levels[-1].width} x "
                f"{levels[-1].height}, then {width} x {height})."
            )
        tile = (min(width, array.chunks[across]), min(height, array.chunks[down]))
        downsample = (full[across] / max(1, width) + full[down] / max(1, height)) / 2
        said = scale[0] / image.scales[0][0]
        # The metadata is exact where sizes were rounded; junk there is not believed.
        if abs(said / downsample - 1) < 0.05:
            downsample = said
        levels.append(Level(width, height, max(1.0, downsample), *tile))
    check_levels(name, levels)
    return levels


def _described(array: Any) -> bytes:
    about = {"shape": list(array.shape), "dtype": str(array.dtype)}
    return json.dumps(about, sort_keys=True).encode()


def _spread(level: Level) -> list[tuple[int, int]]:
    """Return 16 places spread over a level."""
    steps = [(i + 0.5) / 4 for i in range(4)]
    return [(int(level.width * x), int(level.height * y)) for y in steps for x in steps]
