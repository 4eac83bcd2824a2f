"""Volumes through `segment_files`: a mask of the same format, spacing and place, or none at all."""

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.segment_files import places_of, segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.cli import main
from napari_medssl.io.images import ImageRef, scan_images

SHAPE = (4, 40, 50)
AFFINE = np.array([[0.0, -0.7, 0, 12], [0.5, 0.1, 0, -40], [0, 0, 3.0, 7], [0, 0, 0, 1]])
CONFIG = SegmentConfig("bright")


class Bright:
    """Finds what is brighter than 127; counts what it is asked."""

    name = "bright"
    classes = ("light",)

    def __init__(self, fails_at=-1):
        self.count, self._fails_at = 0, fails_at

    def segment(self, pixels, inside=None, *, should_stop=lambda: False):
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        if should_stop():
            raise Cancelled
        self.count += 1
        if self.count == self._fails_at:
            raise UserError("This slice is not for me.")
        return (pixels[..., 0] > 127).astype(np.uint8)


def volume():
    data = np.zeros(SHAPE, np.int16)
    for z in range(SHAPE[0]):
        data[z, 5 * z : 5 * z + 9, 10:30] = 1000
    return data


TRUTH = (volume() > 0).astype(np.uint8)


@pytest.fixture
def inputs(tmp_path):
    """A folder with a picture and a volume of each kind."""
    folder = tmp_path / "in"
    folder.mkdir()
    image = nibabel.Nifti1Image(volume().T, AFFINE)
    image.header.set_xyzt_units("mm")
    image.to_filename(folder / "mr.nii.gz")
    about = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(folder / "stack.tif", volume().astype(np.uint16), imagej=True,
                     resolution=(2, 2), metadata=about)  # fmt: skip
    zarr.create_array(folder / "cells.zarr", data=volume())
    grey = (TRUTH[1] * 255).astype(np.uint8)
    Image.fromarray(grey).save(folder / "photo.png")
    tifffile.imwrite(folder / "single.tif", grey, resolution=(99, 99), resolutionunit=3)
    return folder


def run(inputs, out, segmenter=None, **options):
    refs = scan_images([inputs], volumes=True).refs
    return segment_files(refs, out, CONFIG, segmenter=segmenter or Bright(), **options)


def test_each_mask_has_the_format_of_its_image(inputs, tmp_path):
    report = run(inputs, tmp_path / "out")
    assert not report.failures
    names = ["cells.zarr", "mr.nii.gz", "photo.png", "single.tif", "stack.tif"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    out = tmp_path / "out"
    mask = nibabel.load(out / "mr.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj).T, TRUTH)
    np.testing.assert_array_equal(mask.affine, nibabel.load(inputs / "mr.nii.gz").affine)
    np.testing.assert_array_equal(tifffile.imread(out / "stack.tif"), TRUTH)
    np.testing.assert_array_equal(zarr.open_array(out / "cells.zarr", mode="r")[:], TRUTH)
    for name in ("photo.png", "single.tif"):
        with Image.open(out / name) as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.asarray(picture), TRUTH[1])


def test_spacing_is_kept(inputs, tmp_path):
    run(inputs, tmp_path / "out")
    with tifffile.TiffFile(tmp_path / "out" / "stack.tif") as mask:
        assert mask.imagej_metadata["spacing"] == 3.0
        assert mask.pages[0].resolution == (2, 2)
    with tifffile.TiffFile(tmp_path / "out" / "single.tif") as mask:
        assert mask.pages[0].resolution == (99, 99)
        assert mask.pages[0].resolutionunit == 3
    sides = nibabel.load(tmp_path / "out" / "mr.nii.gz").header.get_zooms()
    np.testing.assert_allclose(sides, nibabel.load(inputs / "mr.nii.gz").header.get_zooms())


def test_progress_is_by_slices(inputs, tmp_path):
    steps = []
    run(inputs, tmp_path / "out", on_progress=steps.append)
    total = 3 * SHAPE[0] + 2
    assert {step.total for step in steps} == {total}
    assert steps[-1].done == total
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    messages = [step.message for step in steps]
    assert "mr.nii.gz, slice 3 of 4" in messages
    assert "mr.nii.gz: reading slice 2" in messages  # 16 bits are looked over first


@pytest.mark.parametrize("name", ["mr.nii.gz", "stack.tif", "cells.zarr"])
@pytest.mark.parametrize("after", range(1, 14))
def test_stopping_in_a_volume_leaves_nothing_of_it(inputs, tmp_path, name, after):
    asked = iter([False] * after)
    out = tmp_path / "out"
    refs = [ImageRef(inputs / "photo.png"), ImageRef(inputs / name)]
    report = segment_files(
        refs, out, CONFIG, segmenter=Bright(), should_stop=lambda: next(asked, True)
    )
    assert report.left + len(report.written) == 2
    assert sorted(out.iterdir()) == sorted(report.written)
    assert report.left >= 1


@pytest.mark.parametrize("name", ["mr.nii.gz", "stack.tif", "cells.zarr"])
def test_a_slice_that_fails_fails_its_volume_alone(inputs, tmp_path, name):
    out = tmp_path / "out"
    refs = [ImageRef(inputs / name), ImageRef(inputs / "photo.png")]
    report = segment_files(refs, out, CONFIG, segmenter=Bright(fails_at=3))
    assert report.failures == ((name, "This slice is not for me."),)
    assert [path.name for path in out.iterdir()] == ["photo.png"]


def test_a_volume_that_is_cut_off_fails_and_the_rest_goes_on(inputs, tmp_path):
    path = inputs / "mr.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    report = run(inputs, tmp_path / "out")
    assert [name for name, _ in report.failures] == ["mr.nii.gz"]
    assert len(report.written) == 4


def test_the_pages_of_an_odd_tiff_are_pictures(tmp_path):
    """Of many sizes they are no volume: each page has a file of its own, TIFF again."""
    with tifffile.TiffWriter(tmp_path / "odd.tif") as writer:
        for side in (40, 50):
            writer.write(np.full((side, side), 200, np.uint8))
    report = run(tmp_path / "odd.tif", tmp_path / "out")
    assert [path.name for path in report.written] == ["odd-p1.tif", "odd-p2.tif"]
    assert tifffile.imread(report.written[1]).shape == (50, 50)


def test_places_keep_names_and_never_overwrite(inputs, tmp_path):
    refs = scan_images([inputs], volumes=True).refs
    found = [place.name for place in places_of(refs, tmp_path / "out")]
    assert found == ["cells.zarr", "mr.nii.gz", "photo.png", "single.tif", "stack.tif"]
    for name in ("mr.nii.gz", "cells.zarr", "stack.tif"):
        with pytest.raises(UserError, match=r"would overwrite the picture"):
            places_of([ImageRef(inputs / name)], inputs)
    zarr.create_array(tmp_path / "plain", data=volume())
    assert places_of([ImageRef(tmp_path / "plain")], tmp_path)[0].name == "plain.zarr"


def test_volumes_are_listed_only_where_they_are_asked_for(inputs, tmp_path):
    plain = scan_images([inputs], recursive=True)
    assert "stack.tif#page=2" in [ref.name for ref in plain.refs]
    assert not [ref for ref in plain.refs if ref.path.suffix in (".gz", ".zarr")]
    (tmp_path / "in" / "more").mkdir()
    zarr.create_array(tmp_path / "in" / "more" / "b.zarr", data=volume())
    deep = scan_images([inputs], recursive=True, volumes=True)
    assert [ref.name for ref in deep.refs][-1] == "b.zarr"
    named = scan_images([inputs / "cells.zarr", inputs / "no.nii"], volumes=True)
    assert [ref.name for ref in named.refs] == ["cells.zarr"]
    assert "there is no such file" in named.failures[0][1]


def test_the_command_line_segments_a_volume(tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    nibabel.Nifti1Image(volume()[:2].T, AFFINE).to_filename(folder / "mr.nii.gz")
    (folder / "bad.nii").write_text("no header at all")
    command = ["segment", str(folder), "--model", "retina-vessels", "--out", str(out)]
    assert main([*command, "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert "Cannot read 'bad.nii': it does not begin with a NIfTI header" in told
    assert "1 picture segmented by 'retina-vessels'" in told
    assert [path.name for path in out.iterdir()] == ["mr.nii.gz"]
    assert nibabel.load(out / "mr.nii.gz").shape == (*SHAPE[:0:-1], 2)


@pytest.mark.parametrize("top", [60, 240])
def test_pages_of_8_bits_are_segmented_as_the_whole_stack_is(tmp_path, top):
    """Dim or not: a page named alone, and in a window, gets the mask that the stack gets."""
    data = np.full(SHAPE, 3, np.uint8)
    for z in range(SHAPE[0]):
        data[z, 5:25, 10:30] = top * (z + 1) // SHAPE[0]
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "stack.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    nibabel.Nifti1Image(data.T, AFFINE).to_filename(folder / "mr.nii.gz")
    zarr.create_array(folder / "cells.zarr", data=data)
    out = tmp_path / "out"
    assert not run(folder, out).failures
    whole = tifffile.imread(out / "stack.tif")
    np.testing.assert_array_equal(whole, (data > top / 2).astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(nibabel.load(out / "mr.nii.gz").dataobj).T, whole)
    np.testing.assert_array_equal(zarr.open_array(out / "cells.zarr", mode="r")[:], whole)
    pages = [ImageRef(path, z + 1) for z in range(SHAPE[0])]
    segment_files(pages, tmp_path / "pages", CONFIG, segmenter=Bright())
    for z in range(SHAPE[0]):
        alone = tifffile.imread(tmp_path / "pages" / f"stack-p{z + 1}.tif")
        np.testing.assert_array_equal(alone, whole[z])
