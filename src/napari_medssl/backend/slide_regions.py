"""Regions of slides as pictures of a size of pixel that a person chose, written into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.io.files import make_folder
from napari_medssl.io.region_pictures import (
    SlideRecord,
    read_region_record,
    write_region_picture,
)
from napari_medssl.io.slide_rectangles import MAX_SIDE, Box, read_rectangle
from napari_medssl.io.slides import Slide, open_slide

MOST_REGIONS = 200
"""Regions that are taken at once."""

_STEPS = 100  # of the progress of a region
_READING = 20  # of these; the rest is compressing, which does not say how far it is
_AS_IT_IS = 1.002  # level-0 pixels: a size of pixel that was typed is rounded


@dataclass(frozen=True, slots=True)
class SlideRegion:
    """A rectangle of a slide.

    Attributes
    ----------
    name
        What the slide is called; a short name where names are hidden.
    fingerprint
        Of the slide, "" if it is not known.
    places
        Paths and URLs where it may lie.
    box
        `(x0, y0, x1, y1)` in level-0 pixels.
    """

    name: str
    fingerprint: str
    places: tuple[str, ...]
    box: Box


@dataclass(frozen=True, slots=True)
class RegionPicture:
    """A picture that was written, its name for people and its place."""

    path: Path
    name: str
    record: SlideRecord


@dataclass(frozen=True, slots=True)
class _Run:
    """What all regions of a run share; `fresh` are the files that it wrote."""

    slides: OpenSlides
    pixel_um: float
    folder: Path
    fresh: list[Path]


@dataclass(frozen=True, slots=True)
class _Watch:
    """Tells how far a region has come; raises `Cancelled` if that is asked for."""

    words: str
    before: int
    total: int
    on_progress: OnProgress
    should_stop: ShouldStop

    def stop_if_asked(self) -> None:
        if self.should_stop():
            raise Cancelled

    def tell(self, rows: int, height: int) -> None:
        self.stop_if_asked()
        step = _STEPS * self.before + _READING * rows // height
        self.on_progress(Progress(step, _STEPS * self.total, self.words))


def region_name(name: str, place: str) -> str:
    """Return what a slide is called in the names of its regions: without the ending of its file."""
    return name.removesuffix(PurePosixPath(place).suffix).removesuffix(".ome") or name


def write_regions(
    regions: Sequence[SlideRegion],
    pixel_um: float,
    folder: Path,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[RegionPicture]:
    """Write regions as PNG files, all or none; one that is there already is not written again.

    Asked to stop, also within a region, it leaves those that are finished and returns them.

    Parameters
    ----------
    regions
        What is taken.
    pixel_um
        Size of a pixel in microns; that of the slide where it is larger. Of slides that do not say
        how large their pixels are it is how many of them make a pixel, at least 1.
    folder
        Where to; it is made if it is missing.

    Raises
    ------
    UserError
        If a slide is not there or cannot be read, a picture would be too large, or nothing can be
        written.
    """
    if len(regions) > MOST_REGIONS:
        raise UserError(
            f"{len(regions)} regions came; at most {MOST_REGIONS} are taken at once. Select fewer."
        )
    make_folder(folder)
    run = _Run(OpenSlides(), pixel_um, folder, [])
    made: list[RegionPicture] = []
    total = len(regions)
    try:
        for number, region in enumerate(regions):
            words = f"reading region {number + 1} of {total}"
            made.append(_write(run, region, _Watch(words, number, total, on_progress, should_stop)))
        on_progress(Progress(_STEPS * total, _STEPS * total, "done"))
    except Cancelled:
        return made
    except BaseException:
        for path in run.fresh:
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        run.slides.close()
    return made


def _write(run: _Run, region: SlideRegion, watch: _Watch) -> RegionPicture:
    watch.tell(0, 1)
    slide = _opened(run.slides, region)
    try:
        record = _record(slide, region, run.pixel_um)
        size = _size(region, record)
        path = _place(run.folder, region, record, size)
        if not path.exists():
            x1, y1 = record.x + size[0] * record.step_x, record.y + size[1] * record.step_y
            box = (record.x, record.y, x1, y1)
            pixels = read_rectangle(slide, box, size, on_rows=watch.tell)
            write_region_picture(path, pixels, record, on_part=watch.stop_if_asked)
            run.fresh.append(path)
    finally:
        if not region.fingerprint:
            slide.close()
    return RegionPicture(path, path.name, record)


def _opened(slides: OpenSlides, region: SlideRegion) -> Slide:
    try:
        if region.fingerprint:
            return slides.find(region.fingerprint, region.places)
        return open_slide(region.places[0])
    except UserError as error:
        text = str(error)
        for place in region.places:
            if region.name not in place:  # its name is hidden
                text = text.replace(place, region.name)
        raise UserError(text) from error


def _record(slide: Slide, region: SlideRegion, pixel_um: float) -> SlideRecord:
    mpp = slide.mpp
    steps = [pixel_um / side for side in mpp or (1.0, 1.0)]
    step_x, step_y = (step if step > _AS_IT_IS else 1.0 for step in steps)
    where = (region.box[0], region.box[1], step_x, step_y)
    return SlideRecord(region.name, slide.fingerprint, *where, *(mpp or (None, None)))


def _size(region: SlideRegion, record: SlideRecord) -> tuple[int, int]:
    """Return width and height in pixels: the nearest whole ones, so that pixels keep their size."""
    x0, y0, x1, y1 = region.box
    width = max(1, round((x1 - x0) / record.step_x))
    height = max(1, round((y1 - y0) / record.step_y))
    if max(width, height) > MAX_SIDE:
        raise UserError(
            f"A region of {region.name!r} is {width} x {height} pixels of that size; due is at "
            f"most {MAX_SIDE} a side. Choose larger pixels, or draw a smaller region."
        )
    return width, height


def _place(folder: Path, region: SlideRegion, record: SlideRecord, size: tuple[int, int]) -> Path:
    """Return the file of a region: one that holds it already, else one that is free."""
    clean = "".join(c if c.isalnum() or c in "-_ " else "_" for c in region.name).strip()
    stem = f"{clean or 'slide'} x{record.x:.0f} y{record.y:.0f} {size[0]}x{size[1]}"
    path, number = folder / f"{stem}.png", 1
    while path.exists() and read_region_record(path) != record:
        number += 1
        path = folder / f"{stem} {number}.png"
    return path
