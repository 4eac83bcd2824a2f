"""zarr folders as volumes: the first level of an OME-Zarr image, or an array of 2 or 3 axes.

A mask is a store of the same version with one level, in a folder that takes its name when it is
whole. Chunks of several slices are decoded once for all of them. Among the attributes of a mask are
names and colours of its classes, which other programs pass over.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.slides.ome_metadata import (
    OmeImage,
    first_image_path,
    microns_of,
    read_ome_image,
)
from napari_medssl.io.slides.ome_zarr_slide import open_level, read_attributes
from napari_medssl.io.slides.zarr_store import open_store
from napari_medssl.io.volumes.volume import Spacing, Volume, plausible_spacing
from napari_medssl.io.volumes.zarr_folder import is_bare_array, whole_folder

_MOST_KEPT = 2**28  # bytes of slices that were decoded together
_CHUNK = 1024
_COLORS = (1, 3, 4)


class ZarrVolume(Volume):
    """A zarr folder; see the package's text."""

    suffix = ".zarr"

    def __init__(self, path: Path) -> None:
        name = path.name
        self._store = open_store(path)
        try:
            self._image: OmeImage | None = None
            inner = ""
            if is_bare_array(path):
                self._array = open_level(name, self._store, "", None)
                self._axes = _bare_axes(name, self._array.shape)
                attributes = dict(self._array.attrs)
            else:
                attributes = read_attributes(name, self._store, "")
                inner = first_image_path(name, attributes)
                if inner:
                    attributes = read_attributes(name, self._store, inner)
                self._image = read_ome_image(name, attributes)
                place = f"{inner}/{self._image.paths[0]}".lstrip("/")
                self._axes = self._image.axes
                self._array = open_level(name, self._store, place, self._axes)
            sizes = dict(zip(self._axes, self._array.shape, strict=True))
            _check_axes(name, sizes)
            shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
            self._legend = ClassLegend.of_attributes(attributes)
            super().__init__(path, shape, self._array.dtype, _spacing(self._image))
        except BaseException:
            self._store.close()
            raise
        self._kept: tuple[int, NDArray[np.generic]] = (0, np.empty(0))

    @property
    def is_mask(self) -> bool:
        """See `Volume.is_mask`."""
        return self._legend is not None

    @property
    def legend(self) -> ClassLegend:
        """See `Volume.legend`."""
        return self._legend or NO_LEGEND

    def close(self) -> None:
        """See `Volume.close`."""
        self._store.close()

    def _read(self, z: int) -> NDArray[np.generic]:
        first, kept = self._kept
        if not first <= z < first + len(kept):
            self._kept = first, kept = self._read_chunk(z)
        found: NDArray[np.generic] = kept[z - first]
        return found

    def _read_chunk(self, z: int) -> tuple[int, NDArray[np.generic]]:
        """Return the slices of the chunk that holds one, and which is the first of them."""
        depth, height, width = self.shape
        deep = self._array.chunks[self._axes.index("z")] if "z" in self._axes else 1
        slice_bytes = height * width * 3 * self._array.dtype.itemsize
        if deep * slice_bytes > _MOST_KEPT:
            deep = 1
        first = z // deep * deep
        wanted = {"z": slice(first, min(depth, first + deep)), "y": slice(None), "x": slice(None)}
        wanted["c"] = slice(0, 3)
        found = np.asarray(self._array[tuple(wanted.get(axis, 0) for axis in self._axes)])
        left = [axis for axis in self._axes if axis in wanted]
        if "z" not in left:
            found, left = found[None], ["z", *left]
        order = [left.index(axis) for axis in "zyxc" if axis in left]
        found = found.transpose(order)
        return first, found[..., 0] if "c" in left and found.shape[-1] == 1 else found

    def _write(
        self, target: Path, slices: Iterator[NDArray[np.uint8]], legend: ClassLegend
    ) -> None:
        version = int(self._array.metadata.zarr_format)
        with whole_folder(target) as made, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            place = made if self._image is None else made / "0"
            if self._image is not None:
                about = self._about(version) | legend.as_attributes()
                zarr.open_group(made, mode="w", zarr_format=_format(version), attributes=about)
            is_flat = "z" not in self._axes
            height, width = self.shape[1:]
            chunks = (min(height, _CHUNK), min(width, _CHUNK))
            array = zarr.create_array(
                place,
                shape=(height, width) if is_flat else self.shape,
                chunks=chunks if is_flat else (1, *chunks),
                dtype="uint8",
                fill_value=0,
                zarr_format=_format(version),
                attributes=legend.as_attributes() if self._image is None else None,
                config={"write_empty_chunks": True},  # a chunk that is missing means a loss
            )
            for z, classes in enumerate(slices):
                array[... if is_flat else z] = classes

    def _about(self, version: int) -> dict[str, Any]:
        """Return the attributes of the mask: axes and scale of the image, without its channels."""
        image = self._image
        if image is None:
            return {}
        kept = [axis for axis in ("z", "y", "x") if axis in image.axes]
        axes, scale = [], []
        for axis in kept:
            unit = image.units[image.axes.index(axis)]
            axes.append({"name": axis, "type": "space", **({"unit": unit} if unit else {})})
            scale.append(image.whole_scale[image.axes.index(axis)])
        transforms = [{"type": "scale", "scale": scale}]
        datasets = [{"path": "0", "coordinateTransformations": transforms}]
        multiscale = {"name": self.path.stem, "axes": axes, "datasets": datasets}
        if version == 2:
            return {"multiscales": [{"version": "0.4", **multiscale}]}
        return {"ome": {"version": "0.5", "multiscales": [multiscale]}}


def _format(version: int) -> Any:
    return 2 if version == 2 else 3


def _bare_axes(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) == 3 and shape[-1] in _COLORS[1:]:
        return ("y", "x", "c")
    if len(shape) in (2, 3):
        return ("z", "y", "x")[-len(shape) :]
    raise UserError(
        f"Cannot read {name!r}: it is an array of {len(shape)} axes without metadata; due are 2 or "
        "3, or an OME-Zarr image."
    )


def _check_axes(name: str, sizes: dict[str, int]) -> None:
    if sizes.get("t", 1) != 1:
        raise UserError(
            f"Cannot read {name!r}: it has {sizes['t']} time points; due is one. Save it by itself."
        )
    if sizes.get("c", 1) not in _COLORS:
        raise UserError(
            f"Cannot read {name!r}: it has {sizes['c']} channels; due are 1, or 3 (RGB). Save one "
            "channel by itself."
        )


def _spacing(image: OmeImage | None) -> Spacing | None:
    """Return the distances of voxels in mm, None where a unit is missing."""
    if image is None:
        return None
    sides = []
    for axis in "zyx":
        if axis not in image.axes:
            sides.append(1.0)
            continue
        at = image.axes.index(axis)
        sides.append(image.whole_scale[at] * (microns_of(image.units[at]) or 0.0) / 1e3)
    return plausible_spacing(*sides)
