"""Slides are found in a folder and those inside; what is no slide is passed over."""

import numpy as np
import pytest
import zarr
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.slides.finding import find_slides


def names(folder, **options):
    return [path.removeprefix(f"{folder}/") for path in find_slides(folder, **options)]


@pytest.fixture
def folder(tmp_path, write_tiff_slide):
    (tmp_path / "b").mkdir()
    write_tiff_slide(tmp_path / "b" / "two.svs", aperio=True)
    write_tiff_slide(tmp_path / "one.tif")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "photo.tif")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / ".hidden.svs").write_bytes(b"x")
    store = zarr.create_array(str(tmp_path / "s.ome.zarr" / "0"), shape=(4, 4), dtype="u1")
    store[:] = 1
    zarr.open_group(str(tmp_path / "s.ome.zarr"), mode="a")
    (tmp_path / "half.ome.zarr.partial").mkdir()
    return tmp_path


def test_slides_are_found_and_pictures_are_not(folder):
    assert names(folder) == ["one.tif", "s.ome.zarr", "b/two.svs"]


def test_looking_stops_when_asked(folder):
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) > 2

    assert len(names(folder, should_stop=should_stop)) < 3


def test_no_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        names(tmp_path / "none")


def test_a_dicom_series_is_one_slide(data_dir):
    assert len(names(data_dir / "interop" / "dicom_wsi")) == 1
