"""Where the shapes of a picture are: bright, or numbered."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_medssl._errors import UserError
from napari_medssl.backend.shape_pictures import read_shape
from napari_medssl.io.images import ImageRef


def cells(count, gaps=False):
    """Return squares of 5 x 5 pixels, each with its number, some touching."""
    mask = np.zeros((120, 150), np.uint32)
    for number in range(count):
        y, x = divmod(number, 25)
        mask[8 * y : 8 * y + 5, 6 * x : 6 * x + 5 + number % 2] = number * (1 + 2 * gaps) + 1
    return mask


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("count", [2, 3, 40, 300])
def test_all_numbered_objects_are_shapes(tmp_path, count, gaps):
    """Also the dark ones, of which a picture has the lower half of all numbers."""
    mask = cells(count, gaps and count > 8)
    tifffile.imwrite(tmp_path / "a.tif", mask)
    Image.fromarray(mask.astype(np.uint16)).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        assert (read_shape(ImageRef(tmp_path / name)) == (mask > 0)).all()


def test_a_drawn_shape_is_what_is_bright(tmp_path):
    """Its rim of greys, and a mark of another grey, are no numbers."""
    drawn = ndimage.gaussian_filter((cells(40) > 0) * 255.0, 0.5).astype(np.uint8)
    ring = np.where(cells(40) == 3, 100, (cells(40) > 0) * 255).astype(np.uint8)
    for pixels in (drawn, ring, (cells(40) > 0).astype(np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "a.png")
        due = pixels > pixels.max() / 2
        assert (read_shape(ImageRef(tmp_path / "a.png")) == due).all()


def test_a_photograph_is_no_shape(tmp_path):
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=(120, 150)), 2)
    photo = np.interp(noise, (noise.min(), noise.max()), (0, 255)).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"neither dark nor bright; .* that numbers them from 1"):
        read_shape(ImageRef(tmp_path / "a.png"))
