"""Slides made on the spot, so that tests need no data."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl.io.slides.halving import halve


@pytest.fixture
def make_tissue():
    """Return a function that draws smooth coloured noise on white, shape (Y, X, 3)."""

    def make(height, width, seed=0):
        from scipy.ndimage import gaussian_filter

        random = np.random.default_rng(seed)
        field = gaussian_filter(random.normal(size=(height // 4 + 1, width // 4 + 1, 3)), (6, 6, 0))
        field = np.repeat(np.repeat(field, 4, 0), 4, 1)[:height, :width]
        grain = random.normal(0, 6, (height, width, 3))
        pixels = 200 + 900 * np.minimum(field, 0) + grain
        return np.clip(pixels, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def write_tiff_slide(make_tissue):
    """Return a function that writes a tiled TIFF pyramid and returns its levels."""
    import tifffile

    def write(path, height=700, width=900, *, levels=3, tile=(128, 128), aperio=False, **more):
        options = {"compression": "jpeg", "photometric": "ycbcr", **more}
        pyramid = [make_tissue(height, width)]
        while len(pyramid) < levels:
            pyramid.append(halve(pyramid[-1]))
        with tifffile.TiffWriter(path) as writer:
            for number, pixels in enumerate(pyramid):
                if options["photometric"] == "ycbcr":  # tifffile takes what it is given
                    pixels = np.array(Image.fromarray(pixels).convert("YCbCr"))
                text = f"Aperio Image Library v11.2.1\n{width}x{height} |AppMag = 20|MPP = 0.5"
                writer.write(
                    pixels,
                    tile=tile,
                    subfiletype=1 if number else 0,
                    description=text if aperio else None,
                    metadata=None,
                    resolution=(20_000, 20_000),
                    resolutionunit="CENTIMETER",
                    **options,
                )
        return pyramid

    return write
