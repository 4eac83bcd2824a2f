"""Convert the regions of a GeoJSON file: counts and areas per class, a mask, GeoJSON again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never

if TYPE_CHECKING:
    from napari_medssl.io.geojson import Feature

MAX_MASK_PIXELS = 200_000_000
_FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}


@dataclass(frozen=True)
class RegionsConfig:
    """Count, measure or draw the regions of a slide."""

    to: Literal["geojson", "csv", "mask"] = option(
        help="GeoJSON for QuPath, a table of counts and areas per class, or a mask of classes."
    )
    mpp: float | None = option(
        None, help="Microns per pixel of level 0, for mm²; that of --slide if not given.", min=1e-6
    )
    slide: Path | None = option(
        None, help="The slide that the regions belong to: tells mpp and the size of the mask."
    )
    downsample: float = option(
        32.0, help="Pixels of level 0 along a side of a mask pixel.", min=1.0
    )


@dataclass(frozen=True, slots=True)
class ClassTotal:
    """How many regions a class has, "" is none, and their area in px² and mm².

    Areas of regions that overlap count once for each region; lines and points have none.
    """

    name: str
    count: int
    area_px: float
    area_mm2: float | None


@dataclass(frozen=True, slots=True)
class RegionsReport:
    """What was read and written. `failures` are lines of broken features, `notes` oddities."""

    totals: tuple[ClassTotal, ...]
    written: tuple[Path, ...]
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def convert_regions(
    source: Path,
    out: Path,
    config: RegionsConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> RegionsReport:
    """Read a GeoJSON file, write what the config asks for, and count per class.

    A mask is a picture (.png or .tif) with class numbers from 1 in it, 0 where no region is, and
    a legend beside it with the suffix .json. Smaller regions are drawn over larger ones.

    Raises
    ------
    UserError
        If the file or the slide cannot be read, the mask would be too large, or `out` cannot be
        written; nothing is written then.
    Cancelled
        If `should_stop` said so; nothing is written then.
    """
    from napari_medssl.io.files import write_all_whole, write_whole
    from napari_medssl.io.geojson import flatten, read_geojson, write_geojson

    found = read_geojson(source)
    features = list(flatten(found.features))
    size, mpp = _slide_facts(config)
    totals = count_classes(features, mpp)
    notes = list(found.notes)
    written: tuple[Path, ...] = (out,)
    if config.to == "geojson":
        # One that is a collection already is kept so: hierarchy and other members too.
        write_geojson(found.features, out, like=found if found.form == "collection" else None)
    elif config.to == "csv":
        write_whole(out, _table(totals))
    else:
        kind = _mask_kind(out)
        flat = sum(not feature.roi.has_inside for feature in features)
        if flat:
            notes.append(f"{source.name}: {flat} lines and points are not in the mask")
        shape = _mask_shape(features, size, config.downsample)
        names = [total.name for total in totals]
        mask = draw_mask(
            features, names, shape, config.downsample,
            on_progress=on_progress, should_stop=should_stop,
        )  # fmt: skip
        legend = _legend(features, names, config, shape)
        written = (out, out.with_suffix(".json"))
        write_all_whole({written[1]: legend, out: _encode(mask, kind)})
    return RegionsReport(totals, written, found.failures, tuple(notes))


def count_classes(
    features: Iterable[Feature], mpp: tuple[float, float] | None = None
) -> tuple[ClassTotal, ...]:
    """Return the totals of each class in order of the names, those without a class last.

    `mpp` are microns per pixel `(x, y)`; without it there is no area in mm².
    """
    counts: dict[str, int] = {}
    areas: dict[str, float] = {}
    for feature in features:
        name = feature.class_name
        area = feature.roi.area() if feature.roi.has_inside else 0.0
        counts[name] = counts.get(name, 0) + 1
        areas[name] = areas.get(name, 0.0) + area
    unit = None if mpp is None else mpp[0] * mpp[1] / 1e6
    return tuple(
        ClassTotal(name, counts[name], areas[name], None if unit is None else areas[name] * unit)
        for name in sorted(counts, key=lambda name: (not name, name))
    )


def draw_mask(
    features: Iterable[Feature],
    names: list[str],
    shape: tuple[int, int],
    downsample: float,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> np.ndarray:
    """Return a mask (Y, X) with 1 for the first class of `names`, 0 where there is no region.

    It is uint8, or uint16 for more than 255 classes.
    """
    from napari_medssl.backend.class_mask import fill

    if len(names) > np.iinfo(np.uint16).max:
        raise UserError(f"{len(names)} classes are more than the 65535 that a mask can hold.")
    numbers = {name: number for number, name in enumerate(names, start=1)}
    mask = np.zeros(shape, dtype=np.uint8 if len(names) < 256 else np.uint16)
    areas = [feature for feature in features if feature.roi.has_inside]
    areas.sort(key=lambda feature: -feature.roi.area())  # stable: file order among equals
    for done, feature in enumerate(areas):
        if should_stop():
            raise Cancelled
        on_progress(Progress(done, len(areas), "drawing"))
        value = numbers[feature.class_name]
        fill(mask, feature.roi.shape, value, downsample, should_stop=should_stop)
    return mask


def _slide_facts(
    config: RegionsConfig,
) -> tuple[tuple[int, int] | None, tuple[float, float] | None]:
    """Return the size of level 0 and mpp, both `(x, y)`, as far as they are known."""
    size, mpp = None, None
    if config.slide is not None:
        from napari_medssl.io.slides import open_slide

        with open_slide(config.slide) as slide:
            size, mpp = slide.dimensions, slide.mpp
    if config.mpp is not None:
        mpp = (config.mpp, config.mpp)
    return size, mpp


def _mask_kind(out: Path) -> str:
    """Return the picture format of a mask file; UserError if the name tells none."""
    kind = _FORMATS.get(out.suffix.lower())
    if kind is None:
        raise UserError(
            f"Cannot write a mask to {str(out)!r}: a name that ends in .png, .tif or .tiff is due."
        )
    return kind


def _mask_shape(
    features: list[Feature], size: tuple[int, int] | None, downsample: float
) -> tuple[int, int]:
    """Return rows and columns of the mask: the slide, else up to the furthest region."""
    if size is None:
        bounds = [feature.roi.shape.bounds for feature in features if feature.roi.has_inside]
        size = (
            max((math.ceil(b[2]) for b in bounds), default=0),
            max((math.ceil(b[3]) for b in bounds), default=0),
        )
    width, height = (max(1, math.ceil(side / downsample)) for side in size)
    if width * height > MAX_MASK_PIXELS:
        enough = math.ceil(downsample * math.sqrt(width * height / MAX_MASK_PIXELS))
        raise UserError(
            f"The mask would be {width} x {height} pixels; the limit is "
            f"{MAX_MASK_PIXELS // 1_000_000} megapixels. Give --downsample {enough} or more."
        )
    return height, width


def _table(totals: Iterable[ClassTotal]) -> str:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("class", "count", "area_px", "area_mm2"))
    for total in totals:
        mm2 = "" if total.area_mm2 is None else f"{total.area_mm2:.6g}"
        rows.writerow((total.name, total.count, f"{total.area_px:.10g}", mm2))
    return text.getvalue()


def _legend(
    features: list[Feature], names: list[str], config: RegionsConfig, shape: tuple[int, int]
) -> bytes:
    """Return the JSON text that tells the classes of a mask."""
    colors: dict[str, Any] = {}
    for feature in features:
        if feature.class_color is not None:
            colors.setdefault(feature.class_name, list(feature.class_color))
    content = {
        "downsample": config.downsample,
        "width": shape[1],
        "height": shape[0],
        "classes": [
            {"value": value, "name": name, "color": colors.get(name)}
            for value, name in enumerate(names, start=1)
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def _encode(mask: np.ndarray, kind: str) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    options = {"compression": "tiff_deflate"} if kind == "TIFF" else {}
    Image.fromarray(mask).save(content, kind, **options)
    return content.getvalue()
