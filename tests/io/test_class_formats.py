"""Masks written in each format are read again with their numbers, names, colours and size."""

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.class_formats import (
    SUFFIXES,
    MaskFacts,
    mask_stem,
    read_class_mask,
    write_class_mask,
)
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.class_tiff import tiff_legend
from napari_medssl.io.class_volumes import volume_facts
from napari_medssl.io.geojson import read_geojson

FACTS = MaskFacts({1: "vessel"}, {2: "#ff8000"}, (0.25, 0.1))
OF_NUMBERS = ("png", "tiff", "nifti")


@pytest.fixture
def mask():
    rng = np.random.default_rng(3)
    made = (rng.random((37, 61)) < 0.6).astype(np.uint8)
    made[20:, 30:] *= 2
    made[5:9, 5:9] = 255
    return made


@pytest.mark.parametrize("kind", OF_NUMBERS)
def test_class_numbers_come_back_with_the_size_of_a_pixel(kind, mask, tmp_path):
    path = tmp_path / f"a{SUFFIXES[kind]}"
    write_class_mask(path, mask, kind, FACTS)
    found, spacing = read_class_mask(path)
    assert found.dtype == np.uint8
    assert (found == mask).all()
    assert spacing == (None if kind == "png" else pytest.approx((0.25, 0.1), rel=1e-6))
    assert mask_stem(path) == "a"
    before = path.read_bytes()
    write_class_mask(path, mask, kind, FACTS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["tiff", "nifti"])
def test_a_size_that_is_not_known_is_not_made_up(kind, mask, tmp_path):
    path = tmp_path / f"a{SUFFIXES[kind]}"
    write_class_mask(path, mask, kind, MaskFacts())
    assert read_class_mask(path)[1] is None


def test_other_programs_see_the_tiff_as_a_grey_picture_of_its_resolution(mask, tmp_path):
    write_class_mask(tmp_path / "a.tif", mask, "tiff", FACTS)
    with Image.open(tmp_path / "a.tif") as picture:
        assert (picture.mode, picture.info["compression"]) == ("L", "tiff_adobe_deflate")
        assert picture.info["dpi"] == pytest.approx((25.4 / 0.25, 25.4 / 0.1))
        assert (np.asarray(picture) == mask).all()


def test_the_nifti_is_a_slice_with_axes_as_itk_writes_a_picture(mask, tmp_path):
    import nibabel

    write_class_mask(tmp_path / "a.nii.gz", mask, "nifti", FACTS)
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.shape == (61, 37, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.get_data_dtype() == np.uint8
    assert image.header.get_intent()[0] == "label"


@pytest.mark.parametrize(("kind", "features"), [("geojson", None), ("geojson-classes", 3)])
def test_outlines_for_qupath_are_the_mask_again(kind, features, mask, tmp_path):
    path = tmp_path / "a.geojson"
    write_class_mask(path, mask, kind, FACTS)
    found = read_geojson(path)
    assert not found.notes
    numbers = {"vessel": 1, "class 2": 2, "class 255": 255}
    again = np.zeros_like(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    for feature in found.features:
        number = numbers[feature.class_name]
        inside = shapely.contains_xy(feature.roi.shape, x.ravel(), y.ravel())
        again[inside.reshape(mask.shape)] = number
        assert feature.roi.shape.is_valid
    assert (again == mask).all()
    for name, number in numbers.items():
        areas = [f.roi.area() for f in found.features if f.class_name == name]
        assert sum(areas) == (mask == number).sum()
    colors = {f.class_name: f.class_color for f in found.features}
    assert colors["class 2"] == (255, 128, 0)
    assert colors["vessel"] == (0, 213, 255)
    assert features in (None, len(found.features))


@pytest.mark.parametrize("kind", ["geojson", "geojson-classes"])
def test_outlines_of_a_part_of_a_slide_lie_where_that_is(kind, tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:7] = 1
    facts = replace(FACTS, corner=(1000.0, 500.5), step=(4.0, 2.5))
    write_class_mask(tmp_path / "a.geojson", mask, kind, facts)
    (feature,) = read_geojson(tmp_path / "a.geojson").features
    due = shapely.box(1000 + 4 * 3, 500.5 + 2.5 * 2, 1000 + 4 * 7, 500.5 + 2.5 * 4)
    assert feature.roi.shape.equals(due)


def test_an_empty_mask_has_no_outlines(tmp_path):
    write_class_mask(tmp_path / "a.geojson", np.zeros((3, 4), np.uint8), "geojson", FACTS)
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


def test_what_is_no_mask_is_refused_in_a_line(mask, tmp_path):
    with pytest.raises(UserError, match=r"Format 'bmp' is unknown; choose one of png, tiff"):
        write_class_mask(tmp_path / "a.bmp", mask, "bmp", FACTS)
    with pytest.raises(UserError, match=r"'a.txt' is no mask: due is a PNG, TIFF"):
        read_class_mask(tmp_path / "a.txt")
    for name in ("a.tif", "a.nii.gz", "a.png"):
        (tmp_path / name).write_bytes(b"no mask")
        with pytest.raises(UserError, match=rf"Cannot read .*'.*{name}'"):
            read_class_mask(tmp_path / name)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"due is one page of grey"):
        read_class_mask(tmp_path / "a.tif")


def test_a_nifti_of_several_slices_or_of_other_values_is_refused(tmp_path):
    import nibabel

    for values, words in (
        (
            np.zeros((3, 4, 5), np.uint8),
            "as one picture: it has 5 slices. Name one of them, as 'a.nii.gz#page=1'",
        ),
        (
            np.full((3, 4, 1), 300, np.int16),
            "has numbers to 300; due are those of classes, 0 to 255.*say --mask-values foreground",
        ),
        (
            np.full((3, 4, 1), 0.5, np.float32),
            "'a.nii.gz' has the value 0.5; due are whole numbers",
        ),
    ):
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
        with pytest.raises(UserError, match=words):
            read_class_mask(tmp_path / "a.nii.gz")


def test_a_nifti_knows_the_names_and_colours_of_its_classes(mask, tmp_path):
    """As a comment behind the header, which other programs pass over."""
    import nibabel

    facts = replace(FACTS, names={1: "vessel", 3: 'Gefäß "#", \u2603'})
    write_class_mask(tmp_path / "a.nii.gz", mask, "nifti", facts)
    known = volume_facts(tmp_path / "a.nii.gz")
    assert known.legend == ClassLegend(facts.names, facts.colors)
    image = nibabel.load(tmp_path / "a.nii.gz")
    (extension,) = image.header.extensions
    assert extension.get_code() == 6
    assert extension.text.isascii()
    assert image.header["vox_offset"] % 16 == 0
    assert (mask == np.asarray(image.dataobj)[..., 0].T).all()
    write_class_mask(tmp_path / "b.nii.gz", mask, "nifti", MaskFacts())
    assert volume_facts(tmp_path / "b.nii.gz").legend == ClassLegend()
    assert not nibabel.load(tmp_path / "b.nii.gz").header.extensions


def test_a_tiff_knows_that_it_is_a_mask_and_what_its_classes_are_called(mask, tmp_path):
    """Until another program makes a picture of it."""
    facts = replace(FACTS, names={1: "vessel", 3: "Gefäß"})
    write_class_mask(tmp_path / "a.tif", mask, "tiff", facts)
    assert tiff_legend(tmp_path / "a.tif") == ClassLegend(facts.names, facts.colors)
    write_class_mask(tmp_path / "b.tif", mask, "tiff", MaskFacts())
    assert tiff_legend(tmp_path / "b.tif") == ClassLegend()
    with Image.open(tmp_path / "a.tif") as picture:
        picture.point(lambda value: 100 * value).save(tmp_path / "c.tif")
    (tmp_path / "d.tif").write_bytes(b"no TIFF")
    for name in ("c.tif", "d.tif", "gone.tif"):
        assert tiff_legend(tmp_path / name) is None


def test_colours_that_are_none_are_left_out():
    text = '{"medssl classes": [{"number": 1, "name": "a", "color": "red"}]}'
    assert ClassLegend.of_text(text) == ClassLegend({1: "a"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[" * 100_000,
        "[1]",
        "{}",
        '{"medssl classes": 3}',
        '{"medssl classes": [{"number": "1", "name": "a"}]}',
        '{"medssl classes": [{"number": 256, "name": "a"}]}',
        '{"medssl classes": [{"number": 1, "name": ["a"]}]}',
        '{"medssl classes": [3]}',
    ],
)
def test_a_text_that_is_no_legend_is_none(text):
    assert ClassLegend.of_text(text) is None
