"""Volumes in and masks out: values, spacing, place in space, whole or not at all."""

import gzip
import os
import time
import tracemalloc

import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from napari_medssl._errors import UserError
from napari_medssl.io.pixels import Scaling, choose_scaling, is_surely_light
from napari_medssl.io.volumes import is_zarr, open_volume, volume_kind

SHAPE = (5, 7, 9)  # (Z, Y, X)
OBLIQUE = np.array([[0.0, -0.7, 0.3, 12], [0.5, 0.1, 0.0, -40], [0.02, 0.0, 3.0, 7], [0, 0, 0, 1]])
# What nibabel keeps of that in a file: float32.


def values(dtype=np.int16, shape=SHAPE):
    found = np.random.default_rng(0).integers(0, 200, shape)
    return found.astype(dtype)


def classes():
    return [np.full(SHAPE[1:], z, np.uint8) for z in range(SHAPE[0])]


def read_all(path):
    with open_volume(path) as volume:
        return np.stack([volume.values(z) for z in range(volume.shape[0])])


def write_like(path, target, slices=None):
    with open_volume(path) as volume:
        volume.write_classes(target, iter(classes() if slices is None else slices))


def save_nifti(path, data=None, affine=OBLIQUE, kind=nibabel.Nifti1Image, **header):
    """Save (Z, Y, X) values as NIfTI, which has (X, Y, Z)."""
    image = kind((values() if data is None else data).T, affine)
    image.header.set_xyzt_units("mm", "sec")
    for key, value in header.items():
        image.header[key] = value
    image.to_filename(path)
    return path


# -- NIfTI ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_nifti_slices_are_those_of_nibabel(tmp_path, name, kind, dtype):
    path = save_nifti(tmp_path / name, values(dtype), kind=kind)
    with open_volume(path) as volume:
        assert volume.shape == SHAPE
        assert volume.dtype == dtype
        for z in (3, 0, 4, 4):  # in any order
            np.testing.assert_array_equal(volume.values(z), values(dtype)[z])


def test_nifti_of_the_other_byte_order(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    image = nibabel.Nifti1Image(values().T, OBLIQUE, header)
    image.to_filename(tmp_path / "scan.nii")
    assert nibabel.load(tmp_path / "scan.nii").header.endianness == ">"
    np.testing.assert_array_equal(read_all(tmp_path / "scan.nii"), values())


def test_nifti_values_are_scaled_as_the_header_says(tmp_path):
    image = nibabel.Nifti1Image(values().T, OBLIQUE)
    image.header.set_slope_inter(0.5, -20)
    image.to_filename(tmp_path / "scan.nii")
    found = nibabel.load(tmp_path / "scan.nii").get_fdata()
    np.testing.assert_array_equal(found, values().T * 0.5 - 20)
    np.testing.assert_array_equal(read_all(tmp_path / "scan.nii"), found.T)


def test_nifti_in_colours(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    stored = colors.view(kind)[..., 0].T
    nibabel.Nifti1Image(stored, OBLIQUE).to_filename(tmp_path / "scan.nii")
    np.testing.assert_array_equal(read_all(tmp_path / "scan.nii"), colors)


def test_nifti_of_one_slice(tmp_path):
    save_nifti(tmp_path / "flat.nii", values()[0])
    with open_volume(tmp_path / "flat.nii") as volume:
        assert volume.shape == (1, *SHAPE[1:])
        volume.write_classes(tmp_path / "mask.nii", [classes()[3]])
    assert nibabel.load(tmp_path / "mask.nii").shape == SHAPE[:0:-1]


def test_nifti_spacing_is_in_mm_by_slices_first(tmp_path):
    path = save_nifti(tmp_path / "scan.nii")
    with open_volume(path) as volume:
        sides = np.linalg.norm(OBLIQUE[:3, :3], axis=0)
        np.testing.assert_allclose(volume.spacing_mm, sides[::-1], rtol=1e-6)
    image = nibabel.load(path)
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "small.nii")
    with open_volume(tmp_path / "small.nii") as volume:
        np.testing.assert_allclose(volume.spacing_mm, sides[::-1] / 1000, rtol=1e-6)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_nifti_mask_lies_where_its_image_does(tmp_path, name, kind):
    path = save_nifti(tmp_path / name, kind=kind, qform_code=1, sform_code=4, descrip=b"scan 7")
    write_like(path, tmp_path / f"mask-{name}")
    image, mask = nibabel.load(path), nibabel.load(tmp_path / f"mask-{name}")
    assert type(mask) is type(image)
    np.testing.assert_array_equal(mask.affine, image.affine)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.stack(classes()).T)
    assert mask.get_data_dtype() == np.uint8
    for key in ("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "descrip"):
        assert (mask.header[key] == image.header[key]).all()


def test_a_nifti_mask_loses_the_scaling_of_its_image(tmp_path):
    image = nibabel.Nifti1Image(values().T, OBLIQUE)
    image.header.set_slope_inter(0.5, -20)
    image.to_filename(tmp_path / "scan.nii")
    write_like(tmp_path / "scan.nii", tmp_path / "mask.nii")
    np.testing.assert_array_equal(
        nibabel.load(tmp_path / "mask.nii").get_fdata(), np.stack(classes()).T
    )


def test_the_same_mask_is_the_same_file(tmp_path):
    path = save_nifti(tmp_path / "scan.nii.gz")
    write_like(path, tmp_path / "a.nii.gz")
    write_like(path, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def refused(path, match):
    """Opening and reading ends in a UserError, soon and without much memory."""
    open_volume(save_nifti(path.parent / "warm.nii")).close()  # imports are not what is timed
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(UserError, match=match):
            read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 5  # far less: a busy machine is no fault


def edited(path, place, data):
    """Overwrite bytes of a plain file."""
    content = bytearray(path.read_bytes())
    content[place : place + len(data)] = data
    path.write_bytes(content)
    return path


def shorts(*numbers):
    return np.array(numbers, "<i2").tobytes()


@pytest.mark.parametrize(
    ("place", "data", "match"),
    [
        (344, b"oops", "its magic is b'oops'; due is b'n\\+1'"),
        (344, b"ni1\0", "its voxels are in another file"),
        (0, b"\0\0\0\0", "does not begin with a NIfTI header"),
        (40, shorts(3, 30000, 30000, 30000), "the limit is 67 megapixels"),
        (40, shorts(3, 8000, 8000, 30000), "too few for the 8000 x 8000 x 30000 voxels"),
        (40, shorts(3, 9, -7, 5), "its header has the sizes"),
        (40, shorts(99, 9, 7, 5), "its header has the sizes"),
        (40, shorts(4, 9, 7, 5, 6), "it has 4 axes .9 x 7 x 5 x 6.; due are 3"),
        (70, shorts(7777), "its header has the data type 7777, which is unknown"),
        (70, shorts(32), "it holds complex64; due are whole numbers"),
        (108, np.float32(3e9).tobytes(), "the voxels begin at byte 3e\\+09"),
        (108, np.float32(np.nan).tobytes(), "the voxels begin at byte nan"),
        (108, np.float32(-5).tobytes(), "the voxels begin at byte -5"),
    ],
)
def test_hostile_nifti_headers_are_refused_at_once(tmp_path, place, data, match):
    refused(edited(save_nifti(tmp_path / "scan.nii"), place, data), match)


@pytest.mark.parametrize("length", [0, 3, 200, 348, 352, 500])
def test_nifti_files_that_are_cut_off_are_refused(tmp_path, length):
    path = save_nifti(tmp_path / "scan.nii")
    path.write_bytes(path.read_bytes()[:length])
    refused(path, "Cannot read 'scan.nii'")


def test_packed_nifti_that_is_cut_off_is_read_up_to_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**15, SHAPE).astype(np.int16)
    path = save_nifti(tmp_path / "scan.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-150])
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.values(0), noise[0])
        with pytest.raises(UserError, match=r"Cannot read slice 5 of 'scan.nii.gz': .* cut off"):
            volume.values(4)


def test_a_bomb_is_never_unpacked(tmp_path):
    """1 MB that becomes 1 GB of zeros: with a true header, and as what it is."""
    head = bytearray(save_nifti(tmp_path / "scan.nii").read_bytes()[:352])
    head[40:48] = shorts(3, 30000, 30000, 1)
    zeros = gzip.compress(bytes(2**24))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(head)) + zeros * 64)
    refused(tmp_path / "bomb.nii.gz", "the limit is 67 megapixels")
    (tmp_path / "zeros.nii.gz").write_bytes(zeros * 64)
    refused(tmp_path / "zeros.nii.gz", "does not begin with a NIfTI header")
    head[40:48] = shorts(3, 8000, 8000, 30000)
    (tmp_path / "claim.nii.gz").write_bytes(gzip.compress(bytes(head)) + zeros)
    refused(tmp_path / "claim.nii.gz", "too few for the 8000 x 8000 x 30000 voxels")


def test_nifti_that_is_something_else_or_missing(tmp_path):
    (tmp_path / "text.nii").write_text("hello " * 200)
    refused(tmp_path / "text.nii", "does not begin with a NIfTI header")
    (tmp_path / "text.nii.gz").write_bytes(b"\x1f\x8b" + b"no gzip at all" * 9)
    refused(tmp_path / "text.nii.gz", "its NIfTI header is damaged")
    with pytest.raises(UserError, match="there is no such file"):
        open_volume(tmp_path / "none.nii")


# -- TIFF ----------------------------------------------------------------------------------------


def test_imagej_stacks_keep_their_spacing(tmp_path):
    about = {"axes": "ZYX", "spacing": 2.5, "unit": "um"}
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, values(np.uint16), imagej=True, resolution=(4, 2), metadata=about)
    with open_volume(path) as volume:
        assert volume.spacing_mm == pytest.approx((2.5e-3, 0.5e-3, 0.25e-3))
    np.testing.assert_array_equal(read_all(path), values(np.uint16))
    write_like(path, tmp_path / "mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as mask:
        np.testing.assert_array_equal(mask.asarray(), np.stack(classes()))
        assert mask.is_imagej
        assert mask.imagej_metadata["spacing"] == 2.5
        assert mask.imagej_metadata["unit"] == "um"
        assert mask.pages[0].resolution == (4, 2)
    with open_volume(tmp_path / "mask.tif") as again:
        assert again.spacing_mm == pytest.approx((2.5e-3, 0.5e-3, 0.25e-3))


def test_ome_stacks_keep_their_spacing(tmp_path):
    about = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}
    about |= {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, values(np.uint16), ome=True, metadata=about)
    write_like(path, tmp_path / "mask.ome.tif")
    np.testing.assert_array_equal(read_all(path), values(np.uint16))
    for one in (path, tmp_path / "mask.ome.tif"):
        with open_volume(one) as volume:
            assert volume.spacing_mm == pytest.approx((2e-3, 0.5e-3, 0.25e-3))
    with tifffile.TiffFile(tmp_path / "mask.ome.tif") as mask:
        assert mask.is_ome
        np.testing.assert_array_equal(mask.asarray(), np.stack(classes()))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_plain_stacks_keep_the_resolution_of_a_page(tmp_path, compression):
    path = tmp_path / "stack.tif"
    options = {"photometric": "minisblack", "compression": compression, "metadata": None}
    tifffile.imwrite(path, values(np.uint8), resolution=(300, 300), resolutionunit=3, **options)
    with open_volume(path) as volume:
        assert volume.spacing_mm is None  # of a scanner or a printer: nothing says
    np.testing.assert_array_equal(read_all(path), values(np.uint8))
    write_like(path, tmp_path / "mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as mask:
        np.testing.assert_array_equal(mask.asarray(), np.stack(classes()))
        assert mask.pages[0].resolution == (300, 300)
        assert mask.pages[0].resolutionunit == 3


def test_stacks_in_colours_are_read(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif"), colors)
    with open_volume(tmp_path / "a.tif") as volume:
        np.testing.assert_array_equal(volume.picture(2), colors[2])


def test_slices_without_headers_are_read_as_imagej_saves_them(tmp_path):
    """Stacks over 4 GB have one header, which names the number of images."""
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path, imagej=True) as writer:
        about = {"axes": "ZYX", "spacing": 2.0, "unit": "mm"}
        writer.write(values(np.uint16), truncate=True, metadata=about, contiguous=True)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    np.testing.assert_array_equal(read_all(path), values(np.uint16))


def test_channels_time_and_pages_of_many_sizes_are_no_volume(tmp_path):
    channels = np.zeros((2, 3, 8, 8), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", channels, imagej=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite(tmp_path / "b.tif", channels, imagej=True, metadata={"axes": "TZYX"})
    tifffile.imwrite(tmp_path / "c.ome.tif", channels, ome=True, metadata={"axes": "CZYX"},
                     photometric="minisblack")  # fmt: skip
    with tifffile.TiffWriter(tmp_path / "d.tif") as writer:
        writer.write(np.zeros((8, 8), np.uint8))
        writer.write(np.zeros((8, 9), np.uint8))
    tifffile.imwrite(tmp_path / "e.tif", np.zeros((8, 8), np.uint8))
    for name in ("a.tif", "b.tif", "c.ome.tif", "d.tif", "e.tif"):
        assert volume_kind(tmp_path / name) is None, name


def test_stacks_that_are_cut_off_say_which_slice(tmp_path):
    path = tmp_path / "stack.tif"
    options = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    tifffile.imwrite(
        path, np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8), **options
    )
    with tifffile.TiffFile(path) as file:
        start = file.pages[2].dataoffsets[0]
    edited(path, start, b"\xff" * 300)
    with pytest.raises(UserError, match=r"Cannot read slice 3 of 'stack.tif'"):
        read_all(path)


def test_a_page_that_claims_to_be_longer_than_its_file_is_refused(tmp_path):
    path = tmp_path / "stack.tif"
    options = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    tifffile.imwrite(path, values(np.uint8), **options)
    with tifffile.TiffFile(path) as file:
        places = [page.tags[279].valueoffset for page in file.pages]
    for place in places:
        edited(path, place, np.uint32(2**31 - 1).tobytes())
    refused(path, "a page of it is longer than the file")


def test_damaged_tags_are_told(tmp_path):
    path = tmp_path / "stack.tif"
    about = {"axes": "ZYX", "unit": "um"}
    tifffile.imwrite(path, values(np.uint8), imagej=True, resolution=(2, 2), metadata=about)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[282]
    edited(path, tag.offset + 4, np.uint32(2).tobytes())  # two resolutions along one axis
    with open_volume(path) as volume:
        assert volume.spacing_mm is None


# -- zarr ----------------------------------------------------------------------------------------


def save_ome_zarr(path, data, axes="zyx", scale=(2.0, 0.5, 0.25), version="0.5", **options):
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in axes]
    steps = [{"type": "scale", "scale": list(scale)}]
    multiscale = {"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": steps}]}
    about = {"ome": {"version": "0.5", "multiscales": [multiscale]}}
    if version == "0.4":
        about = {"multiscales": [{"version": "0.4", **multiscale}]}
    form = 2 if version == "0.4" else 3
    group = zarr.open_group(path, mode="w", zarr_format=form, attributes=about)
    group.create_array("s0", data=data, **options)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("chunks", [(1, 4, 9), (2, 7, 3), (5, 7, 9)])
def test_ome_zarr_keeps_spacing_and_version(tmp_path, version, chunks):
    path = save_ome_zarr(tmp_path / "a.zarr", values(), version=version, chunks=chunks)
    with open_volume(path) as volume:
        assert volume.spacing_mm == pytest.approx((2e-3, 0.5e-3, 0.25e-3))
    np.testing.assert_array_equal(read_all(path), values())
    write_like(path, tmp_path / "mask.zarr")
    with open_volume(tmp_path / "mask.zarr") as mask:
        assert mask.spacing_mm == pytest.approx((2e-3, 0.5e-3, 0.25e-3))
        assert mask.dtype == np.uint8
    np.testing.assert_array_equal(read_all(tmp_path / "mask.zarr"), np.stack(classes()))
    stored = zarr.open_group(tmp_path / "mask.zarr", mode="r")
    assert stored.metadata.zarr_format == (2 if version == "0.4" else 3)


def test_ome_zarr_with_a_channel_axis(tmp_path):
    """As many write it: (t, c, z, y, x) with one of each."""
    data = values()[None, None]
    path = save_ome_zarr(tmp_path / "a.zarr", data, "tczyx", (1.0, 1.0, 2.0, 0.5, 0.25))
    np.testing.assert_array_equal(read_all(path), values())
    write_like(path, tmp_path / "mask.zarr")
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "mask.zarr")["0"][:], classes())
    colors = np.random.default_rng(0).integers(0, 256, (3, *SHAPE[1:]), np.uint8)
    path = save_ome_zarr(tmp_path / "b.zarr", colors, "cyx", (1.0, 0.5, 0.25))
    np.testing.assert_array_equal(read_all(path)[0], np.moveaxis(colors, 0, 2))


def test_the_ome_zarr_package_reads_our_masks(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    write_like(save_ome_zarr(tmp_path / "a.zarr", values()), tmp_path / "mask.zarr")
    (node,) = Reader(parse_url(tmp_path / "mask.zarr"))()
    np.testing.assert_array_equal(np.asarray(node.data[0]), np.stack(classes()))


@pytest.mark.parametrize("form", [2, 3])
def test_bare_arrays_stay_bare(tmp_path, form):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=values(), zarr_format=form)
    np.testing.assert_array_equal(read_all(path), values())
    write_like(path, tmp_path / "mask.zarr")
    mask = zarr.open_array(tmp_path / "mask.zarr", mode="r")
    np.testing.assert_array_equal(mask[:], np.stack(classes()))
    assert mask.metadata.zarr_format == form


def test_bare_arrays_of_two_axes_stay_flat(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=values()[0])
    with open_volume(tmp_path / "a.zarr") as volume:
        volume.write_classes(tmp_path / "mask.zarr", [classes()[3]])
    assert (zarr.open_array(tmp_path / "mask.zarr")[:] == 3).all()


@pytest.mark.parametrize(
    ("axes", "shape", "match"),
    [
        ("tyx", (3, 7, 9), "it has 3 time points; due is one"),
        ("cyx", (2, 7, 9), "it has 2 channels; due are 1, or 3"),
    ],
)
def test_zarr_of_time_points_and_stains_is_refused(tmp_path, axes, shape, match):
    path = save_ome_zarr(tmp_path / "a.zarr", values(shape=shape), axes, (1.0, 0.5, 0.25))
    with pytest.raises(UserError, match=match):
        open_volume(path)


def test_hostile_zarr_is_refused(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(9, 90000, 90000), chunks=(1, 100, 100), dtype="u1")
    refused(path, "the limit is 67 megapixels")
    zarr.create_array(
        tmp_path / "b.zarr", shape=(2, 8000, 8000), chunks=(2, 40000, 40000), dtype="u1"
    )
    refused(tmp_path / "b.zarr", "has chunks of 2 x 40000 x 40000; the limit is 256 MiB")
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "zarr.json").write_text("[" * 5000)
    refused(tmp_path / "c.zarr", "zarr metadata cannot be read")
    zarr.create_array(tmp_path / "d.zarr", shape=(1, 1, 2, 9, 9), dtype="u1")
    refused(tmp_path / "d.zarr", "an array of 5 axes without metadata")


def test_a_damaged_chunk_says_which_slice(tmp_path):
    path = save_ome_zarr(tmp_path / "a.zarr", values(), chunks=(1, 7, 9))
    (path / "s0" / "c" / "3" / "0" / "0").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"Cannot read slice 4 of 'a.zarr'"):
        read_all(path)


# -- 8 bits --------------------------------------------------------------------------------------


def test_one_line_takes_the_whole_volume_to_8_bits(tmp_path):
    data = np.zeros(SHAPE, np.int16)
    data[2] = np.arange(data[2].size).reshape(SHAPE[1:]) * 10
    data[3] = data[2] // 2
    with open_volume(save_nifti(tmp_path / "scan.nii", data)) as volume:
        pictures = [volume.picture(z) for z in range(SHAPE[0])]
    assert all(one.dtype == np.uint8 and one.shape == (*SHAPE[1:], 3) for one in pictures)
    assert pictures[0].max() == 0  # not blown up by itself
    assert pictures[2].max() == 255
    assert abs(int(pictures[3].max()) - 127) <= 3


KINDS = ["scan.nii", "scan.nii.gz", "scan.tif", "scan.zarr"]


def save_8_bits(path, data):
    """Save (Z, Y, X) values in the format of the name."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, data, photometric="minisblack")
    elif path.suffix == ".zarr":
        zarr.create_array(path, data=data, chunks=(1, 7, 9))
    else:
        save_nifti(path, data)
    return path


def pictures_of(path):
    with open_volume(path) as volume:
        return np.stack([volume.picture(z)[..., 1] for z in range(volume.shape[0])])


@pytest.mark.parametrize("name", KINDS)
def test_8_bits_that_use_their_range_stay_as_they_are(tmp_path, name):
    data = values(np.uint8)
    data[3] = 5  # a dark slice beside light ones
    path = save_8_bits(tmp_path / name, data)
    np.testing.assert_array_equal(pictures_of(path), data)
    np.testing.assert_array_equal(read_all(path), data)


@pytest.mark.parametrize("name", KINDS)
def test_dim_8_bits_become_light_by_one_line(tmp_path, name):
    data = values(np.uint8) // 4  # 0 to 49
    data[3] = 5
    path = save_8_bits(tmp_path / name, data)
    found = pictures_of(path)
    low, high = np.percentile(data, (0.1, 99.9))
    line = np.clip((data - low) / (high - low) * 255, 0, 255)
    assert np.abs(found - line).max() <= 0.5
    assert found.max() == 255
    assert (found[3] == round(5 * 255 / high)).all()  # as dark as it is, beside the others
    np.testing.assert_array_equal(read_all(path), data)  # a mask is read so


def test_a_volume_of_nothing_stays_dark(tmp_path):
    noise = np.random.default_rng(1).integers(0, 4, SHAPE).astype(np.uint8)
    assert pictures_of(save_8_bits(tmp_path / "noise.nii", noise)).max() == 24
    assert not pictures_of(save_8_bits(tmp_path / "black.tif", 0 * noise)).any()


def test_8_bits_are_read_until_it_is_sure_that_they_are_light(tmp_path):
    asked = []
    data = np.full((40, 30, 30), 20, np.uint8)
    data[3, 5:15, 5:15] = 200
    with open_volume(save_8_bits(tmp_path / "scan.nii", data)) as volume:
        volume.look_over(asked.append)
    assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 5000])
def test_what_is_surely_light_is_light(count):
    """However few are light, and whatever the others are, the scaling is what all of them give."""
    for light in range(count + 1):
        sample = np.zeros(count, np.uint8)
        sample[:light] = 128
        if is_surely_light(light, count):
            assert choose_scaling(sample, robust=True) == Scaling(0.0, 255.0)
            break
    assert count < 1000 or light <= count / 1000 + 3


def test_a_volume_is_looked_over_once_while_its_file_stays(tmp_path):
    path = save_8_bits(tmp_path / "scan.nii", values(np.uint8) // 4)
    first = pictures_of(path)
    with open_volume(path) as volume:
        volume.look_over(lambda _: pytest.fail("it was looked over"))
        np.testing.assert_array_equal(volume.picture(2)[..., 0], first[2])
    os.utime(path, (1, 1))
    asked = []
    with open_volume(path) as volume:
        volume.look_over(asked.append)
    assert asked == list(range(SHAPE[0]))


def test_looking_over_can_be_stopped(tmp_path):
    with open_volume(save_nifti(tmp_path / "scan.nii")) as volume:

        def stop(z):
            if z == 3:
                raise KeyError("asked to stop")

        with pytest.raises(KeyError):
            volume.look_over(stop)


# -- writing -------------------------------------------------------------------------------------


@pytest.fixture(params=[".nii", ".nii.gz", ".tif", ".zarr"])
def source(request, tmp_path):
    """A volume of each kind in a folder of its own."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"scan{request.param}"
    if request.param == ".tif":
        tifffile.imwrite(path, values(), photometric="minisblack")
    elif request.param == ".zarr":
        save_ome_zarr(path, values())
    else:
        save_nifti(path)
    return path


def breaking():
    yield from classes()[:3]
    raise KeyError("in the middle")


def test_what_breaks_off_leaves_nothing(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    target = out / source.name
    with pytest.raises(KeyError):
        write_like(source, target, breaking())
    assert list(out.iterdir()) == []
    write_like(source, target)
    with pytest.raises(KeyError):
        write_like(source, target, breaking())
    np.testing.assert_array_equal(read_all(target), np.stack(classes()))
    assert list(out.iterdir()) == [target]


def test_a_mask_replaces_the_former_one(source, tmp_path):
    target = tmp_path / source.name
    write_like(source, target)
    write_like(source, target, [one + 1 for one in classes()])
    np.testing.assert_array_equal(read_all(target), np.stack(classes()) + 1)


def test_writers_say_where_they_cannot_write(source, tmp_path):
    with pytest.raises(UserError, match=r"Cannot write .*scan"):
        write_like(source, tmp_path / "missing" / source.name)


def test_slices_that_do_not_fit_are_a_fault_of_ours(source, tmp_path):
    for slices in (classes()[:2], [one.T for one in classes()]):
        with pytest.raises(ValueError, match=r"slices came|slice . is uint8"):
            write_like(source, tmp_path / source.name, slices)
    assert not (tmp_path / source.name).exists()


def test_a_folder_that_is_no_store_is_not_replaced(tmp_path):
    path = save_ome_zarr(tmp_path / "a.zarr", values())
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(UserError, match="There is something else at"):
        write_like(path, tmp_path / "mine.zarr")


# -- kinds ---------------------------------------------------------------------------------------


def test_kinds_are_told(source, tmp_path):
    kinds = {".nii": "nifti", ".gz": "nifti", ".tif": "tiff", ".zarr": "zarr"}
    assert volume_kind(source) == kinds[source.suffix]
    assert is_zarr(source) == (source.suffix == ".zarr")
    (tmp_path / "notes.txt").write_text("text")
    assert volume_kind(tmp_path / "notes.txt") is None
    assert volume_kind(tmp_path) is None
    with pytest.raises(UserError, match=r"Cannot read 'notes.txt' as a volume; due is NIfTI"):
        open_volume(tmp_path / "notes.txt")
