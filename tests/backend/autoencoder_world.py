"""A folder of two kinds of small pictures, and what trains an autoencoder on them in a moment."""

import numpy as np
import pytest
import torch
from PIL import Image

from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig

QUICK = {"size": "32", "widths": (8, 16), "dim": 8, "batch": 16, "device": "cpu", "clusters": "2"}
QUICK |= {"warmup_steps": 2, "steps": 2, "checkpoint_every": 1}


def picture(seed):
    """Return a bright disc on dark, or dark stripes on bright, uint8 (40, 40)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :40]
    if seed % 2:
        at, radius = rng.uniform(15, 25, 2), rng.uniform(8, 13)
        values = np.where(np.hypot(y - at[0], x - at[1]) < radius, 220, 40)
    else:
        values = np.where((x + rng.integers(0, 9)) // rng.integers(3, 6) % 2, 200, 120)
    return np.clip(values + rng.normal(0, 6, values.shape), 0, 255).astype(np.uint8)


def make_folder(folder, count=24):
    """Write pictures to two class folders, whose names nobody is to look at."""
    for number in range(count):
        place = folder / ("odd" if number % 2 else "even")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(place / f"{number}.png")
    return folder


def config_of(data, out, **changes):
    return TrainAutoencoderConfig(data=data, out=out, **(QUICK | changes))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Train on one thread: networks this small lose more to waiting than they gain by two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
