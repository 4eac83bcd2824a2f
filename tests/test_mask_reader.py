"""Exported masks come back into napari: in their place, with their classes and colours."""

import gzip

import nibabel
import numpy as np
import pytest
import tifffile

from napari_medssl._errors import UserError
from napari_medssl._mask_reader import get_mask_reader
from napari_medssl._slide_reader import get_slide_reader
from napari_medssl.backend.export_masks import ExportJob, export_masks
from napari_medssl.backend.export_volumes import VolumeToExport
from napari_medssl.backend.segment_files import segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.io.class_colors import class_color
from napari_medssl.io.class_formats import MaskFacts, write_class_mask
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.images import ImageRef, read_image

HEX = {1: "#112233", 2: "#a0b0c0"}


def drawn():
    """A mask with a ring, an islet in its hole, and a bar that touches the edge."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5:25, 10:30] = 1
    mask[10:20, 15:25] = 0
    mask[13:16, 18:21] = 2
    mask[30:40, 0:60] = 2
    return mask


def read(path):
    reader = get_mask_reader(str(path))
    return reader(str(path))


def layer_of(data):
    pytest.importorskip("napari")
    from napari.layers import Layer

    return Layer.create(*data)


def test_nifti_comes_back_as_labels_with_its_colours_and_size(tmp_path):
    mask = drawn()
    write_class_mask(tmp_path / "a.nii.gz", mask, "nifti", MaskFacts(spacing_mm=(0.5, 0.25)))
    (data,) = read(tmp_path / "a.nii.gz")
    layer = layer_of(data)
    assert (type(layer).__name__, layer.name) == ("Labels", "a")
    assert (layer.data == mask).all()
    assert layer.scale.tolist() == [0.25, 0.5]  # y, x
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 2
    for number in (1, 2):
        red, green, blue = bytes.fromhex(class_color(number)[1:])
        assert layer.get_color(number)[:3] == pytest.approx(np.array([red, green, blue]) / 255)
    assert layer.get_color(0) is None  # clear


def test_a_mask_without_a_size_lies_on_its_picture(tmp_path):
    write_class_mask(tmp_path / "a.nii.gz", drawn(), "nifti", MaskFacts())
    (data,) = read(tmp_path / "a.nii.gz")
    layer = layer_of(data)
    assert layer.scale.tolist() == [1, 1]
    assert [str(unit) for unit in layer.units] == ["pixel"] * 2


class Bright:
    """Finds what is bright."""

    name, classes = "bright", ("dim", "light")

    def segment(self, pixels, *, should_stop=None):
        return (pixels[..., 0] > 100).astype(np.uint8) * 2


AFFINE = np.array([[0, -0.5, 0.1, 12], [0.25, 0.1, 0, -40], [0, 0, 3.0, 7], [0, 0, 0, 1]])


def make_scan(path, values, **header):
    """Save (Z, Y, X) values as a scan that lies aslant."""
    image = nibabel.Nifti1Image(values.T, AFFINE)
    image.header.set_xyzt_units("mm")
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["heart.nii.gz", "heart.nii"])
def test_a_volume_comes_back_slices_first_with_names_and_colours(tmp_path, name):
    """In the order of the slices "heart.nii.gz#page=N", as large as the scan."""
    masks = [drawn(), np.zeros_like(drawn()), drawn()[::-1].copy()]
    scan = make_scan(tmp_path / "scan.nii.gz", np.stack(masks).astype(np.int16) * 100)
    place, legend = tmp_path / name, ClassLegend({1: "wall", 3: "spot"}, {2: "#112233"})
    volume = VolumeToExport(scan, {0: masks[0], 2: masks[2]}, place, legend)
    assert not export_masks(ExportJob((volume,), "nifti")).failures
    (data,) = read(place)
    layer = layer_of(data)
    assert (type(layer).__name__, layer.name, layer.ndim) == ("Labels", "heart", 3)
    np.testing.assert_array_equal(layer.data, masks)
    sides = nibabel.load(scan).header.get_zooms()[::-1]
    np.testing.assert_allclose(layer.scale, sides, rtol=1e-6)
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    for page in (1, 3):
        slice_of_scan = read_image(f"{scan}#page={page}")[..., 0]
        assert ((slice_of_scan > 0) == (layer.data[page - 1] > 0)).all()
    assert layer.features["class"][:4].tolist() == ["", "wall", "class 2", "spot"]
    assert layer.get_color(2)[:3] == pytest.approx(np.array([0x11, 0x22, 0x33]) / 255)
    assert layer.get_color(200) is not None  # of a class that is painted from now on


def test_a_volume_of_a_model_comes_back_with_its_classes(tmp_path):
    scan = make_scan(tmp_path / "a.nii.gz", np.stack([drawn()] * 2).astype(np.int16) * 100)
    refs = [ImageRef(scan), ImageRef(scan, 2)]
    segment_files(refs, tmp_path / "out", SegmentConfig(model="x"), segmenter=Bright())
    for name, ndim in (("a.nii.gz", 3), ("a-p2.nii.gz", 2)):
        (data,) = read(tmp_path / "out" / name)
        layer = layer_of(data)
        assert layer.ndim == ndim
        assert layer.features["class"][1:3].tolist() == ["dim", "light"]
        assert layer.data.max() == 2


@pytest.mark.parametrize(
    ("values", "header"),
    [
        (np.float32, {}),
        (np.float32, {"intent_code": 1002}),  # whatever it says: classes are whole numbers
        (np.uint8, {}),
        (np.uint8, {"intent_code": 1002, "scl_slope": 0.5, "scl_inter": 1.0}),
    ],
)
def test_a_scan_is_never_taken_for_masks(tmp_path, values, header):
    path = make_scan(tmp_path / "scan.nii.gz", np.stack([drawn()] * 3).astype(values))
    content = bytearray(gzip.decompress(path.read_bytes()))
    for key, value in header.items():
        at, kind = {
            "intent_code": (68, "<i2"),
            "scl_slope": (112, "<f4"),
            "scl_inter": (116, "<f4"),
        }[key]
        data = np.array(value, kind).tobytes()
        content[at : at + len(data)] = data
    path.write_bytes(gzip.compress(bytes(content)))
    assert get_mask_reader(str(path)) is None


def read_tiff(path):
    """As napari asks: it takes any of two readers of a plugin for one suffix."""
    assert get_mask_reader(str(path)) is None
    reader = get_slide_reader(str(path))
    return reader(str(path))


def test_tiff_comes_back_as_labels_on_its_picture(tmp_path):
    facts = MaskFacts({1: "wall"}, {2: "#112233"}, (0.5, 0.25))
    write_class_mask(tmp_path / "a.tif", drawn(), "tiff", facts)
    (data,) = read_tiff(tmp_path / "a.tif")
    layer = layer_of(data)
    assert (type(layer).__name__, layer.name) == ("Labels", "a")
    assert (layer.data == drawn()).all()
    assert layer.scale.tolist() == [1, 1]  # as napari shows TIFF pictures
    assert layer.features["class"][:3].tolist() == ["", "wall", "class 2"]
    assert layer.get_color(2)[:3] == pytest.approx(np.array([0x11, 0x22, 0x33]) / 255)


@pytest.mark.parametrize(
    "form",
    [{}, {"imagej": True, "metadata": {"axes": "ZYX"}}, {"ome": True, "metadata": {"axes": "ZYX"}}],
)
def test_what_a_model_makes_of_tiff_comes_back_with_its_classes(tmp_path, form):
    stack = np.stack([drawn()] * 3) * 100
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack", **form)
    tifffile.imwrite(tmp_path / "one.tif", stack[0], photometric="minisblack")
    refs = [ImageRef(tmp_path / "stack.tif"), ImageRef(tmp_path / "one.tif")]
    segment_files(refs, tmp_path / "out", SegmentConfig(model="x"), segmenter=Bright())
    for name, shape in (("stack.tif", stack.shape), ("one.tif", stack[0].shape)):
        (data,) = read_tiff(tmp_path / "out" / name)
        layer = layer_of(data)
        assert type(layer).__name__ == "Labels"
        np.testing.assert_array_equal(layer.data, (np.broadcast_to(drawn(), shape) > 1) * 2)
        assert layer.features["class"][1:3].tolist() == ["dim", "light"]
        with tifffile.TiffFile(tmp_path / "out" / name) as file:
            assert len(file.series) == 1  # tifffile still sees what it was
            assert file.series[0].shape == shape


def test_pictures_in_tiff_stay_pictures(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", drawn(), photometric="minisblack")
    (data,) = read_tiff(tmp_path / "a.tif")
    assert len(data) == 1  # napari's own reader gives nothing but the pixels
    write_class_mask(tmp_path / "b.tif", drawn(), "tiff", MaskFacts())
    both = [str(tmp_path / name) for name in ("a.tif", "b.tif")]
    assert [len(one) for one in get_slide_reader(both)(both)] == [1]  # stacked by napari


def test_labels_of_other_numbers_say_what_is_due(tmp_path):
    image = nibabel.Nifti1Image(np.full((4, 4, 2), 2035, np.int16), np.eye(4))
    image.header.set_intent("label")
    nibabel.save(image, tmp_path / "aseg.nii.gz")
    with pytest.raises(UserError, match=r"'aseg.nii.gz#page=1' has numbers to 2035; due"):
        read(tmp_path / "aseg.nii.gz")


@pytest.mark.parametrize("kind", ["geojson", "geojson-classes"])
def test_outlines_come_back_pixel_by_pixel_with_names_and_colours(tmp_path, kind):
    mask = drawn()
    facts = MaskFacts(names={1: "ring", 2: "rest"}, colors=HEX)
    write_class_mask(tmp_path / "a.geojson", mask, kind, facts)
    (data,) = read(tmp_path / "a.geojson")
    layer = layer_of(data)
    names = layer.features["class"].tolist()
    assert sorted(names) == ["rest", "rest", "ring"]
    painted = np.zeros_like(mask)
    for number, name in ((1, "ring"), (2, "rest")):
        rows = [row for row, one in enumerate(names) if one == name]
        for row in rows:
            red, green, blue = bytes.fromhex(HEX[number][1:])
            due = np.array([red, green, blue]) / 255
            assert layer.face_color[row][:3] == pytest.approx(due, abs=0.01)
            painted[covered(layer.data[row], mask.shape)] = number
    assert (painted == mask).all()


def covered(path, shape):
    """Return the pixels whose centre lies inside a path, by the rule of even and odd."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for (y0, x0), (y1, x1) in zip(path, np.roll(path, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def test_scans_and_other_files_are_left_to_other_readers(tmp_path):
    scan = nibabel.Nifti1Image(np.zeros((8, 8, 3), np.uint8), np.eye(4))
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    (tmp_path / "broken.nii").write_bytes(b"no NIfTI")
    (tmp_path / "a.txt").write_text("text")
    for name in ("scan.nii.gz", "broken.nii", "a.txt", "gone.geojson"):
        assert get_mask_reader(str(tmp_path / name)) is None
    assert get_mask_reader([]) is None


def test_outlines_without_an_area_say_what_is_due(tmp_path):
    text = '{"type": "FeatureCollection", "features": []}'
    (tmp_path / "empty.geojson").write_text(text)
    with pytest.raises(UserError, match=r"'empty.geojson' holds no outline of an area; due is"):
        read(tmp_path / "empty.geojson")
