"""Segment pictures and write one picture of class numbers for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.segmenters import SegmentConfig, Segmenter, load_segmenter
from napari_medssl.io.class_files import class_png
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.images import ImageRef, read_image


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What became of some pictures.

    Attributes
    ----------
    model, classes
        Name of the model, and of its classes 1, 2 and so on.
    written
        Files.
    failures
        (name, reason) of pictures that could not be segmented.
    left
        How many were not begun when it was stopped.
    """

    model: str
    classes: tuple[str, ...]
    written: tuple[Path, ...]
    failures: tuple[tuple[str, str], ...]
    left: int = 0


def places_of(refs: Sequence[ImageRef], out: Path) -> tuple[Path, ...]:
    """Return the file that each picture's classes go to: its STEM.png in the folder `out`.

    Raises
    ------
    UserError
        If two pictures would share a file, or one would be overwritten.
    """
    taken: dict[str, ImageRef] = {}
    for ref in refs:
        stem = _stem(ref)
        other = taken.setdefault(f"{stem}.png".casefold(), ref)
        if other is not ref:
            raise UserError(
                f"{str(other.path)!r} and {str(ref.path)!r} would both be written to "
                f"{stem + '.png'!r}. Segment them into two folders."
            )
    places = tuple(out / f"{_stem(ref)}.png" for ref in refs)
    sources = {ref.path.resolve() for ref in refs}
    for place in places:
        if place.resolve() in sources:
            raise UserError(
                f"--out {str(out)!r} would overwrite the picture {place.name!r}. Name another "
                "folder."
            )
    return places


def places_apart(refs: Sequence[ImageRef], out: Path) -> tuple[Path, ...]:
    """Return a file in `out` for each picture: STEM.png, or more where two share that.

    "OD/001.png" and "OS/001.png" go to "OD_001.png" and "OS_001.png", "a.png" and "a.jpg" to
    "a_png.png" and "a_jpg.png". Unlike `places_of` it never refuses pictures for their names.

    Raises
    ------
    UserError
        If one of the pictures would be overwritten.
    """
    names = [_stem(ref) for ref in refs]
    for longer in (_with_folder, _with_suffix, _with_both):
        shared = _shared(names)
        names = [
            longer(ref) if name.casefold() in shared else name
            for name, ref in zip(names, refs, strict=True)
        ]
    taken: dict[str, int] = {}
    for at, name in enumerate(names):
        number = taken[name.casefold()] = taken.get(name.casefold(), 0) + 1
        names[at] = name if number == 1 else f"{name} ({number})"
    places = tuple(out / f"{name}.png" for name in names)
    sources = {ref.path.resolve() for ref in refs}
    for place in places:
        if place.resolve() in sources:
            raise UserError(
                f"{place.name!r} in {str(out)!r} is one of your images and would be overwritten. "
                "Choose another folder."
            )
    return places


def _shared(names: Sequence[str]) -> set[str]:
    counts = Counter(name.casefold() for name in names)
    return {name for name, count in counts.items() if count > 1}


def _stem(ref: ImageRef) -> str:
    return ref.path.stem if ref.page is None else f"{ref.path.stem}-p{ref.page}"


def _with_folder(ref: ImageRef) -> str:
    return f"{ref.path.parent.name}_{_stem(ref)}" if ref.path.parent.name else _stem(ref)


def _with_suffix(ref: ImageRef) -> str:
    return f"{_stem(ref)}_{ref.path.suffix[1:]}"


def _with_both(ref: ImageRef) -> str:
    return f"{_with_folder(ref)}_{ref.path.suffix[1:]}"


def segment_files(
    refs: Sequence[ImageRef],
    out: Path,
    config: SegmentConfig,
    *,
    segmenter: Segmenter | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SegmentReport:
    """Segment pictures; write the class of each pixel to STEM.png in `out`, grey of 8 bits.

    A picture that cannot be read is a failure, and the rest goes on. `segmenter` replaces the one
    that `config` names.

    Raises
    ------
    UserError
        If the model or the folder cannot be used, see also `places_of`.
    """
    check(config)
    places = places_of(refs, out)
    chosen = segmenter or load_segmenter(config)
    make_folder(out)
    written: list[Path] = []
    failures: list[tuple[str, str]] = []
    for number, (ref, place) in enumerate(zip(refs, places, strict=True)):
        if should_stop():
            left = len(refs) - number
            return SegmentReport(chosen.name, chosen.classes, tuple(written), tuple(failures), left)
        on_progress(Progress(number, len(refs), ref.name))
        try:
            classes = chosen.segment(read_image(ref, robust=True))
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue
        write_whole(place, class_png(classes))
        written.append(place)
    on_progress(Progress(len(refs), len(refs), "done"))
    return SegmentReport(chosen.name, chosen.classes, tuple(written), tuple(failures))
