"""Files of volumes in `medssl evaluate segmentation`: scored in 3-D, in mm, or told why not."""

import json

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scored_world import Reader, grey_of, write_table

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_segmentation as work
from napari_medssl.backend.evaluate_segmentation import (
    EvaluateSegmentationConfig,
    evaluate_segmentation,
)
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.segment_files import segment_files
from napari_medssl.backend.segmentation_scores import score_case
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.cli import main
from napari_medssl.io.images import scan_images

SHAPE = (5, 18, 22)
SPACING = (4.0, 0.5, 0.7)  # mm along z, y, x
SUFFIXES = (".nii.gz", ".nii", ".tif", ".zarr")


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """A model of the classes of its name, "a,b", that finds what grey values say."""
    monkeypatch.setattr(work, "load_segmenter", lambda config: Reader(config.model.split(",")))


def body(shift=0):
    """Return a body of class 1 with a core of class 2, moved by so many slices."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[shift : shift + 3, 3:14, 4:17] = 1
    classes[shift + 1, 6:10, 7:12] = 2
    return classes


def save(path, values, spacing=SPACING):
    """Write a volume in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        z, y, x = spacing or (1, 1, 1)
        about = {"axes": "ZYX"} | ({"spacing": z, "unit": "mm"} if spacing else {})
        options = {"imagej": True, "resolution": (1 / x, 1 / y)} if spacing else {}
        tifffile.imwrite(path, values, metadata=about, **options)
    elif path.suffix == ".zarr":
        save_zarr(path, values, spacing)
    else:
        affine = np.diag([*(spacing or (1, 1, 1))[::-1], 1])
        nibabel.Nifti1Image(values.T, affine).to_filename(path)


def save_zarr(path, values, spacing):
    if not spacing:
        zarr.create_array(path, data=values)
        return
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": list(spacing)}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    about = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}}
    zarr.create_group(path, attributes=about).create_array("0", data=values)


def add(folder, name, found, truth, *, mask=None, spacing=SPACING):
    """Write a volume in which a reader finds `found`, and its truth."""
    save(folder / "images" / name, grey_of(found), spacing)
    save(folder / "masks" / (mask or name), truth, spacing)
    return folder


def evaluate(folder, model="a,b", **changes):
    return evaluate_segmentation(
        EvaluateSegmentationConfig(folder, (model,), baselines=False, **changes)
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_volumes_of_one_name_are_scored_in_mm_and_three_axes(tmp_path, suffix):
    """A shift by one slice of 4 mm, which slices by themselves would not tell."""
    add(tmp_path, f"v{suffix}", body(1), body())
    report = evaluate(tmp_path)
    assert (report.kind, report.unit, report.cases) == ("volume", "mm", (f"v{suffix}",))
    due = score_case(body(1), body(), 2, SPACING)
    for one, scored in zip(report.methods[0].classes, due, strict=True):
        assert one.scores[0].dsc == pytest.approx(scored.dsc)
        assert one.scores[0].asd == pytest.approx(scored.asd)
        assert one.scores[0].hd95 == pytest.approx(scored.hd95)
    assert report.methods[0].classes[0].scores[0].hd95 == pytest.approx(4)
    assert any("2 classes ('1', '2')" in line for line in report.remarks)


def test_scores_are_those_of_what_the_verb_segment_writes(tmp_path):
    for number, suffix in enumerate(SUFFIXES):
        add(tmp_path / "set", f"v{number}{suffix}", body(number % 3), body())
    report = evaluate(tmp_path / "set")
    refs = scan_images([tmp_path / "set" / "images"], volumes=True).refs
    segment_files(refs, tmp_path / "out", SegmentConfig("any"), segmenter=Reader(("a", "b")))
    masks = tmp_path / "again" / "masks"
    masks.parent.mkdir()
    (tmp_path / "out").rename(masks)
    (tmp_path / "set" / "images").rename(tmp_path / "again" / "images")
    (perfect,) = evaluate(tmp_path / "again").methods
    assert perfect.mean == 1
    assert len(report.cases) == len(perfect.classes[0].scores) == 4
    assert report.methods[0].classes[0].spread("dsc").least < 1


def test_a_table_gives_groups_labels_and_spacing(tmp_path):
    """Of a file without a spacing; masks may have another format, and other numbers."""
    found = body()
    add(tmp_path, "v.tif", found, found * np.uint8(3), mask="truth.nii.gz", spacing=None)
    head = "image,mask,group,labels,spacing_mm"
    write_table(tmp_path, ["v.tif,truth.nii.gz,anna,0|3|6,4|0.5|0.7"], head)
    report = evaluate(tmp_path)
    assert (report.groups, report.unit) == (("anna",), "mm")
    assert [one.name for one in report.methods[0].classes] == ["a", "b"]
    assert report.methods[0].mean == 1
    write_table(tmp_path, ["v.tif,truth.nii.gz,anna,0|3|6,0.5|0.7"], head)
    with pytest.raises(UserError, match=r"spacing_mm '0.5\|0.7'; due are three numbers"):
        evaluate(tmp_path)


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_without_a_spacing_there_are_no_distances_and_that_is_told(tmp_path, suffix):
    add(tmp_path, f"v{suffix}", body(1), body(), spacing=None)
    with pytest.raises(UserError, match=r"does not say how far apart.*spacing_mm .*--no-distances"):
        evaluate(tmp_path)
    report = evaluate(tmp_path, distances=False)
    assert not report.has_distances()
    due = score_case(body(1), body(), 2)
    assert [one.mean for one in report.methods[0].classes] == [score.dsc for score in due]


def test_the_spacing_of_a_mask_serves_its_image_and_must_not_differ(tmp_path):
    save(tmp_path / "images" / "a.zarr", grey_of(body()), None)
    save(tmp_path / "masks" / "a.tif", body())
    assert evaluate(tmp_path).unit == "mm"
    save(tmp_path / "images" / "b.tif", grey_of(body()))
    save(tmp_path / "masks" / "b.tif", body(), (3, 0.5, 0.7))
    ((name, told),) = evaluate(tmp_path).failures
    assert name == "b.tif"
    assert told == (
        "'b.tif' has voxels of 4 x 0.5 x 0.7 mm, its mask 'b.tif' of 3 x 0.5 x 0.7 mm. Save the "
        "mask on the grid of its image."
    )


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        (body()[:4], "'b.nii' has 5 slices, its mask 'b.nii' 4; due are as many"),
        (body()[:, :9], "Mask 'b.nii' has 22 x 9 pixels, its image 22 x 18; due is one size"),
        (np.where(body() == 2, np.uint8(255), body()), "'b.nii' has the value 255, which is no"),
        (body().astype(np.float32) / 2, "Mask 'b.nii' has the value 0.5; due are whole numbers"),
    ],
)  # fmt: skip
def test_a_mask_that_does_not_fit_is_left_out_and_told(tmp_path, truth, told):
    add(tmp_path, "a.nii", body(), body())
    add(tmp_path, "b.nii", body(), truth)
    report = evaluate(tmp_path)
    assert report.cases == ("a.nii",)
    assert [name for name, _ in report.failures] == ["b.nii"]
    assert told in report.failures[0][1]


def test_a_mask_that_lies_elsewhere_in_space_is_told(tmp_path):
    add(tmp_path, "a.nii", body(), body())
    turned = np.diag([-0.7, 0.5, 4, 1])
    nibabel.Nifti1Image(body().T, turned).to_filename(tmp_path / "masks" / "a.nii")
    with pytest.raises(UserError, match=r"None of 1 images.*their affines differ"):
        evaluate(tmp_path)


def test_a_slice_without_a_spacing_is_an_image_in_pixels(tmp_path):
    """It needs no distance of slices; beside one that has a size there is one unit for both."""
    for name, spacing in (("a.zarr", None), ("b.nii", SPACING)):
        add(tmp_path, name, body()[2:3], body(1)[2:3], spacing=spacing)
    report = evaluate(tmp_path)
    assert (report.kind, report.unit, report.failures) == ("image", "pixels", ())
    (due, _) = score_case(body()[2], body(1)[2], 2, (1, 1))
    assert report.methods[0].classes[0].each("asd") == (pytest.approx(due.asd),) * 2
    assert "not known of 1 of 2 images ('a.zarr')" in report.warnings[0]


def test_a_table_that_says_another_spacing_than_the_file_is_told(tmp_path):
    add(tmp_path, "v.nii", body(1), body())
    rows = ["v.nii,v.nii,anna,0|1|2,8|0.5|0.7"]
    write_table(tmp_path, rows, "image,mask,group,labels,spacing_mm")
    report = evaluate(tmp_path)
    assert report.methods[0].classes[0].scores[0].hd95 == pytest.approx(8)
    assert "'v.nii': 8 x 0.5 x 0.7 in the table, 4 x 0.5 x 0.7 in the" in report.warnings[0]


def test_numbers_that_no_name_has_are_told(tmp_path):
    add(tmp_path, "a.nii", body(), body())
    add(tmp_path, "b.nii", body(), np.where(body() == 2, np.uint8(3), body()))
    (tmp_path / "classes.csv").write_text("class,name\n1,a\n2,b\n4,c\n")
    report = evaluate(tmp_path, "c,b,3,a")
    assert [one.name for one in report.classes] == ["a", "b", "3", "c"]
    ((name, told),) = report.failures
    assert (name, told) == (
        "b.nii",
        "Mask 'b.nii' has the value 3, which is no class; due are 0, 1, 2, 4.",
    )


def test_files_without_a_counterpart_are_told(tmp_path):
    for name in ("a", "b", "c"):
        add(tmp_path, f"{name}.nii.gz", body(), body())
    (tmp_path / "masks" / "b.nii.gz").unlink()
    (tmp_path / "images" / "c.nii.gz").unlink()
    assert evaluate(tmp_path).failures == (
        ("b.nii.gz", "It has no mask of its name in masks/."),
        ("masks/c.nii.gz", "It has no image of its name in images/."),
    )
    (tmp_path / "masks" / "a.nii.gz").unlink()
    with pytest.raises(UserError, match=r"No image in .* has a mask"):
        evaluate(tmp_path)


def test_masks_that_cannot_be_read_and_folders_that_are_none(tmp_path):
    add(tmp_path, "a.nii", body(), body())
    (tmp_path / "masks" / "a.nii").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"None of 1 masks in .* can be read. Cannot read 'a.nii'"):
        evaluate(tmp_path)
    with pytest.raises(UserError, match=r"has no pairs.csv .*, beside images/ and masks/"):
        evaluate(tmp_path / "images")


def test_pictures_of_one_name_need_no_table(tmp_path):
    for kind, values in (("images", grey_of(body()[1])), ("masks", body()[1])):
        (tmp_path / kind).mkdir()
        Image.fromarray(values).save(tmp_path / kind / "a.png")
    report = evaluate(tmp_path)
    assert (report.kind, report.unit, report.methods[0].mean) == ("image", "pixels", 1)
    Image.fromarray(grey_of(body()[1] > 0)).save(tmp_path / "images" / "a.png")
    report = evaluate(tmp_path, "a", mask_values="foreground")
    assert [one.name for one in report.classes] == ["foreground"]
    assert report.methods[0].mean == 1


def test_a_volume_among_images_is_told_and_one_slice_is_an_image(tmp_path):
    add(tmp_path, "a.nii", body()[1:2], body()[1:2])
    add(tmp_path, "b.nii", body(), body())
    report = evaluate(tmp_path)
    assert (report.kind, report.unit, report.cases) == ("image", "mm", ("a.nii",))
    assert report.failures == (
        ("b.nii", "'b.nii' is a volume, 'a.nii' an image; due is one kind. Score them in two "
                  "folders."),
    )  # fmt: skip
    due = score_case(body()[1], body()[1], 2, SPACING[1:])
    assert report.methods[0].classes[0].scores[0].asd == due[0].asd == 0


def test_slices_are_read_one_at_a_time_and_stopping_gives_no_score(tmp_path):
    add(tmp_path, "a.nii", body(), body())
    seen = []
    with pytest.raises(Cancelled, match="after 0 of 1 methods; no score"):
        evaluate_segmentation(
            EvaluateSegmentationConfig(tmp_path, ("a,b",), baselines=False),
            on_progress=seen.append,
            should_stop=lambda: any("slice 3 of 5" in progress.message for progress in seen),
        )
    assert "slice 4" not in seen[-1].message


def test_regions_and_baselines_see_each_slice(tmp_path):
    large = np.kron(np.minimum(body()[:3], 1), np.ones((1, 2, 2), np.uint8))
    add(tmp_path, "a.nii", large, large)
    report = evaluate_segmentation(EvaluateSegmentationConfig(tmp_path, ("a",), size=64))
    assert len(report.methods) > 3
    assert all(len(method.classes[0].scores) == 1 for method in report.methods)
    assert report.methods[0].mean == 1


def test_the_command_line_scores_volumes(tmp_path, capsys):
    add(tmp_path / "set", "a.nii.gz", body(1), body())
    out = tmp_path / "report.json"
    command = ["evaluate", "segmentation", "--data", str(tmp_path / "set"), "--model", "a,b"]
    assert main([*command, "--no-baselines", "--images", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "Segmentation of 1 volume of set" in text
    assert "HD95 (mm)" in text
    report = json.loads(out.read_text())
    assert (report["scored"], report["unit"]) == ("volumes", "mm")
