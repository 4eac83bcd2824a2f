"""Index a made-up slide in a process of its own, to be killed: by number of tiles done."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from napari_medssl.backend import index_slides as verb
from napari_medssl.backend.encoders import EncoderInfo, HistogramEncoder
from napari_medssl.backend.index_config import IndexConfig

PIXELS = 16
SIDE = 1312  # 82 x 82 tiles, 6724 in all: 7 shards
CONFIG = IndexConfig(encoder="histogram", mpp=0.5, slide_mpp=0.5, min_tissue=0.0)


class SmallHistogram(HistogramEncoder):
    """Colour histograms of small tiles."""

    info = EncoderInfo(name="histogram", dim=512, pixels=PIXELS)


def write_slide(path, seed=0, side=SIDE):
    """A picture of squares of 8 pixels."""
    colours = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    Image.fromarray(np.repeat(np.repeat(colours, 8, 0), 8, 1)).save(path, compress_level=1)


def index(slide, library, on_progress):
    with patch.object(verb, "make_encoder", lambda name, device: SmallHistogram()):
        return verb.index_slides([str(slide)], Path(library), CONFIG, on_progress=on_progress)


def index_and_tell(slide, library, pipe):
    """What the child runs; it sends how many tiles are done."""
    index(slide, library, lambda progress: pipe.send(progress.done))
    pipe.send("finished")
