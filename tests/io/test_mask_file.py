"""Masks as PNG: read back as written; what is something else is refused."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.mask_file import read_mask, write_mask


def test_a_mask_is_read_back(tmp_path):
    mask = np.random.default_rng(0).integers(0, 3, (37, 91))
    write_mask(tmp_path / "m.png", mask, 16.0 / 3)
    found, downsample = read_mask(tmp_path / "m.png")
    assert found.dtype == bool
    assert (found == (mask != 0)).all()
    assert downsample == 16.0 / 3


def test_other_files_are_refused(tmp_path):
    place = tmp_path / "m.png"
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"something else"):
        place.write_bytes(content)
        with pytest.raises(UserError, match=r"Cannot read the mask .*Delete it to begin anew"):
            read_mask(place)
    Image.new("1", (4, 4)).save(place)  # no mask of ours: it does not say where it lies
    with pytest.raises(UserError, match="Cannot read the mask"):
        read_mask(place)
    write_mask(place, np.ones((2, 2)), float("nan"))
    with pytest.raises(UserError, match="has the downsample nan"):
        read_mask(place)
    write_mask(place, np.ones((9, 9)), 2.0)
    place.write_bytes(place.read_bytes()[:60])
    with pytest.raises(UserError, match="Cannot read the mask"):
        read_mask(place)
