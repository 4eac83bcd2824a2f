"""Tiles of TRIDENT and CLAM: what they wrote is read, what points elsewhere is refused."""

import h5py
import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.tile_h5 import read_tile_h5


@pytest.mark.parametrize(
    ("name", "tiles", "dim", "size", "pixels", "slide"),
    [
        ("trident_features_synthetic.h5", 20, 64, 512, 256, "CMU-1-Small-Region"),
        ("trident_patches.h5", 20, None, 512, 256, "CMU-1-Small-Region"),
        ("clam_patches_TCGA-2V-A95S.h5", 1481, None, 512, 512, "TCGA-2V-A95S-01Z-00-DX1"),
    ],
)
def test_files_of_other_tools_are_read(data_dir, name, tiles, dim, size, pixels, slide):
    found = read_tile_h5(data_dir / "interop" / "h5" / name)
    assert found.locations.shape == (tiles, 2)
    assert (found.size, found.pixels) == (size, pixels)
    assert (None if found.embeddings is None else found.embeddings.shape[1]) == dim
    assert found.slide.startswith(slide)
    assert found.encoder == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own_external_link.h5", "has no dataset 'coords'|is a link to another place"),
        ("own_external_storage.h5", "has no dataset 'coords'|in other files"),
        ("own_object_strings.h5", "has no dataset 'coords'"),
        ("own_soft_cycle.h5", "has no dataset 'coords'|is a link to another place"),
        ("own_truncated.h5", "is damaged or another kind of file"),
        ("own_unallocated_4TB.h5", "the limit is|but keeps"),
    ],
)
def test_bad_files_get_their_line(data_dir, name, text):
    with pytest.raises(UserError, match=text) as told:
        read_tile_h5(data_dir / "badfiles" / "h5" / name)
    assert "\n" not in str(told.value)


@pytest.fixture
def write(tmp_path):
    def make(**parts):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            given = {"coords": np.zeros((3, 2), np.int64), "features": np.ones((3, 4), "f4")}
            for key, value in (given | parts).items():
                if value is not None:
                    file[key] = value
        return path

    return make


def test_links_and_storage_elsewhere_are_refused(write, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"x" * 48)
    for link in (h5py.ExternalLink("other.h5", "/features"), h5py.SoftLink("/coords")):
        with pytest.raises(UserError, match=r"'features' of 'a\.h5' is a link to another place"):
            read_tile_h5(write(features=link))
    path = write(features=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("features", (3, 4), "f4", external=[(str(secret), 0, 48)])
    with pytest.raises(UserError, match="keeps its values in other files"):
        read_tile_h5(path)
    path = write(features=None)
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "features", (3, 4))
        file.create_virtual_dataset("features", layout)
    with pytest.raises(UserError, match="keeps its values in other files"):
        read_tile_h5(path)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"coords": None}, "has no dataset 'coords'"),
        ({"coords": np.zeros((3, 3), int)}, r"due are whole numbers \(N, 2\)"),
        ({"coords": np.zeros((3, 2))}, "due are whole numbers"),
        ({"features": np.ones((2, 4), "f4")}, "2 rows of features for 3 tiles"),
        ({"features": np.full((3, 4), np.nan, "f4")}, "Row 0 of 'features' of 'a.h5' is not fin"),
        ({"features": np.ones((3, 4, 5), "f4")}, r"due are rows of numbers \(N, D\)"),
        ({"features": np.array([b"ab", b"c", b"d"])}, "due are numbers"),
    ],
)
def test_what_does_not_fit_is_told(write, parts, text):
    with pytest.raises(UserError, match=text):
        read_tile_h5(write(**parts))


def test_a_bomb_and_an_unknown_filter_are_refused(write):
    path = write(features=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("features", (3, 2**16), "f4", chunks=(3, 2**16), compression="gzip")
        file["features"][:] = 0
        del file["coords"]
        file.create_dataset("coords", (2_000_000, 2), "i8", chunks=(4096, 2))
    with pytest.raises(UserError, match=r"says that it holds 32 MB but keeps 0\.0 MB"):
        read_tile_h5(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        read_tile_h5(tmp_path / "none.h5")
