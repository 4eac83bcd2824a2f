"""Segment pictures and volumes, and write the class numbers of each in its own format.

A PNG file is written for each picture, but TIFF for TIFF; a volume (`io.volumes`) gets one of its
kind, with its spacing and place in space, slice by slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.segment_volume import segment_volume
from napari_medssl.backend.segmenters import SegmentConfig, Segmenter, load_segmenter
from napari_medssl.io.class_files import class_png
from napari_medssl.io.class_formats import mask_stem, picture_stem
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.volumes import is_nifti, is_zarr, open_volume, volume_kind

_TIFF = (".tif", ".tiff")


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
    """Return the file in the folder `out` that each picture's classes go to.

    STEM.png; the name of the picture for those of TIFF, NIfTI and zarr, which keep their format,
    with "-p3" for page 3 alone.

    Raises
    ------
    UserError
        If two pictures would share a file, or one would be overwritten.
    """
    taken: dict[str, ImageRef] = {}
    for ref in refs:
        name = _name_of_mask(ref)
        other = taken.setdefault(name.casefold(), ref)
        if other is not ref:
            raise UserError(
                f"{str(other.path)!r} and {str(ref.path)!r} would both be written to {name!r}. "
                "Segment them into two folders."
            )
    places = tuple(out / _name_of_mask(ref) for ref in refs)
    sources = {ref.path.resolve() for ref in refs}
    for place in places:
        if place.resolve() in sources:
            raise UserError(
                f"--out {str(out)!r} would overwrite the picture {place.name!r}. Name another "
                "folder."
            )
    return places


def places_apart(refs: Sequence[ImageRef], out: Path, suffix: str = ".png") -> tuple[Path, ...]:
    """Return a file in `out` for each picture: STEM.png, or more where two share that.

    "OD/001.png" and "OS/001.png" go to "OD_001.png" and "OS_001.png", "a.png" and "a.jpg" to
    "a_png.png" and "a_jpg.png". Unlike `places_of` it never refuses pictures for their names.

    Raises
    ------
    UserError
        If one of the pictures would be overwritten.
    """
    names = [picture_stem(ref) for ref in refs]
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
    places = tuple(out / f"{name}{suffix}" for name in names)
    sources = {ref.path.resolve() for ref in refs}
    for place in places:
        if place.resolve() in sources:
            raise UserError(
                f"{place.name!r} in {str(out)!r} is one of your images and would be overwritten. "
                "Choose another folder."
            )
    return places


def _name_of_mask(ref: ImageRef) -> str:
    name = ref.path.name
    if is_nifti(ref.path):
        return f"{picture_stem(ref)}{name[len(mask_stem(ref.path)) :]}"
    if ref.page is None and is_zarr(ref.path):
        return name if ref.path.suffix.lower() == ".zarr" else f"{name}.zarr"
    if ref.path.suffix.lower() in _TIFF:
        return name if ref.page is None else f"{picture_stem(ref)}{ref.path.suffix}"
    return f"{picture_stem(ref)}.png"


def _shared(names: Sequence[str]) -> set[str]:
    counts = Counter(name.casefold() for name in names)
    return {name for name, count in counts.items() if count > 1}


def _with_folder(ref: ImageRef) -> str:
    return (
        f"{ref.path.parent.name}_{picture_stem(ref)}" if ref.path.parent.name else picture_stem(ref)
    )


def _with_suffix(ref: ImageRef) -> str:
    return f"{picture_stem(ref)}_{ref.path.suffix[1:]}"


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
    """Segment pictures and volumes; write the class of each pixel to the files of `places_of`.

    What cannot be read is a failure, and the rest goes on. Progress is by slices, of which a
    picture is one. `segmenter` replaces the one that `config` names.

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
    counts = [_count_slices(ref) for ref in refs]
    for number, (ref, place) in enumerate(zip(refs, places, strict=True)):
        work = _Work(chosen, sum(counts[:number]), sum(counts), on_progress, should_stop)
        try:
            work.segment(ref, place)
        except Cancelled:
            left = len(refs) - number
            return SegmentReport(chosen.name, chosen.classes, tuple(written), tuple(failures), left)
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue
        written.append(place)
    on_progress(Progress(sum(counts), sum(counts), "done"))
    return SegmentReport(chosen.name, chosen.classes, tuple(written), tuple(failures))


def _is_volume(ref: ImageRef) -> bool:
    return ref.page is None and volume_kind(ref.path) is not None


def _count_slices(ref: ImageRef) -> int:
    """Return how many slices there are to segment; 1 for what turns out to be damaged."""
    try:
        if not _is_volume(ref):
            return 1
        with open_volume(ref.path) as volume:
            return volume.shape[0]
    except UserError:
        return 1


@dataclass(frozen=True, slots=True)
class _Work:
    """Segments one input, the first slice of which is number `done` of `total` in all."""

    segmenter: Segmenter
    done: int
    total: int
    on_progress: OnProgress
    should_stop: ShouldStop

    def segment(self, ref: ImageRef, place: Path) -> None:
        """Write the mask of a picture or volume, whole or not at all."""
        self._tell(0, ref.name)
        legend = ClassLegend(dict(enumerate(self.segmenter.classes, start=1)))
        if _is_volume(ref):
            with open_volume(ref.path) as volume:
                volume.write_classes(
                    place,
                    segment_volume(
                        self.segmenter, volume, on_slice=self._tell, should_stop=self.should_stop
                    ),
                    legend,
                )
            return
        pixels = read_image(ref, robust=True)
        classes = self.segmenter.segment(pixels, should_stop=self.should_stop)
        if is_nifti(ref.path):
            from napari_medssl.io.volumes.nifti import NiftiVolume

            with NiftiVolume(ref.path) as volume:
                volume.write_slice(place, classes, (ref.page or 1) - 1, legend)
            return
        if place.suffix.lower() not in _TIFF:
            write_whole(place, class_png(classes))
            return
        from napari_medssl.io.volumes.tiff_stack import write_class_tiff

        write_class_tiff(place, classes, like=ref.path, legend=legend)

    def _tell(self, slices: int, message: str) -> None:
        if self.should_stop():
            raise Cancelled
        self.on_progress(Progress(self.done + slices, self.total, message))
