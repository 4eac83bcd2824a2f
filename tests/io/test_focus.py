"""The blur of a tile is told in microns: known blurs are found again on real tissue."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from scipy import ndimage

from napari_medssl.io.focus import blur_um
from napari_medssl.io.slides import open_slide


def blurred(tiles, sigma):
    smooth = ndimage.gaussian_filter(tiles.astype(np.float32), (0, sigma, sigma, 0))
    return np.rint(smooth).astype(np.uint8)


def ihc():
    picture = skimage.io.imread(Path(skimage.__file__).parent / "data" / "ihc.png")[..., :3]
    return np.stack([picture[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256)])


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_a_known_blur_is_found_in_microns(mpp):
    found = [np.median(blur_um(blurred(ihc(), pixels), mpp)) / mpp for pixels in (3, 4, 6, 8)]
    assert found == pytest.approx([3, 4, 6, 8], rel=0.25)


def test_more_blur_is_a_larger_number():
    steps = np.array([blur_um(blurred(ihc(), sigma), 0.5) for sigma in (0.4, 1, 2, 3, 5, 8, 12)])
    assert (np.diff(steps, axis=0) > 0).all()


def test_what_is_empty_has_no_blur():
    rng = np.random.default_rng(0)
    glass = np.clip(rng.normal(240, 1, (1, 64, 64, 3)), 0, 255).astype(np.uint8)
    assert np.isnan(blur_um(glass, 0.5)).all()
    assert np.isnan(blur_um(np.zeros((2, 20, 20, 3), np.uint8), 0.5)).all()
    assert blur_um(np.zeros((0, 64, 64, 3), np.uint8), 0.5).shape == (0,)


def test_noise_and_contrast_change_it_little():
    tiles = blurred(ihc(), 4)
    noise = np.random.default_rng(0).normal(0, 2, tiles.shape)
    noisy = np.clip(tiles + noise, 0, 255).astype(np.uint8)
    pale = (255 - (255 - tiles.astype(float)) * 0.4).astype(np.uint8)
    due = np.median(blur_um(tiles, 0.5))
    assert np.median(blur_um(noisy, 0.5)) == pytest.approx(due, rel=0.2)
    assert np.median(blur_um(pale, 0.5)) == pytest.approx(due, rel=0.1)


@pytest.mark.data
@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "her2st_C2.tif", "her2st_C4.tif"])
def test_known_blurs_of_real_slides_are_found(data_dir, name):
    with open_slide(data_dir / "slides" / name) as slide:
        mpp, (width, height) = slide.mpp[0], slide.dimensions
        rng = np.random.default_rng(0)
        tiles = []
        while len(tiles) < 16:
            corner = (int(rng.integers(0, width - 256)), int(rng.integers(0, height - 256)))
            tile = slide.read_pixels(0, corner, (256, 256))
            if (tile.min(axis=2) < 190).mean() > 0.7 and tile[..., 1].std() > 12:
                tiles.append(tile)
    tiles = np.stack(tiles)
    assert np.median(blur_um(tiles, mpp)) < 1.1
    for sigma in (2.0, 3.0, 4.0, 6.0):
        found = np.median(blur_um(blurred(tiles, sigma / mpp), mpp))
        assert found == pytest.approx(sigma, rel=0.25)
