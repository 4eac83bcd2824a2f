"""Exported masks come back into napari: in their place, with their classes and colours."""

import nibabel
import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl._mask_reader import get_mask_reader
from napari_medssl.io.class_colors import class_color
from napari_medssl.io.class_formats import MaskFacts, write_class_mask

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
