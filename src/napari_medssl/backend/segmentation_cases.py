"""What is scored as one: an image, or the volume that slices of a table make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.segmentation_data import TABLE, Pair, PairTable

_EVEN = 1e-3  # of a step: slices that lie further from even steps do not make a volume


@dataclass(frozen=True, slots=True)
class Case:
    """An image, or a volume of slices.

    Attributes
    ----------
    name
        Of the image or volume.
    group
        Whom it is of.
    pairs
        The image; of a volume its slices in order.
    spacing
        Of its axes, Y, X or Z, Y, X, in mm; 1 each where it is not known.
    """

    name: str
    group: str
    pairs: tuple[Pair, ...]
    spacing: tuple[float, ...]

    @property
    def is_volume(self) -> bool:
        """Whether it has an axis of slices."""
        return len(self.spacing) == 3

    def stacked(self, planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return the planes of its images as one array, shape (Y, X) or (Z, Y, X)."""
        return np.stack(planes) if self.is_volume else planes[0]

    def unstacked(self, classes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        """Return what `stacked` was made of."""
        return tuple(classes) if self.is_volume else (classes,)


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case with its images and truth.

    Attributes
    ----------
    pixels
        uint8 RGB of each image, shape (Y, X, 3).
    truth
        Class numbers, shape (Y, X) or (Z, Y, X).
    """

    case: Case
    pixels: tuple[NDArray[np.uint8], ...]
    truth: NDArray[np.uint8]


def plan_cases(table: PairTable) -> tuple[Case, ...]:
    """Return what of a table is scored as one, in the order of the table.

    Raises
    ------
    UserError
        If the slices of a volume do not make one.
    """
    if not table.pairs[0].volume:
        return tuple(
            Case(pair.name, pair.group, (pair,), _plane_spacing(pair)) for pair in table.pairs
        )
    slices: dict[str, list[Pair]] = {}
    for pair in table.pairs:
        slices.setdefault(pair.volume, []).append(pair)
    return tuple(_volume(name, pairs) for name, pairs in slices.items())


def read_case(table: PairTable, case: Case) -> ReadCase:
    """Return a case with its images and truth.

    Raises
    ------
    UserError
        If an image cannot be read, or slices have different sizes: a part of a volume is another.
    """
    read = []
    for pair in case.pairs:
        try:
            read.append(table.read(pair))
        except UserError as error:
            told = f"Slice {pair.name!r}: {error}" if case.is_volume else str(error)
            raise UserError(told) from None
    sizes = {classes.shape: pair.name for pair, (_, classes) in zip(case.pairs, read, strict=True)}
    if len(sizes) > 1:
        (first, one), (second, other) = list(sizes.items())[:2]
        raise UserError(
            f"Slice {one!r} has {first[1]} x {first[0]} pixels, {other!r} {second[1]} x "
            f"{second[0]}; due is one size in a volume."
        )
    pixels, planes = zip(*read, strict=True)
    return ReadCase(case, pixels, case.stacked(planes))


def _plane_spacing(pair: Pair) -> tuple[float, ...]:
    """Return the spacing of Y and X."""
    steps = pair.spacing or (1.0,)
    return (steps * 2)[:2] if len(steps) == 1 else steps[-2:]


def _volume(name: str, pairs: Sequence[Pair]) -> Case:
    where = f"{TABLE}, line {pairs[0].line}: volume {name!r}"
    for what, kinds in (
        ("group", {pair.group for pair in pairs}),
        ("spacing_mm", {pair.spacing for pair in pairs}),
    ):
        if len(kinds) > 1:
            raise UserError(f"{where} has slices with another {what}; due is one for all of them.")
    if pairs[0].z is not None:
        pairs = sorted(pairs, key=lambda pair: pair.z or 0.0)
        _check_even(where, [pair.z or 0.0 for pair in pairs])
    steps = pairs[0].spacing or (1.0,)
    if len(steps) == 2:
        text = "|".join(f"{step:g}" for step in steps)
        raise UserError(
            f"{where} has spacing_mm {text!r}; due are three numbers, of slices, rows and columns, "
            "or one for all."
        )
    return Case(name, pairs[0].group, tuple(pairs), steps * 3 if len(steps) == 1 else steps)


def _check_even(where: str, places: Sequence[float]) -> None:
    """Refuse a volume with slices missing or twice: its distances would be those of another."""
    steps = np.diff(places)
    if len(steps) and (steps.min() <= 0 or np.ptp(steps) > _EVEN * steps.max()):
        raise UserError(
            f"{where} has slices at z {', '.join(f'{place:g}' for place in places[:6])}"
            f"{', ...' if len(places) > 6 else ''}; due are even steps, each once."
        )
