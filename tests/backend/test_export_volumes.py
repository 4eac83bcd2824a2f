"""The masks of slices leave as one file that lies where their volume does."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from napari_medssl.backend.export_masks import ExportJob, export_masks
from napari_medssl.backend.export_volumes import VolumeToExport
from napari_medssl.backend.painted_workspace import PaintedImage, PaintedImages, fill_painted
from napari_medssl.backend.segment_files import places_apart, places_of, segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.backend.training_workspace import Workspace
from napari_medssl.io.class_files import class_png
from napari_medssl.io.images import ImageRef, read_image

SHAPE = (4, 12, 9)
AFFINE = np.array([[-0.5, 0.01, 0.1, 30], [0.02, -0.25, 0.2, 8], [0, 0.03, 4, -9], [0, 0, 0, 1.0]])


def classes(z):
    """Another corner in each slice."""
    found = np.zeros(SHAPE[1:], np.uint8)
    found[z:5, z:4] = z + 1
    return found


@pytest.fixture
def scan(tmp_path):
    data = np.stack([classes(z) for z in range(SHAPE[0])]).astype(np.int16) * 100
    image = nibabel.Nifti1Image(data.T, AFFINE)
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / "heart.nii.gz")
    return tmp_path / "heart.nii.gz"


def run(volume, tmp_path, masks, **told):
    place = tmp_path / "out" / volume.name
    place.parent.mkdir(exist_ok=True)
    return place, export_masks(ExportJob((VolumeToExport(volume, masks, place),), "nifti"), **told)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_slices_with_and_without_a_mask_become_one_file(scan, tmp_path, suffix):
    (tmp_path / "2.png").write_bytes(class_png(classes(2)))
    volume = scan
    if suffix == ".nii":
        volume = tmp_path / "heart.nii"
        nibabel.load(scan).to_filename(volume)
    place, report = run(volume, tmp_path, {0: classes(0), 2: tmp_path / "2.png"})
    assert (report.written, report.failures, report.bare) == ((place,), (), 2)
    mask = nibabel.load(place)
    np.testing.assert_array_equal(mask.affine, nibabel.load(scan).affine)
    assert mask.header.get_xyzt_units()[0] == "mm"
    empty = np.zeros(SHAPE[1:], np.uint8)
    due = np.stack([classes(0), empty, classes(2), empty])
    np.testing.assert_array_equal(np.asarray(mask.dataobj).T, due)


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        ({0: np.zeros((3, 4), np.uint8)}, "The mask of slice 1 of 'heart.nii.gz' has 4 x 3 pixels"),
        ({7: classes(0)}, "There is a mask of slice 8 of 'heart.nii.gz', which has 4"),
    ],
)
def test_a_volume_that_has_changed_is_told_and_nothing_is_written(scan, tmp_path, masks, told):
    place, report = run(scan, tmp_path, masks)
    assert report.failures[0][0] == "heart.nii.gz"
    assert told in report.failures[0][1]
    assert list(place.parent.iterdir()) == []


def test_a_stop_within_a_volume_leaves_nothing_of_it(scan, tmp_path):
    asked = iter([False, False, True])
    place, report = run(scan, tmp_path, {0: classes(0)}, should_stop=lambda: next(asked))
    assert (report.written, report.left) == ((), 1)
    assert list(place.parent.iterdir()) == []


class Bright:
    """Finds what is bright."""

    name, classes = "bright", ("bright",)

    def segment(self, pixels, *, should_stop=None):
        return (pixels[..., 0] > 100).astype(np.uint8)


@pytest.mark.parametrize("page", [1, 3])
def test_a_slice_that_is_segmented_alone_lies_where_it_is(scan, tmp_path, page):
    refs = [ImageRef(scan), ImageRef(scan, page)]
    report = segment_files(refs, tmp_path / "out", SegmentConfig(model="x"), segmenter=Bright())
    assert [path.name for path in report.written] == ["heart.nii.gz", f"heart-p{page}.nii.gz"]
    whole, one = (nibabel.load(path) for path in report.written)
    assert one.shape == (SHAPE[2], SHAPE[1], 1)
    np.testing.assert_array_equal(
        np.asarray(one.dataobj)[..., 0], np.asarray(whole.dataobj)[..., page - 1]
    )
    for corner in ((0, 0), (8, 11)):
        np.testing.assert_allclose(
            one.affine @ [*corner, 0, 1], whole.affine @ [*corner, page - 1, 1], atol=1e-5
        )
        np.testing.assert_allclose(  # as programs that read the other form have it
            one.header.get_qform() @ [*corner, 0, 1],
            whole.header.get_qform() @ [*corner, page - 1, 1],
            atol=1e-4,
        )


def test_slices_are_named_without_the_suffix_of_their_volume(scan, tmp_path):
    out = tmp_path / "out"
    refs = [ImageRef(scan, 3), ImageRef(tmp_path / "other" / "heart.nii.gz", 3)]
    assert [place.name for place in places_apart(refs[:1], out)] == ["heart-p3.png"]
    names = [place.name for place in places_apart(refs, out)]
    assert names[1] == "other_heart-p3.png"
    assert places_of([ImageRef(tmp_path / "A.NII.GZ", 2)], out)[0].name == "A-p2.NII.GZ"


def test_a_training_copies_the_pixels_that_the_window_shows(scan, tmp_path):
    """Also those of a volume of one slice, which has no page."""
    thin = tmp_path / "thin.nii.gz"
    nibabel.Nifti1Image((classes(1).astype(np.int16) * 300).T[..., None], AFFINE).to_filename(thin)
    sources = [f"{scan}#page=2", str(thin)]
    workspace = Workspace("mine", tmp_path / "models")
    painted = PaintedImages((PaintedImage(sources[0], classes(1)),), (sources[1],))
    fill_painted(workspace, painted)
    copies = [workspace.images / "0001.png", workspace.unlabelled / "0002.png"]
    for source, copy in zip(sources, copies, strict=True):
        due = read_image(source, robust=True)
        np.testing.assert_array_equal(np.asarray(Image.open(copy)), due)
        np.testing.assert_array_equal(read_image(copy, robust=True), due)
