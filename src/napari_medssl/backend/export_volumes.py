"""Write the masks of the slices of a volume as one file, on the grid of the volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.io.class_formats import read_class_mask
from napari_medssl.io.class_legend import NO_LEGEND, ClassLegend
from napari_medssl.io.class_nifti import header_of_pictures, mask_parts
from napari_medssl.io.images import ImageRef
from napari_medssl.io.volumes import Volume, is_nifti, open_volume
from napari_medssl.io.volumes.nifti import write_parts


@dataclass(frozen=True, slots=True)
class VolumeToExport:
    """A volume whose masks are to be written, each the class numbers or where they are.

    Attributes
    ----------
    volume
        Its file.
    masks
        By slice, from 0; slices that are missing have no class.
    place
        Where to.
    legend
        What the classes are called.
    as_foreground
        Whether all but 0 of files is class 1, as where their values number objects.
    """

    volume: Path
    masks: Mapping[int, NDArray[np.uint8] | ImageRef | Path]
    place: Path
    legend: ClassLegend = NO_LEGEND
    as_foreground: bool = False


def write_volume_mask(one: VolumeToExport, *, should_stop: ShouldStop = never) -> int:
    """Write the classes of all slices with the header of the volume, whole or not at all.

    Of a volume that is no NIfTI but is to become one the size of a voxel is kept.

    Returns how many slices have no mask.

    Raises
    ------
    UserError
        If the volume or a mask cannot be read, they differ in size, or nothing can be written.
    Cancelled
        If `should_stop` said so.
    """
    with open_volume(one.volume) as volume:
        slices = _slices(one, volume, should_stop)
        if is_nifti(one.place) and not is_nifti(one.volume):
            header = header_of_pictures(volume.shape, volume.sure_spacing_mm)
            write_parts(one.place, mask_parts(header, one.legend, slices))
        else:
            volume.write_classes(one.place, slices, one.legend)
        return volume.shape[0] - len(one.masks)


def _slices(
    one: VolumeToExport, volume: Volume, should_stop: ShouldStop
) -> Iterator[NDArray[np.uint8]]:
    beyond = [z for z in one.masks if z >= volume.shape[0]]
    if beyond:
        raise UserError(
            f"There is a mask of slice {beyond[0] + 1} of {one.volume.name!r}, which has "
            f"{volume.shape[0]}: the file was changed. Put the former one there."
        )
    for z in range(volume.shape[0]):
        if should_stop():
            raise Cancelled("Stopped before the volume was written.")
        mask = one.masks.get(z)
        if mask is None:
            yield np.zeros(volume.shape[1:], np.uint8)
            continue
        if isinstance(mask, np.ndarray):  # copied: a stroke of this very moment may still come in
            classes = mask.copy()
        else:
            classes = read_class_mask(mask, as_foreground=one.as_foreground)[0]
        if classes.shape != volume.shape[1:]:
            raise UserError(
                f"The mask of slice {z + 1} of {one.volume.name!r} has {classes.shape[1]} x "
                f"{classes.shape[0]} pixels, the volume {volume.shape[2]} x {volume.shape[1]}: the "
                "file was changed. Put the former one there."
            )
        yield classes
