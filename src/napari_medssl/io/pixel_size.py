"""How large the pixels of an image are, from the header of its file."""

from __future__ import annotations

from pathlib import Path

from napari_medssl.io.volumes import is_nifti

_TIFF = (".tif", ".tiff")


def pixel_size(path: Path) -> tuple[float, float] | None:
    """Return the distance of pixels `(x, y)` in mm; None if the file does not tell.

    NIfTI tells, and ImageJ's and OME's metadata in TIFF do. The resolution of any other picture is
    that of a screen or a printer.

    Raises
    ------
    UserError
        If a NIfTI file is damaged. A TIFF file that is tells nothing.
    """
    if is_nifti(path):
        from napari_medssl.io.volumes.slices import pixel_spacing

        return pixel_spacing(path)
    return _tiff_pixel_size(path) if path.suffix.lower() in _TIFF else None


def _tiff_pixel_size(path: Path) -> tuple[float, float] | None:
    import tifffile

    from napari_medssl.io.volumes.tiff_about import read_about

    try:
        with tifffile.TiffFile(path) as file:
            found = read_about(file, 1).pixel_mm
    except Exception:  # tifffile raises what it pleases; whoever reads the pixels tells it
        return None
    if found is None:
        return None
    x, y = (float(f"{side:.7g}") for side in found)  # a ratio of counters: 0.0005 is 0.0005 again
    return x, y
