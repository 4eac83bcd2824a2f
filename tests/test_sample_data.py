"""Sample figures are made without a download and look the same every time."""

import numpy as np
import pytest

from napari_medssl import _sample_data
from napari_medssl.backend.sample_cells import KINDS, sample_cells_folder
from napari_medssl.io.images import read_image


@pytest.mark.parametrize("name", ["lettered_figure", "touching_figure"])
def test_a_sample_is_one_rgb_image_made_the_same_each_time(name):
    make = getattr(_sample_data, name)
    ((pixels, options, kind),) = make()
    assert (kind, options["rgb"], pixels.dtype, pixels.ndim) == ("image", True, np.uint8, 3)
    assert np.array_equal(pixels, make()[0][0])


def test_the_gutters_of_the_lettered_figure_are_white():
    pixels = _sample_data.lettered_figure()[0][0]
    assert (pixels[345:380] == 255).all()


def test_the_panels_of_the_touching_figure_leave_no_gutter():
    pixels = _sample_data.touching_figure()[0][0]
    blank_rows = (pixels == pixels[:, :1]).all(axis=(1, 2))
    assert not blank_rows[300:340].any()


def test_the_slide_is_the_same_each_time_and_in_microns(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path))
    ((levels, options, kind),) = _sample_data.slide()
    assert (kind, options["rgb"], options["multiscale"]) == ("image", True, True)
    assert levels[0].shape == (4096, 5120, 3)
    assert options["scale"] == pytest.approx((0.5, 0.5))
    corner = levels[0][:200, :200]
    assert corner.mean() > 235  # glass
    assert levels[0][2000:2100, 2500:2600].std() > 8  # tissue
    (path,) = (tmp_path / "samples").glob("*.tif")
    first = path.read_bytes()
    _sample_data.write_slide(path)
    assert path.read_bytes() == first


def test_the_views_of_a_retina_are_the_same_each_time_and_all_others():
    views = _sample_data.retina_views()
    assert [options["name"] for _, options, _ in views] == [f"retina {n}" for n in range(1, 6)]
    assert all(p.shape == (448, 448, 3) and p.dtype == np.uint8 for p, _, _ in views)
    assert all(
        np.array_equal(a[0], b[0]) for a, b in zip(views, _sample_data.retina_views(), strict=True)
    )
    first = views[0][0].astype(float)
    assert all(np.abs(first - pixels).mean() > 5 for pixels, _, _ in views[1:])


def test_the_blood_cells_are_four_folders_made_once_and_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path))
    ((sheet, options, kind),) = _sample_data.blood_cells()
    assert (kind, options["rgb"], sheet.dtype, sheet.shape) == (
        "image",
        True,
        np.uint8,
        (512, 1280, 3),
    )
    folder = sample_cells_folder()
    assert folder.parent == tmp_path / "samples"
    files = sorted(folder.rglob("*.png"))
    assert [len(list((folder / name).iterdir())) for name in KINDS] == [40] * 4
    texts = [path.read_bytes() for path in files]
    assert len(set(texts)) == 160
    assert np.array_equal(read_image(files[0]), sheet[:64, :64])
    times = [path.stat().st_mtime_ns for path in files[1:]]
    files[0].unlink()
    sample_cells_folder()  # what is lacking is made again, the rest is left alone
    assert [path.read_bytes() for path in files] == texts
    assert [path.stat().st_mtime_ns for path in files[1:]] == times
