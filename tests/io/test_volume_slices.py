"""Slices of NIfTI files as pictures: which they are, how light, and what is told of odd files."""

import gzip
import threading

import nibabel
import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.images import ImageRef, image_size, read_image, scan_images
from napari_medssl.io.volumes import nifti, open_volume
from napari_medssl.io.volumes.remembered import stamp_of
from napari_medssl.io.volumes.slices import pixel_spacing
from napari_medssl.io.volumes.volume import Volume

SHAPE = (5, 40, 30)
AFFINE = np.diag([0.7, 0.8, 3.0, 1.0])


def values(dtype=np.int16):
    """Noise that is brighter from slice to slice, (Z, Y, X)."""
    noise = np.random.default_rng(0).integers(0, 50, SHAPE)
    return (noise * (np.arange(SHAPE[0]) + 1)[:, None, None]).astype(dtype)


def save(path, data=None, affine=AFFINE):
    data = values() if data is None else data
    nibabel.Nifti1Image(data.T, affine).to_filename(path)
    return path


@pytest.mark.parametrize("name", ["heart.nii", "heart.nii.gz"])
def test_a_slice_alone_is_that_of_its_volume(tmp_path, name):
    path = save(tmp_path / name)
    refs = scan_images([tmp_path], slices=True).refs
    assert [ref.name for ref in refs] == [f"{name}#page={z + 1}" for z in range(SHAPE[0])]
    with open_volume(path) as volume:
        for z in (4, 0, 2, 1, 3):
            picture = volume.picture(z)
            np.testing.assert_array_equal(read_image(refs[z]), picture)
            np.testing.assert_array_equal(read_image(f"{path}#page={z + 1}", robust=True), picture)
            assert image_size(refs[z]) == (SHAPE[2], SHAPE[1])
    assert read_image(refs[0]).max() < 60 < read_image(refs[4]).max()


def test_rows_are_the_second_axis_and_nothing_is_turned(tmp_path):
    data = np.zeros((2, 4, 3), np.int16)
    data[1, 3, 0] = 7  # (Z, Y, X): the last row, the first column
    for name, affine in (("a.nii", AFFINE), ("b.nii.gz", AFFINE * [-1, -1, 1, 1])):
        read = read_image(ImageRef(save(tmp_path / name, data, affine), 2))
        assert read.shape == (4, 3, 3)
        assert read[3, 0].tolist() == [255, 255, 255]
        assert read.sum() == 3 * 255


def test_a_volume_of_one_slice_is_one_picture(tmp_path):
    for name, data in (("flat.nii", values()[0]), ("thin.nii.gz", values()[:1])):
        path = save(tmp_path / name, data)
        assert scan_images([path], slices=True).refs == (ImageRef(path),)
        np.testing.assert_array_equal(read_image(path), read_image(ImageRef(path, 1)))
        assert image_size(path) == (SHAPE[2], SHAPE[1])


def test_colours_stay_colours(tmp_path):
    colors = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), np.uint8)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    stored = np.ascontiguousarray(colors.transpose(2, 1, 0, 3)).view(kind)[..., 0]
    path = tmp_path / "rgb.nii.gz"
    nibabel.Nifti1Image(stored, AFFINE).to_filename(path)
    np.testing.assert_array_equal(read_image(ImageRef(path, 3)), colors[2])


def test_what_is_no_number_is_black_and_does_not_change_the_rest(tmp_path):
    data = values(np.float32)
    clean = read_image(ImageRef(save(tmp_path / "a.nii", data), 4))
    data[3, :2] = np.nan
    data[0] = np.nan
    path = save(tmp_path / "b.nii.gz", data)
    assert not read_image(ImageRef(path, 1)).any()
    found = read_image(ImageRef(path, 4))
    assert not found[:2].any()
    assert np.abs(found[2:].astype(int) - clean[2:]).max() <= 3  # of percentiles of fewer values


def refusal(path, page=None):
    with pytest.raises(UserError) as told:
        read_image(ImageRef(path, page))
    return str(told.value)


def test_what_cannot_be_a_slice_is_told(tmp_path):
    path = save(tmp_path / "heart.nii.gz")
    assert refusal(path) == (
        "Cannot read 'heart.nii.gz' as one picture: it has 5 slices. Name one of them, as "
        "'heart.nii.gz#page=1'."
    )
    assert refusal(path, 6) == "Cannot read page 6 of 'heart.nii.gz': it has 5."
    assert "there is no such file" in refusal(tmp_path / "none.nii", 1)


def test_odd_files_of_a_folder_are_told_one_by_one(tmp_path):
    save(tmp_path / "fine.nii")
    nibabel.Nifti1Image(np.zeros((3, 4, 5, 6), np.int16), AFFINE).to_filename(
        tmp_path / "time.nii.gz"
    )
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    (tmp_path / "nothing.nii.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "text.nii").write_text("no header")
    listing = scan_images([tmp_path], slices=True)
    assert {ref.path.name for ref in listing.refs} == {"fine.nii"}
    told = {path.rpartition("/")[2]: reason for path, reason in listing.failures}
    assert "has 4 axes (3 x 4 x 5 x 6); due are 3. Save each time point" in told["time.nii.gz"]
    assert told["empty.nii.gz"] == "Cannot read 'empty.nii.gz': the file is empty."
    assert told["nothing.nii.gz"] == "Cannot read 'nothing.nii.gz': the file is empty."
    assert "does not begin with a NIfTI header" in told["text.nii"]
    assert not listing.others


def test_a_volume_that_is_cut_off_says_where(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**15, SHAPE).astype(np.int16)
    path = save(tmp_path / "heart.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-150])
    for page in (1, 5):
        assert "Cannot read slice 5 of 'heart.nii.gz': the file is damaged or cut" in refusal(
            path, page
        )


def test_a_volume_is_looked_over_once_also_by_several_threads(tmp_path, monkeypatch):
    path = save(tmp_path / "heart.nii.gz")
    count, choose = [], Volume._choose_scaling

    def counted(volume, on_slice):
        count.append(volume.path)
        return choose(volume, on_slice)

    monkeypatch.setattr(Volume, "_choose_scaling", counted)
    found = {}
    threads = [
        threading.Thread(target=lambda z=z: found.update({z: read_image(ImageRef(path, z + 1))}))
        for z in range(SHAPE[0])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [path]
    assert len(found) == SHAPE[0]
    save(path, values()[::-1])  # another file of that name
    read_image(ImageRef(path, 1))
    assert len(count) == 2


def test_a_packed_volume_is_unpacked_once_and_not_for_each_slice(tmp_path, monkeypatch):
    """Places to go on from are kept along the whole file, and for who opens it next."""
    monkeypatch.setattr(nifti, "_LEAST_STEP", 2**16)
    data = np.random.default_rng(0).integers(0, 2**15, (60, 80, 60)).astype(np.int16)
    path = save(tmp_path / "heart.nii.gz", data)
    with open_volume(path) as volume:
        assert (volume.values(59) == data[59]).all()
    unpacker = nifti._unpackers.get(stamp_of(path))
    places = [place for place, _ in unpacker.seek_points()]
    assert len(places) >= data.nbytes // 2**17
    for z in (58, 0, 57, 1):
        with open_volume(path) as volume:
            assert (volume.values(z) == data[z]).all()
    assert nifti._unpackers.get(stamp_of(path)) is unpacker
    assert [place for place, _ in unpacker.seek_points()] == places


def test_a_packed_volume_is_read_by_several_threads(tmp_path):
    data = np.random.default_rng(0).integers(0, 2**15, (60, 80, 60)).astype(np.int16)
    path = save(tmp_path / "heart.nii.gz", data)
    wrong = []

    def work(seed):
        with open_volume(path) as volume:
            for z in np.random.default_rng(seed).integers(0, 60, 50).tolist():
                if (volume.values(z) != data[z]).any():
                    wrong.append(z)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_packed_volume_that_changes_while_it_is_read_says_so(tmp_path):
    path = save(tmp_path / "heart.nii.gz")
    with open_volume(path) as volume:
        volume.values(4)
        save(path, values()[::-1] + 1)
        with pytest.raises(UserError, match=r"'heart.nii.gz' was changed while it was read"):
            volume.values(0)


def test_the_size_of_a_pixel_is_across_and_down(tmp_path):
    assert pixel_spacing(save(tmp_path / "a.nii")) == (0.7, 0.8)
    unknown = bytearray((tmp_path / "a.nii").read_bytes())
    unknown[80:84] = bytes(4)  # of pixdim
    (tmp_path / "b.nii").write_bytes(bytes(unknown))
    assert pixel_spacing(tmp_path / "b.nii") is None
