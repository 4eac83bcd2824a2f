"""What the metadata of an OME-Zarr store (0.1 to 0.5) says of its image.

Only what a slide needs is read: axes, the levels, the size of a pixel. Everything is checked before
an array is opened; names of levels stay inside the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.slides.level_slide import MAX_LEVELS, plausible_mpp
from napari_medssl.io.slides.places import is_inside

_OLD_AXES = ("t", "c", "z", "y", "x")  # versions 0.1 and 0.2 name none
_MICRONS = {
    "micrometer": 1.0,
    "micron": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "nanometer": 1e-3,
    "nm": 1e-3,
    "millimeter": 1e3,
    "mm": 1e3,
    "centimeter": 1e4,
    "cm": 1e4,
    "meter": 1e6,
    "m": 1e6,
    "angstrom": 1e-4,
}


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of a store.

    Attributes
    ----------
    axes
        Names of the axes, such as ("c", "y", "x"), each once, with y and x among them.
    paths
        Places of the levels below the image, the full size first.
    scales
        Size of a pixel of each level along (x, y), in the unit of level 0; (1, 1) if not said.
    mpp
        Microns per level-0 pixel, (x, y), None where no unit is named.
    whole_scale
        Size of a pixel of level 0 along each axis, in its unit.
    units
        Of each axis, None where none is named.
    """

    axes: tuple[str, ...]
    paths: tuple[str, ...]
    scales: tuple[tuple[float, float], ...]
    mpp: tuple[float, float] | None
    whole_scale: tuple[float, ...]
    units: tuple[str | None, ...]


def first_image_path(name: str, attributes: Mapping[str, Any]) -> str:
    """Return where below a group its image lies: "" for itself, "0" for the first series.

    Parameters
    ----------
    name
        Of the store, for messages.
    attributes
        Of the group.

    Raises
    ------
    UserError
        If the group is a plate, a well or something else without an image.
    """
    ome = _ome(attributes)
    if "plate" in ome or "well" in ome:
        raise UserError(
            f"Cannot open {name!r} as a slide: it is a plate of many images. "
            f"Give one of them, such as {_plate_example(name, ome)!r}."
        )
    if "multiscales" in ome:
        return ""
    if ome.get("bioformats2raw.layout") == 3:
        return "0"  # the others may be label and macro
    hint = "; it is a SpatialData store, not a slide" if "spatialdata_attrs" in attributes else ""
    raise UserError(
        f"Cannot open {name!r} as a slide: it holds no OME-Zarr image (no 'multiscales' in its "
        f"attributes){hint}."
    )


def read_ome_image(name: str, attributes: Mapping[str, Any]) -> OmeImage:
    """Return what the attributes of an image group say.

    Raises
    ------
    UserError
        If they are damaged, or name levels outside the store.
    """
    listed = _ome(attributes).get("multiscales")
    if not (isinstance(listed, list) and listed and isinstance(listed[0], dict)):
        raise _damaged(name, f"'multiscales' is {_shown(listed)}; due is a list of images")
    multiscale = listed[0]
    axes, units = _axes(name, multiscale)
    datasets = multiscale.get("datasets")
    if not (isinstance(datasets, list) and 1 <= len(datasets) <= MAX_LEVELS):
        raise _damaged(name, f"'datasets' is {_shown(datasets)}; due is a list of 1 to 64 levels")
    whole = _scale(name, multiscale, len(axes))
    paths, scales, every = [], [], []
    for dataset in datasets:
        paths.append(_path(name, dataset))
        scale = _scale(name, dataset, len(axes))
        both = [a * b for a, b in zip(scale, whole, strict=True)]
        every.append(tuple(both))
        scales.append((both[axes.index("x")], both[axes.index("y")]))
    named = tuple(unit if isinstance(unit, str) else None for unit in units)
    mpp = _mpp(scales[0], axes, units)
    return OmeImage(axes, tuple(paths), tuple(scales), mpp, every[0], named)


def microns_of(unit: str | None) -> float | None:
    """Return how many microns a unit of length is, None if it is none that we know."""
    return _MICRONS.get(str(unit).lower())


def _ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the OME part: under "ome" since 0.5, the attributes themselves before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def _axes(name: str, multiscale: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Any]]:
    listed = multiscale.get("axes")
    if listed is None and str(multiscale.get("version", "0.1")) in ("0.1", "0.2"):
        return _OLD_AXES, [None] * len(_OLD_AXES)
    if not isinstance(listed, list):
        raise _damaged(name, f"'axes' is {_shown(listed)}; due is a list")
    # 0.3 has plain names, later versions have objects.
    names = [axis.get("name") if isinstance(axis, dict) else axis for axis in listed]
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in listed]
    texts = [text.lower() for text in names if isinstance(text, str)]
    known = set(texts) <= {"t", "c", "z", "y", "x"} and {"y", "x"} <= set(texts)
    if len(texts) != len(names) or len(set(texts)) != len(texts) or not known:
        raise _damaged(
            name, f"its axes are {_shown(names)}; due are y and x, each once, with t, c or z"
        )
    return tuple(texts), units


def _path(name: str, dataset: object) -> str:
    path = dataset.get("path") if isinstance(dataset, dict) else None
    if not isinstance(path, str) or not path:
        raise _damaged(name, f"a level has the path {_shown(path)}; due is a name")
    if not is_inside(path):
        raise _damaged(name, f"a level has the path {path[:80]!r}, which leads outside it")
    return path


def _scale(name: str, owner: Mapping[str, Any], count: int) -> list[float]:
    """Return the product of the scales of one level or of the whole image, one for each axis."""
    listed = owner.get("coordinateTransformations") or []
    if not isinstance(listed, list):
        raise _damaged(name, f"'coordinateTransformations' is {_shown(listed)}; due is a list")
    result = [1.0] * count
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("type") != "scale":
            continue
        scale = entry.get("scale")
        if not isinstance(scale, list) or len(scale) != count:
            raise _damaged(
                name, f"a scale is {_shown(scale)}; due are {count} numbers, one for each axis"
            )
        numbers = [float(s) for s in scale if isinstance(s, (int, float)) and math.isfinite(s)]
        if len(numbers) != count or min(numbers) <= 0:
            raise _damaged(name, f"a scale is {_shown(scale)}; due are numbers above 0")
        result = [a * b for a, b in zip(result, numbers, strict=True)]
    return result


def _mpp(
    scale: tuple[float, float], axes: tuple[str, ...], units: list[Any]
) -> tuple[float, float] | None:
    factors = [_MICRONS.get(str(units[axes.index(axis)]).lower()) for axis in ("x", "y")]
    if factors[0] is None or factors[1] is None:
        return None
    return plausible_mpp(scale[0] * factors[0], scale[1] * factors[1])


def _plate_example(name: str, ome: Mapping[str, Any]) -> str:
    """Return the place of an image of a plate, for the message."""
    plate = ome.get("plate")
    wells = plate.get("wells") if isinstance(plate, dict) else None
    first = wells[0].get("path") if isinstance(wells, list) and wells and wells[0] else None
    return f"{name}/{first}/0" if isinstance(first, str) and is_inside(first) else f"{name}/A/1/0"


def _damaged(name: str, what: str) -> UserError:
    return UserError(f"Cannot open {name!r}: {what}. Its OME-Zarr metadata is damaged.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
