"""One unit for all distances of an evaluation: a mean of mm and pixels would be of nothing.

It is mm where the size of a pixel is known of every image, or volume, else pixels for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_medssl.backend.labelled_pairs import some_names
from napari_medssl.backend.segmentation_cases import ReadCase
from napari_medssl.backend.segmentation_data import TABLE
from napari_medssl.backend.segmentation_volumes import sides_text


def in_one_unit(
    cases: Sequence[ReadCase], distances: bool
) -> tuple[list[ReadCase], str, tuple[str, ...]]:
    """Return cases whose spacings are all of one unit, that unit, and warnings.

    Parameters
    ----------
    distances
        Whether there will be any; without them there is nothing to warn of.

    Returns
    -------
    cases
        As they came, or, where the unit is "pixels", with a spacing of 1 along each axis.
    unit
        "mm" or "pixels".
    warnings
        How many have no spacing though others have one, or one in the table that is not the file's.
    """
    unknown = [one for one in cases if not one.case.is_known]
    warning = _lacking(unknown, cases) if unknown else _overruled(cases)
    told = (warning,) if warning and distances else ()
    if not unknown:
        return list(cases), "mm", told
    plain = (replace(one, case=replace(one.case, spacing=_ones(one))) for one in cases)
    return list(plain), "pixels", told


def _ones(one: ReadCase) -> tuple[float, ...]:
    return (1.0,) * len(one.case.spacing)


def _lacking(unknown: Sequence[ReadCase], cases: Sequence[ReadCase]) -> str:
    if len(unknown) == len(cases):
        return ""
    names = some_names(one.case.name for one in unknown)
    return (
        f"The size of a pixel is not known of {len(unknown)} of {_counted(cases)} ({names}): all "
        f"distances are in pixels. Write spacing_mm into {TABLE} to have them in mm."
    )


def _overruled(cases: Sequence[ReadCase]) -> str:
    found = [one for one in cases if one.overruled]
    if not found:
        return ""
    first = found[0]
    of_file = first.overruled or ()
    of_table = first.case.spacing[-len(of_file) :]
    return (
        f"{TABLE} has another spacing_mm than the file of {len(found)} of {_counted(cases)} "
        f"({first.case.name!r}: {sides_text(of_table)} in the table, {sides_text(of_file)} in the "
        "file): that of the table is taken."
    )


def _counted(cases: Sequence[ReadCase]) -> str:
    what = "volume" if cases[0].case.is_volume else "image"
    return f"{len(cases)} {what}{'s' * (len(cases) != 1)}"
