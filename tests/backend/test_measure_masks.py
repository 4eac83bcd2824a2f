"""Objects, areas and the table of a folder of masks, by counting on paper."""

import csv
import statistics

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import mask_objects
from napari_medssl.backend.export_masks import (
    ExportJob,
    ExportMasksConfig,
    MaskToExport,
    export_folder,
    export_masks,
)
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.mask_areas import MaskToMeasure, class_areas, measure_mask
from napari_medssl.backend.mask_objects import object_sizes
from napari_medssl.backend.mask_summary import summarize
from napari_medssl.backend.measure_masks import MeasureMasksConfig, measure_masks
from napari_medssl.io.class_files import class_png
from napari_medssl.io.class_formats import SUFFIXES, MaskFacts, read_class_mask, write_class_mask
from napari_medssl.io.class_legend import ClassLegend
from napari_medssl.io.class_volumes import read_class_volume, volume_facts
from napari_medssl.io.geojson import read_geojson
from napari_medssl.io.region_pictures import SlideRecord, write_region_picture
from napari_medssl.io.volumes import open_volume


def flooded(mask, number):
    """Sizes of the objects of a class, by walking from pixel to pixel."""
    left = {tuple(place) for place in np.argwhere(mask == number).tolist()}
    sizes = []
    while left:
        reached, size = [min(left)], 0
        left.discard(reached[0])
        while reached:
            y, x = reached.pop()
            size += 1
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            reached += near
        sizes.append(size)
    return sizes


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_folder(folder):
    """Three masks of 10 x 20 pixels: two objects of class 1; one of 1 and one of 2; none."""
    folder.mkdir()
    masks = [np.zeros((10, 20), np.uint8) for _ in range(3)]
    masks[0][1:3, 1:4] = 1
    masks[0][6, 6:16] = 1
    masks[1][0, :4] = 1
    masks[1][5:, 10:] = 2
    for number, mask in enumerate(masks):
        (folder / f"eye{number}.png").write_bytes(class_png(mask))
    return masks


def test_objects_are_what_a_walk_from_pixel_to_pixel_reaches():
    rng = np.random.default_rng(5)
    for _ in range(20):
        mask = rng.integers(0, 4, (17, 23)).astype(np.uint8)
        found = object_sizes(mask)
        for number in (1, 2, 3):
            assert sorted(found[number]) == sorted(flooded(mask, number))
    assert object_sizes(np.zeros((3, 3), np.uint8)) == {}


def test_objects_do_not_depend_on_the_bands_that_are_counted(monkeypatch):
    mask = np.random.default_rng(6).integers(0, 3, (41, 23)).astype(np.uint8)
    whole = object_sizes(mask)
    for pixels in (1, 50, 90):
        monkeypatch.setattr(mask_objects, "_BAND", pixels)
        banded = object_sizes(mask)
        assert all((banded[number] == sizes).all() for number, sizes in whole.items())
        assert sum(int(sizes.sum()) for sizes in banded.values()) == np.count_nonzero(mask)


def test_a_class_has_mean_and_median_of_its_objects():
    mask = np.zeros((10, 20), np.uint8)
    mask[0, :2] = mask[2, :4] = mask[4, :12] = 7
    (area,) = class_areas(mask, (0.5, 0.1)).classes
    assert (area.objects, area.object_mean, area.object_median) == (3, 6.0, 4.0)
    assert area.in_mm2(area.object_median) == pytest.approx(0.2)
    (empty,) = class_areas(np.zeros((4, 4), np.uint8), (0.5, 0.1), (7,)).classes
    assert (empty.objects, empty.object_mean, empty.in_mm2(empty.object_mean)) == (0, None, None)


def test_the_summary_counts_an_image_without_a_class_as_none_of_it():
    names = {1: "vessel", 2: "disc"}
    masks = [np.zeros((10, 10), np.uint8) for _ in range(3)]
    masks[0][:2] = 1
    masks[1][0, :4] = masks[1][5, 5] = 1
    found = [
        measure_mask(MaskToMeasure(str(n), mask, names, (0.1, 0.1) if n < 2 else None, ""))[0]
        for n, mask in enumerate(masks)
    ]
    vessel, disc = summarize(found)
    values = [20, 5, 0]
    assert (vessel.name, vessel.pixels.count, vessel.present) == ("vessel", 3, 2)
    assert vessel.pixels.mean == pytest.approx(statistics.fmean(values))
    assert vessel.pixels.sd == pytest.approx(statistics.stdev(values))
    assert (vessel.mm2.count, vessel.mm2.mean) == (2, pytest.approx(0.125))
    assert (vessel.object_count, vessel.object_mean) == (3, pytest.approx(25 / 3))
    assert vessel.objects.mean == pytest.approx(1.0)
    assert (disc.present, disc.pixels.mean, disc.pixels.sd, disc.object_mean) == (0, 0, 0, None)


def test_a_number_that_models_call_by_other_names_is_two_classes():
    mask = np.ones((2, 2), np.uint8)
    found = [
        measure_mask(MaskToMeasure(name, mask, {1: name}, None, ""))[0] for name in ("disc", "cup")
    ]
    assert [(one.number, one.name, one.pixels.count) for one in summarize(found)] == [
        (1, "cup", 1),
        (1, "disc", 1),
    ]
    assert summarize(found)[0].pixels.sd is None  # of one image there is none


def test_the_tables_of_a_folder(tmp_path):
    masks = make_folder(tmp_path / "masks")
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.fromarray(np.full((10, 20), 90, np.uint8)).save(tmp_path / f"images/eye{number}.jpg")
    config = MeasureMasksConfig(pixel_size=0.5, names=("vessel", "=disc"))
    report = measure_masks(
        tmp_path / "masks",
        tmp_path / "a.csv",
        config,
        images=tmp_path / "images",
        summary=tmp_path / "s.csv",
    )
    assert (report.images, report.rows, report.failures) == (3, 6, ())
    assert len(report.notes) == 1
    assert "eye2.png: no picture 'eye2' in" in report.notes[0]
    rows = read(tmp_path / "a.csv")
    assert [row["image"] for row in rows[::2]] == ["eye0.jpg", "eye1.jpg", "eye2.png"]
    first = {key: rows[0][key] for key in ("area_px", "area_mm2", "objects", "object_px_median")}
    assert first == {
        "area_px": "16", "area_mm2": "4.0", "objects": "2", "object_px_median": "8.0"
    }  # fmt: skip
    assert (rows[0]["object_mm2_mean"], rows[0]["field_of_view_px"]) == ("2.0", "200")
    assert (rows[1]["name"], rows[1]["objects"], rows[1]["object_px_mean"]) == ("'=disc", "0", "")
    assert rows[4]["field_of_view_px"] == ""
    vessel, disc = read(tmp_path / "s.csv")
    values = [int((mask == 1).sum()) for mask in masks]
    assert float(vessel["area_px_mean"]) == pytest.approx(statistics.fmean(values))
    assert float(vessel["area_px_sd"]) == pytest.approx(statistics.stdev(values), abs=1e-6)
    assert (disc["images"], disc["images_with_it"], disc["objects"]) == ("3", "1", "1")


def test_a_mask_that_cannot_be_measured_is_named_and_the_rest_goes_on(tmp_path):
    make_folder(tmp_path / "masks")
    (tmp_path / "masks" / "eye1.png").write_bytes(b"broken")
    Image.new("L", (7, 7)).save(tmp_path / "eye0.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "eye0.png").rename(tmp_path / "images" / "eye0.png")
    report = measure_masks(
        tmp_path / "masks",
        tmp_path / "a.csv",
        MeasureMasksConfig(),
        images=tmp_path / "images",
    )
    assert [name for name, _ in report.failures] == ["eye0.png", "eye1.png"]
    assert "eye0.png has 20 x 10 pixels, its picture eye0.png 7 x 7" in report.failures[0][1]
    assert report.images == 1


def test_a_folder_without_masks_is_refused_and_a_stop_writes_nothing(tmp_path):
    with pytest.raises(UserError, match=r"is no folder. Give the folder that holds the masks"):
        measure_masks(tmp_path / "gone", tmp_path / "a.csv", MeasureMasksConfig())
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UserError, match="holds no mask: due are PNG"):
        measure_masks(tmp_path, tmp_path / "a.csv", MeasureMasksConfig())
    make_folder(tmp_path / "masks")
    with pytest.raises(Cancelled, match="no table was written"):
        measure_masks(
            tmp_path / "masks", tmp_path / "a.csv", MeasureMasksConfig(), should_stop=lambda: True
        )
    assert not (tmp_path / "a.csv").exists()


def test_the_size_of_a_pixel_in_a_file_goes_before_the_one_given(tmp_path):
    (tmp_path / "masks").mkdir()
    mask = np.ones((4, 5), np.uint8)
    write_class_mask(tmp_path / "masks/a.tif", mask, "tiff", MaskFacts(spacing_mm=(0.5, 0.5)))
    write_class_mask(tmp_path / "masks/b.nii.gz", mask, "nifti", MaskFacts())
    measure_masks(tmp_path / "masks", tmp_path / "a.csv", MeasureMasksConfig(pixel_size=1.0))
    assert [row["area_mm2"] for row in read(tmp_path / "a.csv")] == ["5.0", "20.0"]


def test_a_folder_is_exported_and_one_bad_file_is_a_failure(tmp_path):
    masks = make_folder(tmp_path / "masks")
    (tmp_path / "masks" / "eye2.png").write_bytes(b"broken")
    config = ExportMasksConfig(format="nifti", pixel_size=0.2)
    report = export_folder(tmp_path / "masks", tmp_path / "out", config)
    assert [path.name for path in report.written] == ["eye0.nii.gz", "eye1.nii.gz"]
    assert report.failures[0][0] == "eye2.nii.gz"
    found, spacing = read_class_mask(tmp_path / "out" / "eye0.nii.gz")
    assert (found == masks[0]).all()
    assert spacing == (0.2, 0.2)


def test_outlines_of_regions_are_in_pixels_of_the_slide_where_the_pictures_are_given(tmp_path):
    masks, pictures = tmp_path / "masks", tmp_path / "pictures"
    for folder in (masks, pictures):
        folder.mkdir()
    mask = np.zeros((10, 20), np.uint8)
    mask[2:4, 5:9] = 1
    for name in ("region", "plain", "small", "lone"):
        (masks / f"{name}.png").write_bytes(class_png(mask))
    grey, where = np.full((10, 20, 3), 90, np.uint8), SlideRecord("s", "", 100, 50, 4, 2, 0.5, 0.5)
    write_region_picture(pictures / "region.png", grey, where)
    Image.fromarray(grey).save(pictures / "plain.png")
    write_region_picture(pictures / "small.png", grey[:5], where)
    report = export_folder(masks, tmp_path / "out", ExportMasksConfig(), images=pictures)
    boxes = {path.stem: read_geojson(path).features[0].roi.shape.bounds for path in report.written}
    assert boxes == {"plain": (5, 2, 9, 4), "region": (120, 54, 136, 58)}
    assert dict(report.failures) == {
        "lone.geojson": f"No picture 'lone' in {str(pictures)!r}. Put it there.",
        "small.geojson": "small.png has 20 x 10 pixels, its picture small.png 20 x 5. Due is a "
        "mask of the size of the picture.",
    }
    config = ExportMasksConfig(format="tiff")
    export_folder(masks, tmp_path / "out", config, images=pictures)
    assert read_class_mask(tmp_path / "out" / "region.tif")[1] == pytest.approx((0.002, 0.001))


def test_an_export_never_writes_over_what_it_reads_and_two_never_share_a_file(tmp_path):
    make_folder(tmp_path / "masks")
    config = ExportMasksConfig(format="png")
    with pytest.raises(UserError, match=r"would overwrite the mask 'eye0.png'"):
        export_folder(tmp_path / "masks", tmp_path / "masks", config)
    other = tmp_path / "masks" / "EYE0.tif"
    write_class_mask(other, np.ones((3, 3), np.uint8), "tiff", MaskFacts())
    with pytest.raises(UserError, match=r"would both be written to"):
        export_folder(tmp_path / "masks", tmp_path / "out", config)


def test_an_export_that_is_stopped_keeps_what_is_finished(tmp_path):
    mask = np.ones((3, 3), np.uint8)
    asked = iter((False, True))
    places = [tmp_path / f"{number}.tif" for number in range(3)]
    job = ExportJob(tuple(MaskToExport(mask, place, MaskFacts()) for place in places), "tiff")
    report = export_masks(job, should_stop=lambda: next(asked))
    assert report.written == (places[0],)
    assert report.left == 2
    assert [path.name for path in tmp_path.iterdir()] == ["0.tif"]


def test_masks_of_slices_find_their_volume(tmp_path):
    """By "-p2" of page 2, in TIFF too; the size of a pixel is that of the volume."""
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((10, 20), np.uint8)
    mask[2:4, 5:10] = 1
    scan = np.full((3, 10, 20), 90, np.uint8)
    for name in ("heart-p2", "stack-p1", "stack-p3"):
        (folder / f"{name}.png").write_bytes(class_png(mask))
    images = tmp_path / "images"
    images.mkdir()
    nibabel.Nifti1Image(scan.T, np.diag([0.5, 0.2, 3, 1])).to_filename(images / "heart.nii.gz")
    tifffile.imwrite(images / "stack.tif", scan, photometric="minisblack")
    report = measure_masks(folder, tmp_path / "areas.csv", MeasureMasksConfig(), images=images)
    assert not report.failures
    rows = read(tmp_path / "areas.csv")
    found = {row["image"]: row["area_mm2"] for row in rows}
    assert list(found) == ["heart.nii.gz#page=2", "stack.tif#page=1", "stack.tif#page=3"]
    assert float(found["heart.nii.gz#page=2"]) == pytest.approx(10 * 0.5 * 0.2)
    assert found["stack.tif#page=1"] == ""


def make_volumes(folder):
    """Save masks of a NIfTI volume of names and of a TIFF stack; return (Z, Y, X) of the first."""
    folder.mkdir()
    heart = np.zeros((3, 10, 20), np.uint8)
    heart[0, 1:3, 2:6] = 1
    heart[2, 4:9, 5:7] = 1
    heart[2, :, 15:] = 2
    scan = nibabel.Nifti1Image(heart.T.astype(np.int16), np.diag([0.5, 0.2, 3, 1]))
    scan.header.set_xyzt_units("mm")
    nibabel.save(scan, folder.parent / "heart.nii.gz")
    with open_volume(folder.parent / "heart.nii.gz") as volume:
        volume.write_classes(folder / "heart.nii.gz", heart, ClassLegend({1: "wall", 2: "blood"}))
    tifffile.imwrite(folder / "stack.tif", heart[:2], photometric="minisblack")
    return heart


def test_volumes_are_measured_slice_by_slice(tmp_path):
    heart = make_volumes(tmp_path / "masks")
    (tmp_path / "masks" / "single.png").write_bytes(class_png(heart[2]))
    report = measure_masks(
        tmp_path / "masks",
        tmp_path / "a.csv",
        MeasureMasksConfig(),
        summary=tmp_path / "s.csv",
        volumes=tmp_path / "v.csv",
    )
    assert (report.files, report.images, len(report.volumes)) == (3, 6, 2)
    rows = read(tmp_path / "a.csv")
    found = {(row["image"], row["name"]): (row["area_px"], row["area_mm2"]) for row in rows}
    assert found == {
        ("heart.nii.gz#page=1", "wall"): ("8", "0.8"),
        ("heart.nii.gz#page=1", "blood"): ("0", "0.0"),
        ("heart.nii.gz#page=2", "wall"): ("0", "0.0"),
        ("heart.nii.gz#page=2", "blood"): ("0", "0.0"),
        ("heart.nii.gz#page=3", "wall"): ("10", "1.0"),
        ("heart.nii.gz#page=3", "blood"): ("50", "5.0"),
        ("single.png", "class 1"): ("10", ""),
        ("single.png", "class 2"): ("50", ""),
        ("stack.tif#page=1", "class 1"): ("8", ""),
    }
    volumes = [tuple(row.values()) for row in read(tmp_path / "v.csv")]
    assert volumes == [
        ("heart.nii.gz", "1", "wall", "18", "5.4", "3", "2"),
        ("heart.nii.gz", "2", "blood", "50", "15.0", "3", "1"),
        ("stack.tif", "1", "class 1", "8", "", "2", "1"),
    ]


def test_slices_of_a_mask_find_those_of_their_volume(tmp_path):
    make_volumes(tmp_path / "masks")
    (tmp_path / "masks" / "stack.tif").unlink()
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "heart.nii.gz").rename(images / "heart.nii.gz")
    config = MeasureMasksConfig(names=("muscle",))
    report = measure_masks(tmp_path / "masks", tmp_path / "a.csv", config, images=images)
    assert not report.notes
    rows = read(tmp_path / "a.csv")
    assert [row["name"] for row in rows] == ["muscle", "blood"] * 3  # given goes before known
    assert {row["field_of_view_px"] for row in rows} != {""}
    other = nibabel.Nifti1Image(np.zeros((9, 10, 3), np.int16), np.eye(4))
    nibabel.save(other, images / "heart.nii.gz")
    with pytest.raises(UserError, match=r"heart.nii.gz#page=1 has 20 x 10 pixels, its picture hea"):
        measure_masks(tmp_path / "masks", tmp_path / "a.csv", config, images=images)


def test_a_volume_that_breaks_off_is_left_out_whole_and_a_stop_writes_nothing(tmp_path):
    make_volumes(tmp_path / "masks")
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    cut = tmp_path / "masks" / "cut.nii.gz"
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), cut)
    cut.write_bytes(cut.read_bytes()[:-500])
    out, config = tmp_path / "a.csv", MeasureMasksConfig()
    report = measure_masks(tmp_path / "masks", out, config)
    ((name, why),) = report.failures
    assert name == "cut.nii.gz"
    assert "of 'cut.nii.gz': the file is damaged or cut off" in why
    assert not [row for row in read(out) if row["image"].startswith("cut")]
    out.unlink()
    asked = iter([False] * 5)
    with pytest.raises(Cancelled, match="no table was written"):
        measure_masks(tmp_path / "masks", out, config, should_stop=lambda: next(asked, True))
    assert not out.exists()


@pytest.mark.parametrize("kind", ["png", "tiff", "geojson"])
def test_slices_of_a_volume_are_exported_as_a_file_each(tmp_path, kind):
    heart = make_volumes(tmp_path / "masks")
    out = tmp_path / "out"
    report = export_folder(tmp_path / "masks", out, ExportMasksConfig(format=kind))
    assert not report.failures
    suffix = SUFFIXES[kind]
    names = [f"heart-p{n}{suffix}" for n in (1, 2, 3)] + [f"stack-p{n}{suffix}" for n in (1, 2)]
    assert [path.name for path in report.written] == names
    if kind == "geojson":
        features = read_geojson(out / "heart-p3.geojson").features
        assert sorted(feature.class_name for feature in features) == ["blood", "wall"]
        return
    for z in range(3):
        mask, spacing = read_class_mask(out / names[z])
        assert (mask == heart[z]).all()
        assert spacing == (None if kind == "png" else pytest.approx((0.5, 0.2)))


def test_a_volume_stays_one_nifti_in_its_place_with_the_names_given(tmp_path):
    heart = make_volumes(tmp_path / "masks")
    (tmp_path / "masks" / "stack.tif").unlink()
    config = ExportMasksConfig(format="nifti", names=("muscle",))
    report = export_folder(tmp_path / "masks", tmp_path / "out", config)
    (place,) = report.written
    mask = nibabel.load(place)
    assert (heart == np.asarray(mask.dataobj).T).all()
    assert (mask.affine == nibabel.load(tmp_path / "heart.nii.gz").affine).all()
    assert volume_facts(place).legend.names == {1: "muscle", 2: "blood"}
    with pytest.raises(UserError, match=r"would overwrite the mask 'heart.nii.gz'"):
        export_folder(tmp_path / "masks", tmp_path / "masks", config)
    write_class_mask(tmp_path / "masks" / "heart-p2.tif", heart[1], "tiff", MaskFacts())
    with pytest.raises(UserError, match=r"'heart-p2.tif' and 'heart.nii.gz#page=2' would both be"):
        export_folder(tmp_path / "masks", tmp_path / "out", ExportMasksConfig(format="png"))


@pytest.mark.parametrize("unit", ["mm", "micron"])
def test_slanted_voxels_are_as_large_as_they_are(tmp_path, unit):
    """By the determinant, in mm³ whatever the unit of the file; a turn leaves them as they are."""
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    for name, shear in (("turned", 0.0), ("slanted", 1.0)):
        steps = turn @ np.array([[0.5, 0, 0], [0, 0.2, shear], [0, 0, 3]])
        affine = np.eye(4)
        affine[:3, :3] = steps
        mask = nibabel.Nifti1Image(np.ones((5, 4, 3), np.uint8), affine)
        mask.header.set_xyzt_units(unit)
        nibabel.save(mask, tmp_path / f"{name}.nii.gz")
        factor = 1.0 if unit == "mm" else 1e-9
        found = volume_facts(tmp_path / f"{name}.nii.gz").voxel_mm3
        assert found == pytest.approx(0.3 * factor, rel=1e-5)


def zarr_scan(path, form, shape=(3, 10, 20)):
    """Write a scan as OME-Zarr of a version, or as an array without metadata; none has names."""
    scan = np.full(shape, 90, np.uint8)
    if form == "array":
        zarr.create_array(path, data=scan)
        return
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"[-scan.ndim :]]
    scale = [{"type": "scale", "scale": [3.0, 0.2, 0.5][-scan.ndim :]}]
    levels = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    about = {"ome": {"version": "0.5", "multiscales": [levels]}}
    if form == "0.4":
        about = {"multiscales": [{"version": "0.4", **levels}]}
    version = 2 if form == "0.4" else 3
    group = zarr.open_group(path, mode="w", zarr_format=version, attributes=about)
    group.create_array("0", data=scan)


@pytest.mark.parametrize("form", ["0.4", "0.5", "array"])
def test_masks_in_zarr_are_measured_and_exported_with_their_names(tmp_path, form):
    """Names, colours and spacing come with them, as with NIfTI."""
    heart = make_volumes(tmp_path / "other")
    zarr_scan(tmp_path / "scan.zarr", form)
    masks = tmp_path / "masks"
    masks.mkdir()
    legend = ClassLegend({1: "wall", 2: "blood"}, {1: "#112233"})
    with open_volume(tmp_path / "scan.zarr") as volume:
        assert not volume.is_mask
        volume.write_classes(masks / "heart.zarr", heart, legend)
    with open_volume(masks / "heart.zarr") as volume:
        assert volume.is_mask
        assert volume.legend == legend
    (tmp_path / "other" / "stack.tif").unlink()
    tables = {}
    for folder in (masks, tmp_path / "other"):
        out = tmp_path / f"{folder.name}.csv"
        report = measure_masks(folder, out, MeasureMasksConfig(), volumes=out.with_suffix(".v"))
        assert (report.files, report.images, report.failures) == (1, 3, ())
        rows = [*read(out), *read(out.with_suffix(".v"))]
        tables[folder.name] = [list(row.values())[1:] for row in rows]
        assert len(rows) == 8
    is_known = form != "array"
    assert (tables["masks"] == tables["other"]) is is_known
    assert [row[:3] for row in tables["masks"]] == [row[:3] for row in tables["other"]]
    report = export_folder(masks, tmp_path / "out", ExportMasksConfig(format="nifti"))
    (place,) = report.written
    assert (read_class_volume(place).classes == heart).all()
    assert volume_facts(place).legend == legend
    assert volume_facts(place).spacing_mm == ((3, 0.2, 0.5) if is_known else None)
    report = export_folder(masks, tmp_path / "out", ExportMasksConfig())
    assert [path.name for path in report.written] == [f"heart-p{n}.geojson" for n in (1, 2, 3)]
    (wall, blood) = read_geojson(report.written[2]).features
    assert (wall.class_name, wall.class_color, blood.class_name) == ("wall", (17, 34, 51), "blood")


def test_a_mask_of_one_slice_in_zarr_is_a_picture(tmp_path):
    zarr_scan(tmp_path / "scan.zarr", "0.5", (10, 20))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "none.zarr").mkdir()  # no store: passed over, as other folders are
    with open_volume(tmp_path / "scan.zarr") as volume:
        classes = np.ones((10, 20), np.uint8)
        volume.write_classes(tmp_path / "masks" / "a.zarr", [classes], ClassLegend({1: "eye"}))
    measure_masks(tmp_path / "masks", tmp_path / "a.csv", MeasureMasksConfig())
    (row,) = read(tmp_path / "a.csv")
    assert (row["image"], row["name"], row["area_mm2"]) == ("a.zarr", "eye", "20.0")


@pytest.mark.parametrize("rows", ["none", [{"number": "1"}], [1], 7, [{"number": 999}]])
def test_a_damaged_legend_in_zarr_is_none(tmp_path, rows):
    array = zarr.create_array(tmp_path / "a.zarr", data=np.ones((2, 4, 5), np.uint8))
    array.attrs["medssl classes"] = rows
    with open_volume(tmp_path / "a.zarr") as volume:
        assert volume.legend == ClassLegend()


def write_numbered(folder, dtype):
    """Write 300 objects, each with its number, in all formats; return where they are."""
    folder.mkdir()
    numbers = np.zeros((50, 60), dtype)
    numbers.ravel()[: 5 * 300 : 5] = np.arange(1, 301)
    if dtype == np.uint16:
        Image.fromarray(numbers).save(folder / "a.png")
    tifffile.imwrite(folder / "b.tif", numbers, compression="zlib")
    nibabel.Nifti1Image(numbers.T[..., None], np.eye(4)).to_filename(folder / "c.nii.gz")
    stack = np.stack([numbers, numbers])
    tifffile.imwrite(folder / "d.tif", stack, photometric="minisblack")
    return numbers != 0


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32])
def test_more_than_255_objects_are_foreground_if_that_is_said(tmp_path, dtype):
    """As StarDist and Cellpose write them: classes they cannot be, and that is told."""
    due = write_numbered(tmp_path / "masks", dtype)
    out = tmp_path / "a.csv"
    count = len(list((tmp_path / "masks").iterdir()))
    with pytest.raises(
        UserError, match=r"has numbers to 300; due .* 0 to 255. .*say --mask-values"
    ):
        measure_masks(tmp_path / "masks", out, MeasureMasksConfig())
    config = MeasureMasksConfig(mask_values="foreground", names=("nucleus", "other"))
    report = measure_masks(tmp_path / "masks", out, config)
    assert (report.files, report.failures) == (count, ())
    rows = read(out)
    assert {(row["class"], row["name"], row["area_px"]) for row in rows} == {
        ("1", "nucleus", "300")
    }
    assert len(rows) == count + 1  # of two slices each has its own
    for kind in ("tiff", "nifti"):
        wanted = ExportMasksConfig(format=kind, mask_values="foreground")
        report = export_folder(tmp_path / "masks", tmp_path / kind, wanted)
        assert not report.failures
        for path in report.written:
            many = volume_facts(path)
            found = read_class_volume(path).classes if many else read_class_mask(path)[0]
            assert (found == due).all()


def test_numbers_of_classes_may_have_more_bits(tmp_path):
    (tmp_path / "masks").mkdir()
    mask = np.zeros((10, 20), np.uint16)
    mask[2:4] = 7
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    tifffile.imwrite(tmp_path / "masks" / "b.tif", mask.astype(np.int64))
    tifffile.imwrite(tmp_path / "masks" / "c.tif", mask / np.float32(2))
    report = measure_masks(tmp_path / "masks", tmp_path / "a.csv", MeasureMasksConfig())
    assert [(row["class"], row["area_px"]) for row in read(tmp_path / "a.csv")] == [("7", "40")] * 2
    ((name, told),) = report.failures
    assert name == "c.tif"
    assert "has the value 3.5; due are whole numbers" in told


def test_the_names_in_a_tiff_are_used_where_none_are_given(tmp_path):
    (tmp_path / "masks").mkdir()
    facts = MaskFacts(names={1: "wall", 2: "blood"}, colors={1: "#112233"})
    write_class_mask(tmp_path / "masks/a.tif", np.ones((4, 5), np.uint8), "tiff", facts)
    config = MeasureMasksConfig(names=("muscle",))
    measure_masks(tmp_path / "masks", tmp_path / "a.csv", config)
    found = [(row["name"], row["area_px"]) for row in read(tmp_path / "a.csv")]
    assert found == [("muscle", "20"), ("blood", "0")]
    export_folder(tmp_path / "masks", tmp_path / "out", ExportMasksConfig())
    (feature,) = read_geojson(tmp_path / "out" / "a.geojson").features
    assert (feature.class_name, feature.class_color) == ("wall", (0x11, 0x22, 0x33))


def test_a_stack_becomes_one_nifti_as_large_as_it_says(tmp_path):
    heart = make_volumes(tmp_path / "masks")
    about = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    path = tmp_path / "masks" / "stack.tif"
    tifffile.imwrite(path, heart, imagej=True, resolution=(2, 5), metadata=about)
    config = ExportMasksConfig(format="nifti", names=("wall",))
    report = export_folder(tmp_path / "masks", tmp_path / "out", config)
    assert [place.name for place in report.written] == ["heart.nii.gz", "stack.nii.gz"]
    found = volume_facts(report.written[1])
    assert found.spacing_mm == pytest.approx((3e-3, 0.2e-3, 0.5e-3))
    assert found.legend.names == {1: "wall"}
    assert (read_class_volume(report.written[1]).classes == heart).all()
    with tifffile.TiffWriter(path) as writer:
        for page in heart:
            writer.write(page, photometric="minisblack", metadata=None)
    (tmp_path / "masks" / "heart.nii.gz").unlink()
    (place,) = export_folder(tmp_path / "masks", tmp_path / "out2", config).written
    assert volume_facts(place).spacing_mm is None
    assert volume_facts(place).voxel_mm3 is None
