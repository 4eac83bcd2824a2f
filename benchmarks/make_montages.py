"""Make montages of real images that no training saw: a test of black canvases and zero gaps.

Usage: python benchmarks/make_montages.py --data DATA --out DIR [--count 60] [--seed 0]

Writes DIR/black and DIR/zero-gap, each a folder for `medssl evaluate figures --data`. The images
are those of DATA that may not be shipped in weights and so never were in the training pool: breast
ultrasound, white cells, colon and lung tiles. Nothing of the training simulator is used: the images
are laid into plain grids or rows, without letters, words or noise. In half of the montages all
images are of one set, which makes touching panels hardest to part.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

_SETS = {
    "breast-ultrasound": "classes/breast_ultrasound",
    "white-cells": "classes/wbc_types",
    "white-cells-2": "segmentation/wbc_zheng2018/images",
    "colon": "tiles/lc25000_colon_crop256",
    "lung": "tiles/lc25000_lung224",
}
_IMAGES_PER_SET = 60

Rng = np.random.Generator


def read_sets(data: Path) -> dict[str, list[Image.Image]]:
    """Return the images by set; at most sixty of each."""
    sets = {}
    for name, folder in _SETS.items():
        paths = sorted(p for p in (data / folder).rglob("*") if p.suffix in {".png", ".jpg"})
        step = max(1, len(paths) // _IMAGES_PER_SET)
        sets[name] = [Image.open(p).convert("RGB") for p in paths[::step][:_IMAGES_PER_SET]]
    return {name: images for name, images in sets.items() if images}


def _cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale and crop about the centre to fill `width` x `height`."""
    s = max(width / image.width, height / image.height)
    w, h = width / s, height / s
    w, h = min(w, image.width), min(h, image.height)
    x, y = (image.width - w) / 2, (image.height - h) / 2
    return image.resize((width, height), Image.Resampling.BICUBIC, box=(x, y, x + w, y + h))


def _rows(rng: Rng, count: int) -> list[int]:
    """Panels per row: a grid, or rows of their own lengths."""
    rows = int(np.clip(round(np.sqrt(count) * rng.uniform(0.6, 1.3)), 1, count))
    columns = -(-count // rows)
    if rng.random() < 0.5:
        return [columns] * rows
    return [int(np.clip(columns + rng.integers(-1, 2), 1, 8)) for _ in range(rows)]


def montage(
    rng: Rng, images: list[Image.Image], gap: int, margin: int
) -> tuple[Image.Image, list[list[int]]]:
    """Return a montage on black and its panels `x, y, width, height` in pixels."""
    rows = _rows(rng, int(np.exp(rng.uniform(np.log(2), np.log(25)))))
    width = int(rng.integers(700, 1400))
    canvas = Image.new("RGB", (width + 2 * margin, 6000))
    boxes, y = [], margin
    aspect = rng.uniform(0.8, 1.4)
    for columns in rows:
        edges = np.linspace(0, width + gap, columns + 1).round().astype(int)
        height = int((edges[1] - gap) / aspect)
        for left, right in pairwise(edges):
            w = int(right - left - gap)
            image = images[int(rng.integers(len(images)))]
            canvas.paste(_cover(image, w, height), (margin + int(left), y))
            boxes.append([margin + int(left), y, w, height])
        y += height + gap
    return canvas.crop((0, 0, canvas.width, y - gap + margin)), boxes


def _write_set(
    sets: dict[str, list[Image.Image]], out: Path, count: int, seed: int, *, touching: bool
) -> None:
    (out / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for k in range(count):
        rng = np.random.default_rng([seed, k, int(touching)])
        names = sorted(sets)
        one = names[int(rng.integers(len(names)))]
        chosen = sets[one] if k % 2 else [i for n in names for i in sets[n]]
        gap = 0 if touching else int(rng.integers(2, 24))
        margin = 0 if touching else int(rng.integers(0, 24))
        picture, boxes = montage(rng, chosen, gap, margin)
        name = f"images/montage_{k:03d}.png"
        picture.save(out / name)
        images.append(
            {
                "id": k,
                "file_name": name,
                "width": picture.width,
                "height": picture.height,
                "compound": len(boxes) > 1,
                "source": one if k % 2 else "mixed",
            }
        )
        annotations += [
            {"id": len(annotations) + j, "image_id": k, "category_id": 1, "bbox": b}
            for j, b in enumerate(boxes)
        ]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "panel"}],
    }
    (out / "annotations.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sets = read_sets(arguments.data)
    for name, touching in (("black", False), ("zero-gap", True)):
        _write_set(sets, arguments.out / name, arguments.count, arguments.seed, touching=touching)


if __name__ == "__main__":
    main()
