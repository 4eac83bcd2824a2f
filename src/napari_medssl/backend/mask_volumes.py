"""How large the classes of volumes are, in voxels and mm³, from the slices that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medssl.backend.mask_areas import ClassArea, MeasuredMask, rounded_mm2
from napari_medssl.io.csv_files import write_csv

VOLUMES_HEADER = (
    "volume", "class", "name", "voxels", "volume_mm3", "slices", "slices_with_it",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeasuredVolume:
    """A volume that was measured slice by slice.

    Attributes
    ----------
    name
        Of its file.
    voxel_mm3
        Volume of a voxel, None where it is not known.
    slices
        All of them, in their order.
    """

    name: str
    voxel_mm3: float | None
    slices: tuple[MeasuredMask, ...]


def write_volumes(out: Path, volumes: Sequence[MeasuredVolume]) -> None:
    """Write the classes of volumes as CSV, a row each; UserError if that cannot be."""
    write_csv(out, VOLUMES_HEADER, [row for one in volumes for row in _rows(one)])


def _rows(one: MeasuredVolume) -> Iterator[tuple[str | int | float, ...]]:
    """Give the rows of a volume, in the order of `VOLUMES_HEADER`."""
    found: dict[int, list[ClassArea]] = {}
    names: dict[int, str] = {}
    for measured in one.slices:
        for area in measured.areas.classes:
            found.setdefault(area.number, []).append(area)
            names.setdefault(area.number, measured.name(area.number))
    for number in sorted(found):
        voxels = sum(area.pixels for area in found[number])
        mm3 = None if one.voxel_mm3 is None else voxels * one.voxel_mm3
        present = sum(area.pixels > 0 for area in found[number])
        yield one.name, number, names[number], voxels, rounded_mm2(mm3), len(one.slices), present
