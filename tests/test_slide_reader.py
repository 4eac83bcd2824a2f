"""Slides become one lazy layer in microns; what is no slide is left to other readers."""

import numpy as np
import pytest
import tifffile

from napari_medssl._slide_reader import get_slide_reader
from napari_medssl.io.slides import ArraySlide
from napari_medssl.io.slides.layer_data import slide_layer
from napari_medssl.io.slides.tile_cache import TileCache, shared_cache

pytestmark = pytest.mark.data


@pytest.fixture
def cmu(data_dir):
    return data_dir / "slides" / "CMU-1-Small-Region.svs"


@pytest.fixture
def her2(data_dir):
    return data_dir / "slides" / "her2st_C2.tif"


@pytest.mark.parametrize("form", [str, lambda path: path, lambda path: [str(path)]])
def test_a_slide_is_one_multiscale_layer_in_microns(her2, form):
    ((levels, options, kind),) = get_slide_reader(form(her2))(form(her2))
    assert kind == "image"
    assert [level.shape for level in levels][:2] == [(9911, 9274, 3), (4955, 4637, 3)]
    assert options["scale"] == pytest.approx((0.6901, 0.6901), abs=1e-4)
    assert options["units"] == ("micrometer", "micrometer")
    assert options["name"] == "her2st_C2"
    assert options["rgb"]
    about = options["metadata"]["medssl"]
    assert about["kind"] == "slide"
    assert len(about["fingerprint"]) == 32


def test_nothing_private_comes_with_the_layer(cmu):
    ((_, options, _),) = get_slide_reader(cmu)(cmu)
    text = repr(options).lower()
    assert not [word for word in ("label", "macro", "user", "12/29/09") if word in text]


def test_a_slide_without_coarse_levels_gets_them(cmu):
    ((levels, _, _),) = get_slide_reader(cmu)(cmu)
    assert [level.shape for level in levels] == [(2967, 2220, 3), (1484, 1110, 3)]


def test_a_slide_without_mpp_is_shown_in_pixels():
    cache = TileCache(2**20, workers=1)
    _, options, _ = slide_layer(ArraySlide(np.zeros((9, 9))), cache)
    assert "scale" not in options
    assert "units" not in options
    cache.close()


def test_dicom_and_zarr_are_slides(data_dir):
    for path in [
        next((data_dir / "interop" / "dicom_wsi").rglob("*.dcm")),
        data_dir / "interop" / "omezarr" / "omezarrpy_0.5.zarr",
        data_dir / "interop" / "omezarr" / "ngffzarr_0.5.ozx",
    ]:
        assert get_slide_reader(path)(path)[0][2] == "image"


def test_what_is_no_slide_is_left_to_others(data_dir, tmp_path):
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, np.zeros((100, 100), np.uint8))
    cut = tmp_path / "cut.tif"
    cut.write_bytes(plain.read_bytes()[:50])
    others = [tmp_path, tmp_path / "gone.tif", "https://example.org/x.png"]
    assert [get_slide_reader(path) for path in others] == [None] * len(others)
    assert get_slide_reader([]) is None
    # napari may have been told to use this reader for all TIFF: it hands on to napari's own.
    napari_own = "napari_builtins"
    shared = [plain, cut, data_dir / "badfiles" / "slides" / "pydicompkg_MR_truncated.dcm"]
    for path in shared:
        assert get_slide_reader(path).__module__.startswith(napari_own)


@pytest.mark.gui
def test_napari_opens_slides_by_name_and_reads_only_what_is_seen(
    cmu, her2, data_dir, make_napari_viewer_proxy
):
    shared_cache.cache_clear()  # tests before this left tiles in it
    viewer = make_napari_viewer_proxy(show=True)
    for path in (her2, cmu, data_dir / "interop" / "omezarr" / "ngffzarr_0.5.ozx"):
        (layer,) = viewer.open(str(path), plugin="napari-medssl")
        assert layer.multiscale
        assert layer.rgb
    layer = viewer.layers["her2st_C2"]
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.extent.world[1] == pytest.approx((9911 * 0.6901, 9274 * 0.6901), abs=2)
    assert layer.data_level > 0
    assert shared_cache().size_bytes < 40 * 2**20
    shown = viewer.screenshot(canvas_only=True, flash=False)
    assert shown[..., :3].std() > 10
    viewer.scene.camera.center = (4000 * 0.69, 4000 * 0.69)
    viewer.scene.camera.zoom = 3.0
    viewer.screenshot(canvas_only=True, flash=False)
    assert layer.data_level == 0
    assert shared_cache().size_bytes < 80 * 2**20
