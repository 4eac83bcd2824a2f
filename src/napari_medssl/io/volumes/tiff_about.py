"""What ImageJ's and OME's metadata of a TIFF file say: slices, channels, the size of a pixel.

OME's are read by ourselves, for tifffile trusts them. The resolution of a page by itself is no size
of a pixel: most programs write that of a screen or a printer there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from napari_medssl.io.volumes.volume import Spacing, plausible_spacing

_MOST_XML = 2**22
_INCHES = ("inch", "in")
_TO_MM = {
    **dict.fromkeys(("m", "meter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 10.0),
    **dict.fromkeys(("mm", "millimeter"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("nm", "nanometer"), 1e-6),
    **dict.fromkeys(_INCHES, 25.4),
}


@dataclass(frozen=True, slots=True)
class TiffAbout:
    """What the metadata of a file say.

    Attributes
    ----------
    kind
        "imagej", "ome" or "".
    depth
        Slices of the volume that the pages are; 0 if they are something else.
    spacing_mm
        Distance of slices, rows and columns.
    pixel_mm
        Distance of pixels `(x, y)`; also where that of slices is not known.
    metadata
        What a mask keeps.
    """

    kind: str
    depth: int
    spacing_mm: Spacing | None = None
    pixel_mm: tuple[float, float] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def read_about(file: Any, count: int) -> TiffAbout:
    """Return what the metadata of a `tifffile.TiffFile` of so many pages say."""
    first = file.pages[0]
    text = str(first.description or "")
    if text.rstrip().endswith("</OME>") or "<OME " in text[:2000]:
        return _about_ome(text, count)
    if first.is_imagej:
        return _about_imagej(file, first, count)
    return TiffAbout("", count)


def _about_imagej(file: Any, page: Any, count: int) -> TiffAbout:
    told = file.imagej_metadata or {}
    unit = str(told.get("unit", "")).lower()
    factor, across, down = _TO_MM.get(unit), page.tags.valueof(282), page.tags.valueof(283)
    spacing = None
    if factor and is_ratio(across) and is_ratio(down):
        z = told.get("spacing")
        step = float(z) if isinstance(z, int | float) else 1.0
        x, y = across[1] / across[0], down[1] / down[0]
        spacing = plausible_spacing(abs(step) * factor, y * factor, x * factor)
    # ImageJ says inches of a picture whose file had the dots per inch of a screen.
    pixel = None if spacing is None or unit in _INCHES else spacing[:0:-1]
    channels, depth, frames = (_whole(told.get(k), 1) for k in ("channels", "slices", "frames"))
    if channels > 1 or (depth > 1 and frames > 1):
        return TiffAbout("imagej", 0, None, pixel)
    kept = {key: told[key] for key in ("spacing", "unit") if key in told}
    total = _whole(told.get("images"), count)
    return TiffAbout("imagej", total if count == 1 else count, spacing, pixel, kept)


def _about_ome(text: str, count: int) -> TiffAbout:
    from defusedxml import ElementTree

    try:
        root = ElementTree.fromstring(text) if len(text) <= _MOST_XML else None
    except Exception:  # pixels can be read without
        root = None
    found = [] if root is None else [e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"]
    if len(found) != 1:
        return TiffAbout("", count)
    pixels = found[0].attrib
    kept: dict[str, Any] = {}
    sides = []
    for axis in "ZYX":
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        unit = str(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size and unit.lower() in _TO_MM:
            kept |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
        sides.append(size * _TO_MM.get(unit.lower(), 0.0))
    flat = plausible_spacing(1.0, *sides[1:])
    pixel = None if flat is None else flat[:0:-1]
    channels, depth, frames = (_whole(pixels.get(f"Size{axis}"), 0) for axis in "CZT")
    if channels not in (1, 3) or depth * frames != count or (depth > 1 and frames > 1):
        return TiffAbout("ome", 0, None, pixel)
    return TiffAbout("ome", count, plausible_spacing(*sides), pixel, kept)


def _whole(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else default


def _number(text: object) -> float:
    try:
        value = float(str(text))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def is_ratio(value: object) -> bool:
    """Say whether a tag holds one number above 0, as counter and denominator."""
    if not (isinstance(value, tuple) and len(value) == 2):
        return False
    return all(isinstance(part, int) and part > 0 for part in value)
