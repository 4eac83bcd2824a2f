"""What is scored as one: an image, the volume that slices of a table make, or a file of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.segmentation_data import TABLE, Pair, PairTable
from napari_medssl.backend.segmentation_volumes import (
    image_spacing,
    is_near,
    is_volume_file,
    read_volume_truth,
)
from napari_medssl.io.volumes import open_volume

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
        The image, or the file of a volume; of a volume of slices those in order.
    spacing
        Of its axes, Y, X or Z, Y, X, in mm; 1 each where it is not known. Before the files are read
        it is that of the table.
    is_known
        Whether it is.
    """

    name: str
    group: str
    pairs: tuple[Pair, ...]
    spacing: tuple[float, ...]
    is_known: bool

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
        uint8 RGB of each image, shape (Y, X, 3); none of a file of a volume.
    truth
        Class numbers, shape (Y, X) or (Z, Y, X).
    volume
        The file of a volume, which is read slice by slice when it is looked at.
    overruled
        The spacing that the file says, of the last axes, where the table says another; the
        table's is `case.spacing`.
    """

    case: Case
    pixels: tuple[NDArray[np.uint8], ...]
    truth: NDArray[np.uint8]
    volume: Path | None = None
    overruled: tuple[float, ...] | None = None

    @property
    def planes(self) -> tuple[NDArray[np.uint8], ...]:
        """The truth of each image or slice."""
        return self.case.unstacked(self.truth)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Give each image or slice as `pixels` holds it."""
        if self.volume is None:
            yield from self.pixels
            return
        with open_volume(self.volume) as volume:
            for z in range(volume.shape[0]):
                yield volume.picture(z)


def plan_cases(table: PairTable) -> tuple[Case, ...]:
    """Return what of a table is scored as one, in the order of the table.

    Raises
    ------
    UserError
        If the slices of a volume do not make one.
    """
    if not table.pairs[0].volume:
        return tuple(
            Case(pair.name, pair.group, (pair,), _plane_spacing(pair), pair.spacing is not None)
            for pair in table.pairs
        )
    slices: dict[str, list[Pair]] = {}
    for pair in table.pairs:
        slices.setdefault(pair.volume, []).append(pair)
    return tuple(_volume(name, pairs) for name, pairs in slices.items())


def read_case(table: PairTable, case: Case, *, distances: bool = True) -> ReadCase:
    """Return a case with its images and truth; a file of a volume becomes one with three axes.

    The spacing is that of the table, else that of the file, or, of slices of a volume, not known.

    Parameters
    ----------
    distances
        Whether the spacing matters: files are asked for it, and volumes have to have one.

    Raises
    ------
    UserError
        If an image cannot be read, slices have different sizes (a part of a volume is another), or
        an image and its mask say different spacings.
    """
    if not case.is_volume:
        image, mask = table.files(case.pairs[0])
        if is_volume_file(image):
            return _read_volume(table, case, (image, mask), distances)
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
    overruled = None
    if distances:
        case, overruled = _with_spacing_of_file(case, *table.files(case.pairs[0]))
    return ReadCase(case, pixels, case.stacked(planes), None, overruled)


def read_cases(
    table: PairTable,
    plan: Sequence[Case],
    distances: bool,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> tuple[list[ReadCase], list[tuple[str, str]]]:
    """Return the cases that can be read, and (name, reason) of the others.

    Raises
    ------
    UserError
        If none can.
    Cancelled
        If `should_stop` said so.
    """
    cases: list[ReadCase] = []
    failures: list[tuple[str, str]] = []
    for number, case in enumerate(plan):
        if should_stop():
            raise Cancelled("Stopped while reading the images; no score is written.")
        on_progress(Progress(number, len(plan), f"reading {case.name}"))
        try:
            read = read_case(table, case, distances=distances)
            _check_alike(read.case, cases)
        except UserError as error:
            failures.append((case.name, str(error)))
            continue
        cases.append(read)
    if not cases:
        what = "volumes" if plan[0].is_volume else "images"
        raise UserError(f"None of {len(plan)} {what} can be scored. {failures[0][1]}")
    return cases, failures


def _check_alike(case: Case, others: Sequence[ReadCase]) -> None:
    """Refuse a volume among images, and an image among volumes: no mean would be of one kind."""
    if others and others[0].case.is_volume != case.is_volume:
        kinds = ("an image", "a volume")
        raise UserError(
            f"{case.name!r} is {kinds[case.is_volume]}, {others[0].case.name!r} "
            f"{kinds[not case.is_volume]}; due is one kind. Score them in two folders."
        )


def _with_spacing_of_file(
    case: Case, image: Path, mask: Path
) -> tuple[Case, tuple[float, ...] | None]:
    """Return a case with the spacing of its file where the table has none, and what it overrules.

    How far slices are apart is in no file of one of them: theirs is that of the table alone.
    """
    if case.is_known:
        return case, _overruled(case, image_spacing(image))
    told = None if case.is_volume else image_spacing(image, mask)
    return (replace(case, spacing=told, is_known=True) if told else case), None


def _overruled(case: Case, told: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Return what a file says of the last axes of a case, if that is not what the table says."""
    return told if told and not is_near(case.spacing[-len(told) :], told) else None


def _read_volume(
    table: PairTable, case: Case, files: tuple[Path, Path], distances: bool
) -> ReadCase:
    """Return the file of a volume as a case; of one slice it is an image, as surfaces have it."""
    pair = case.pairs[0]
    truth = read_volume_truth(*files)
    if pair.spacing:
        spacing: tuple[float, ...] | None = _three(pair, f"{TABLE}, line {pair.line}")
    else:
        spacing = truth.spacing
    if spacing is None and distances and len(truth.values) > 1:
        raise UserError(
            f"Volume {pair.name!r} does not say how far apart its voxels are. Write spacing_mm "
            f"(slices|rows|columns) into {TABLE}, or say --no-distances."
        )
    case = replace(case, spacing=spacing or (1.0,) * 3, is_known=spacing is not None)
    overruled = _overruled(case, truth.spacing) if pair.spacing else None
    classes = table.classes_of(truth.values, pair)
    if len(classes) == 1:
        case, classes = replace(case, spacing=case.spacing[1:]), classes[0]
    return ReadCase(case, (), classes, files[0], overruled)


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
    first = pairs[0]
    return Case(name, first.group, tuple(pairs), _three(first, where), first.spacing is not None)


def _three(pair: Pair, where: str) -> tuple[float, ...]:
    """Return the spacing of slices, rows and columns."""
    steps = pair.spacing or (1.0,)
    if len(steps) == 2:
        text = "|".join(f"{step:g}" for step in steps)
        raise UserError(
            f"{where} has spacing_mm {text!r}; due are three numbers, of slices, rows and columns, "
            "or one for all."
        )
    return steps * 3 if len(steps) == 1 else steps


def _check_even(where: str, places: Sequence[float]) -> None:
    """Refuse a volume with slices missing or twice: its distances would be those of another."""
    steps = np.diff(places)
    if len(steps) and (steps.min() <= 0 or np.ptp(steps) > _EVEN * steps.max()):
        raise UserError(
            f"{where} has slices at z {', '.join(f'{place:g}' for place in places[:6])}"
            f"{', ...' if len(places) > 6 else ''}; due are even steps, each once."
        )
