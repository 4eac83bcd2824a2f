"""What all volumes have in common: slices, spacing, 8 bits, and how masks are handed over."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.limits import check_size, one_line
from napari_medssl.io.pixels import Scaling, choose_scaling, is_surely_light
from napari_medssl.io.volumes.remembered import Remembered, Stamp, stamp_of

MAX_SLICE_PIXELS = 2**26
"""Pixels of the largest slice: 8192 x 8192."""

MAX_SLICES = 100_000
_SAMPLE = 1_000_000  # values looked at to choose the scaling

Spacing = tuple[float, float, float]
_scalings: Remembered[Scaling] = Remembered(capacity=64)
_refusals: Remembered[tuple[float, str]] = Remembered(capacity=64)
_REFUSED_S = 30.0  # then it is tried again: a disk may have been away


class Volume(ABC):
    """A volume, open for reading. Use from one thread at a time.

    Attributes
    ----------
    path
        Its file or folder.
    shape
        (Z, Y, X).
    dtype
        Of the values.
    spacing_mm
        Distance of voxels along (z, y, x), None where the file does not say it.
    suffix
        How the name of its mask ends.
    """

    suffix: str

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        spacing_mm: Spacing | None,
    ) -> None:
        check_size(path.name, shape[2], shape[1], MAX_SLICE_PIXELS)
        if not 1 <= shape[0] <= MAX_SLICES:
            raise UserError(
                f"Cannot read {path.name!r}: it says that it has {shape[0]} slices; due are 1 to "
                f"{MAX_SLICES}."
            )
        self.path, self.shape, self.dtype = path, shape, dtype
        self.spacing_mm = spacing_mm
        self._scaling: Scaling | None = None

    @abstractmethod
    def _read(self, z: int) -> NDArray[np.generic]:
        """Return the values of a slice, shape (Y, X) or (Y, X, 3); may raise anything."""

    @abstractmethod
    def _write(
        self, target: Path, slices: Iterator[NDArray[np.uint8]], legend: ClassLegend
    ) -> None:
        """Write the classes of all slices, whole or not at all."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> NDArray[np.float64] | None:
        """From voxels (x, y, z) to mm, shape (4, 4); None where the file does not say it."""
        return None

    @property
    def is_mask(self) -> bool:
        """True if the file itself says that its values are class numbers."""
        return False

    @property
    def legend(self) -> ClassLegend:
        """Names and colours of classes that the file knows."""
        return NO_LEGEND

    @property
    def sure_spacing_mm(self) -> Spacing | None:
        """As `spacing_mm`, but None also where a program wrote a size because it knew none."""
        return self.spacing_mm

    def values(self, z: int) -> NDArray[np.generic]:
        """Return the values of slice `z` (from 0) as they are meant, shape (Y, X) or (Y, X, 3).

        Raises
        ------
        UserError
            If that part of the file is damaged or missing.
        """
        try:
            return self._read(z)
        except UserError:
            raise
        except Exception as error:  # decoders raise nearly everything on damaged files
            raise UserError(
                f"Cannot read slice {z + 1} of {self.path.name!r}: the file is damaged or cut off "
                f"({one_line(error)})."
            ) from error

    def look_over(self, on_slice: Callable[[int], None]) -> None:
        """Choose how values become 8 bits: all slices are read for it.

        Those of 8 bits are read only until it is sure that they are not dim. What was chosen is
        remembered while the file stays as it is, and threads that ask at the same time wait for it.
        `on_slice` is called before each slice and while waiting, and may raise to end it.
        """
        if self._scaling is not None:
            return
        stamp = stamp_of(self.path)
        if stamp is None:
            self._scaling = self._choose_scaling(on_slice)
            return
        with _scalings.turn(stamp, lambda: on_slice(0)):
            known = _scalings.get(stamp)
            self._scaling = known or _scalings.keep(
                stamp, self._scaling_or_refusal(stamp, on_slice)
            )

    def _scaling_or_refusal(self, stamp: Stamp, on_slice: Callable[[int], None]) -> Scaling:
        """Return the scaling; a volume that is damaged is read once for all its slices."""
        told_s, refusal = _refusals.get(stamp) or (-math.inf, "")
        if time.monotonic() - told_s < _REFUSED_S:
            raise UserError(refusal)
        try:
            return self._choose_scaling(on_slice)
        except UserError as error:
            _refusals.put(stamp, (time.monotonic(), str(error)))
            raise

    def _choose_scaling(self, on_slice: Callable[[int], None]) -> Scaling:
        depth, height, width = self.shape
        step = max(1, math.ceil(math.sqrt(depth * height * width / _SAMPLE)))
        sample: list[NDArray[np.generic]] = []
        light = 0
        for z in range(depth):
            on_slice(z)
            # A start that differs by slice meets every row and column of a small volume.
            first = z % step
            sample.append(self.values(z)[first::step, first::step].ravel())
            if self.dtype == np.uint8:
                light += int(np.count_nonzero(sample[z].astype(np.uint8, copy=False) >= 128))
                if is_surely_light(light, depth * sample[0].size):  # no slice gives more
                    return Scaling(0.0, 255.0)
        return choose_scaling(np.concatenate(sample), robust=True)

    def picture(self, z: int) -> NDArray[np.uint8]:
        """Return slice `z` (from 0) as uint8 RGB, shape (Y, X, 3)."""
        self.look_over(_go_on)
        if self._scaling is None:
            raise RuntimeError("a volume that was looked over has its scaling")
        pixels = self._scaling.apply(self.values(z))
        grey = pixels[..., None] if pixels.ndim == 2 else pixels
        return np.ascontiguousarray(np.broadcast_to(grey, (*grey.shape[:2], 3)))

    def write_classes(
        self,
        target: Path,
        slices: Iterable[NDArray[np.uint8]],
        legend: ClassLegend = NO_LEGEND,
    ) -> None:
        """Write class numbers in the format of this volume, with its spacing and place.

        Parameters
        ----------
        target
            File or folder to make; its name has to end in `suffix`.
        slices
            uint8, shape (Y, X) each, as many as there are. What they raise goes through, and
            nothing is written then.
        legend
            What the classes are called; formats that have no place for it leave it out.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        self._write(target, self._checked(slices), legend)

    def _checked(self, slices: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        count = 0
        for classes in slices:
            count += 1
            if count > self.shape[0]:
                break
            if classes.shape != self.shape[1:] or classes.dtype != np.uint8:
                raise ValueError(
                    f"slice {count} is {classes.dtype} of shape {classes.shape}; due is uint8 of "
                    f"{self.shape[1:]}"
                )
            yield np.ascontiguousarray(classes)
        if count != self.shape[0]:
            raise ValueError(f"{count} slices came, due are {self.shape[0]}")


def plausible_spacing(z: float, y: float, x: float) -> Spacing | None:
    """Return a spacing in mm, None if no scanner or microscope has such."""
    sides = (float(z), float(y), float(x))
    return sides if all(1e-8 <= side <= 1e4 for side in sides) else None


def _go_on(_slice: int) -> None:
    """Take no notice."""
