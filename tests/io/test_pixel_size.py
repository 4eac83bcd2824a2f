"""How large pixels are by the headers of files, and when a file does not tell."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medssl.io.pixel_size import pixel_size

PIXELS = np.zeros((3, 20, 30), np.uint16)


def imagej(place, pixels=PIXELS[0], **metadata):
    tifffile.imwrite(place, pixels, imagej=True, resolution=(1 / 0.5, 1 / 0.25), metadata=metadata)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("um", 1e-3), ("\\u00b5m", 1e-3), ("micron", 1e-3), ("mm", 1.0), ("nm", 1e-6)],
)
def test_imagej_tells_with_its_unit(tmp_path, unit, factor):
    imagej(tmp_path / "a.tif", unit=unit)
    assert pixel_size(tmp_path / "a.tif") == pytest.approx((0.5 * factor, 0.25 * factor))


def test_channels_and_stacks_tell_too(tmp_path):
    imagej(tmp_path / "stack.tif", PIXELS, unit="um", spacing=2.0)
    imagej(tmp_path / "channels.tif", PIXELS, unit="um", axes="CYX")
    for name in ("stack.tif", "channels.tif"):
        assert pixel_size(tmp_path / name) == (0.0005, 0.00025)


@pytest.mark.parametrize("unit", ["inch", "pixel", "", "furlong"])
def test_imagej_with_another_unit_does_not(tmp_path, unit):
    imagej(tmp_path / "a.tif", unit=unit)
    assert pixel_size(tmp_path / "a.tif") is None


def test_ome_tells_without_the_distance_of_slices(tmp_path):
    told = {"PhysicalSizeX": 0.65, "PhysicalSizeY": 1.3, "PhysicalSizeYUnit": "mm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS[0], metadata=told)
    assert pixel_size(tmp_path / "a.ome.tif") == pytest.approx((0.00065, 1.3))
    tifffile.imwrite(tmp_path / "b.ome.tif", PIXELS[0], metadata={"PhysicalSizeX": 0.65})
    assert pixel_size(tmp_path / "b.ome.tif") is None


def test_the_dots_of_a_printer_are_no_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0], resolution=(300, 300), resolutionunit="INCH")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png", dpi=(300, 300))
    assert pixel_size(tmp_path / "a.tif") is None
    assert pixel_size(tmp_path / "a.png") is None


def test_a_damaged_tiff_tells_nothing(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"\xff" * 40)
    (tmp_path / "b.tif").write_bytes(b"")
    assert pixel_size(tmp_path / "a.tif") is None
    assert pixel_size(tmp_path / "b.tif") is None
    assert pixel_size(tmp_path / "missing.tif") is None


def test_nifti_tells(tmp_path):
    image = nibabel.Nifti1Image(PIXELS.T, np.diag((0.7, 0.1, 3, 1)))
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / "a.nii.gz")
    assert pixel_size(tmp_path / "a.nii.gz") == (0.7, 0.1)
