"""Class numbers in NIfTI: what the header of a mask says, and a file of one slice.

A mask is told by its header, never by its values: it has the intent "label", as the standard has it
for numbers that stand for something. What the classes are called, and their colours, lie behind the
header as an extension of the kind "comment", which programs that do not know it pass over.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.io.class_legend import MOST_BYTES, NO_LEGEND, ClassLegend

EFFORT = 4
"""Of gzip: numbers of classes get hardly smaller with more, but 9 takes 20 times as long."""

LABEL = 1002
"""NIfTI's code for values that are indices of labels."""

_MM = 2  # NIfTI's code for millimetres
_COMMENT = 6  # NIfTI's code for an extension of plain text
_BLOCK = 16  # bytes, of which an extension is a multiple
_ALIGNED = 2  # NIfTI's code for coordinates of another image
Spacing = tuple[float, float]


def class_nifti(
    classes: NDArray[np.uint8], spacing_mm: Spacing | None, legend: ClassLegend
) -> bytes:
    """Return class numbers, shape (Y, X), as the content of a packed NIfTI file, shape (X, Y, 1).

    Parameters
    ----------
    spacing_mm
        The size of a pixel, `(x, y)`; None writes 1 and leaves the unit open.
    legend
        See `mask_head`.
    """
    spacing = None if spacing_mm is None else (1.0, spacing_mm[1], spacing_mm[0])
    header = header_of_pictures((1, *classes.shape), spacing)
    parts = mask_parts(header, legend, [classes])
    # No time in the header: the same mask gives the same bytes.
    return gzip.compress(b"".join(parts), EFFORT, mtime=0)


def header_of_pictures(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float] | None
) -> Any:
    """Return the header of slices that are pictures, of no known place, as nibabel's.

    Axes and affine are as ITK writes a picture: x to the left and y to the back of the patient, so
    that viewers show a slice as the picture, beside one that was converted by ITK.

    Parameters
    ----------
    shape
        (Z, Y, X).
    spacing_mm
        Distance of voxels along (z, y, x); None writes 1 and leaves the unit open.
    """
    from nibabel.nifti1 import Nifti1Header

    z, y, x = spacing_mm or (1.0, 1.0, 1.0)
    header = Nifti1Header()
    header.set_data_shape(shape[::-1])
    header.set_zooms((x, y, z))
    affine = np.diag([-x, -y, z, 1.0])
    header.set_qform(affine, 0)
    header.set_sform(affine, _ALIGNED)
    header["xyzt_units"] = 0 if spacing_mm is None else _MM
    return header


def mask_parts(
    header: Any, legend: ClassLegend, slices: Iterable[NDArray[np.uint8]]
) -> Iterator[bytes]:
    """Give the parts of an unpacked NIfTI file of class numbers, the header first.

    Parameters
    ----------
    header
        nibabel's, of the image: the mask keeps all that says where it lies.
    legend
        What the classes are called.
    slices
        Class numbers, shape (Y, X) each, of which X is the first axis of the file.
    """
    yield _mask_head(header, legend)
    for classes in slices:
        yield classes.tobytes()


def header_of_slice(header: Any, z: int) -> Any:
    """Return the header of slice `z` (from 0) of an image as a file of its own."""
    one = header.copy()
    if int(one["dim"][0]) < 3:  # there is no other slice
        return one
    one["dim"][3] = 1
    steps = {"srow": one.get_sform()[:3, 2], "qoffset": one.get_qform()[:3, 2]}
    for axis, name in enumerate("xyz"):
        one[f"srow_{name}"][3] += z * steps["srow"][axis]
        one[f"qoffset_{name}"] += z * steps["qoffset"][axis]
    return one


def legend_of(header: Any, beyond: bytes) -> ClassLegend:
    """Return the legend in the extensions of a header, nothing known if there is none.

    Parameters
    ----------
    header
        nibabel's, for the order of its bytes.
    beyond
        What the file holds between the header and the values.
    """
    number = np.dtype(f"{header.endianness}i4")
    at = 4  # whether there are any: what says so is not needed to find them
    while at + 8 <= len(beyond):
        size, code = np.frombuffer(beyond, number, 2, at).tolist()
        if size < 8:
            break
        if code == _COMMENT:
            text = beyond[at + 8 : at + size].rstrip(b"\0").decode("ascii", "replace")
            legend = ClassLegend.of_text(text)
            if legend is not None:
                return legend
        at += size
    return NO_LEGEND


def _mask_head(header: Any, legend: ClassLegend) -> bytes:
    """Return the header of an image as that of its mask, with all that says where it lies."""
    mask = header.copy()
    mask.set_data_dtype(np.uint8)
    mask.set_intent("label")
    mask["scl_slope"], mask["scl_inter"] = 1, 0
    mask["cal_min"], mask["cal_max"] = 0, 0
    more = _extension(mask, legend)
    mask["vox_offset"] = int(mask["sizeof_hdr"]) + 4 + len(more)
    stream = io.BytesIO()
    stream.write(mask.binaryblock)
    stream.write(bytes([bool(more), 0, 0, 0]))
    stream.write(more)
    return stream.getvalue()


def _extension(header: Any, legend: ClassLegend) -> bytes:
    """Return a legend as an extension, nothing of one that knows nothing."""
    text = legend.as_text().encode("ascii")
    if legend == NO_LEGEND or len(text) > MOST_BYTES:
        return b""
    size = -(-(len(text) + 8) // _BLOCK) * _BLOCK
    start = np.array([size, _COMMENT], f"{header.endianness}i4").tobytes()
    return (start + text).ljust(size, b"\0")
