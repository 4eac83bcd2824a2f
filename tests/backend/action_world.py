"""Red and yellow disks on noise, with their classes 1 and 2, and small trainings on them."""

import numpy as np
from PIL import Image

from napari_medssl.backend.action_config import TrainActionConfig

SIDE = 80
COLORS = ((200, 60, 60), (225, 225, 80))


def disks(seed, side=SIDE):
    """Return an image with one disk of each colour, uint8 (Y, X, 3), and its classes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 160, (side, side, 3))
    classes = np.zeros((side, side), np.uint8)
    rows, columns = np.indices((side, side))
    for number, color in enumerate(COLORS, start=1):
        radius = side // 6 + int(rng.integers(0, side // 12))
        # Each has a half of the image to itself.
        middle = (rng.integers(radius, side - radius), (2 * number - 1) * side // 4)
        inside = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < radius**2
        classes[inside] = number
        pixels[inside] = np.array(color) + rng.integers(-30, 30, (int(inside.sum()), 3))
    return pixels.clip(0, 255).astype(np.uint8), classes


def save(path, values):
    """Write an array as a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_labelled(folder, seeds, side=SIDE):
    """Write images/ and masks/ of some disks."""
    for seed in seeds:
        pixels, classes = disks(seed, side)
        save(folder / "images" / f"{seed:03d}.png", pixels)
        save(folder / "masks" / f"{seed:03d}.png", classes)
    return folder


def write_unlabelled(folder, seeds, side=SIDE):
    """Write some images of disks into one folder."""
    for seed in seeds:
        save(folder / f"{seed:03d}.png", disks(seed, side)[0])
    return folder


def write_set(folder, seeds):
    """Write disks with pairs.csv, each image of a group of its own."""
    write_labelled(folder, seeds)
    rows = [f"{s:03d}.png,{s:03d}.png,g{s},0|1|2" for s in seeds]
    (folder / "pairs.csv").write_text("\n".join(["image,mask,group,labels", *rows]) + "\n")
    return folder


def small_config(labelled, out, **changes):
    """Return the config of a training of moments."""
    given = {"steps": 3, "batch": 2, "size": 64, "short_side": 64, "device": "cpu"}
    given |= {"stages": "supervised", "start": "random", "checkpoint_every": 2}
    return TrainActionConfig(labelled=labelled, out=out, **(given | changes))
