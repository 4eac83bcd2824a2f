"""Small eyes and small shapes to train on."""

import csv

import numpy as np
from PIL import Image

from napari_medssl.backend.shape_guided_config import TrainShapeGuidedConfig

SMALL = {"steps": 3, "renders": 2, "size": 64, "view": 32, "grid": 4, "width": 4, "dim": 8}
SMALL |= {"clusters": 3, "device": "cpu", "checkpoint_every": 1, "class_name": "vessel"}


def truth(number, side=72):
    """Return two crossing lines, bool, shape (Y, X)."""
    mask = np.zeros((side, side), bool)
    mask[:, 20 + 5 * number : 24 + 5 * number] = True
    mask[30 + 3 * number : 33 + 3 * number, :] = True
    return mask


def eye(number, side=72):
    """Return a lit disc on black with dark lines in it, uint8 RGB."""
    rng = np.random.default_rng(number)
    grey = 120 + rng.normal(0, 6, (side, side)) - 50 * truth(number, side)
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    grey[np.hypot(rows, columns) > side / 2 - 2] = 0
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def write_world(folder, count=4):
    """Write eyes, shapes, and a folder with pairs of images and masks; return the three."""
    eyes, shapes, pairs = (folder / name for name in ("eyes", "shapes", "pairs"))
    for place in (eyes, shapes, pairs / "images", pairs / "masks"):
        place.mkdir(parents=True)
    rows = []
    for number in range(count):
        Image.fromarray(eye(number)).save(eyes / f"{number}.png")
        mask = Image.fromarray(truth(number).astype(np.uint8) * 255)
        mask.rotate(37).save(shapes / f"{number}.png")
        Image.fromarray(eye(number)).save(pairs / "images" / f"{number}.png")
        mask.save(pairs / "masks" / f"{number}.png")
        rows.append((f"{number}.png", f"{number}.png", f"g{number // 2}", "0|255"))
    with (pairs / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "mask", "group", "labels"), *rows])
    return eyes, shapes, pairs


def small_config(eyes, shapes, out, **changes):
    """Return a config whose training takes a second."""
    return TrainShapeGuidedConfig(data=eyes, shapes=shapes, out=out, **(SMALL | changes))
