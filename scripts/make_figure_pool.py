"""Gather the single images that may be shipped in weights into one folder by class: the figure
pool.

Usage: python scripts/make_figure_pool.py --data DATA --out POOL
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

_FOLDERS = {  # class name -> (folder under DATA, glob, most images)
    "chest-xray": ("pretrain/chest_xray", "**/*.*", 80),
    "osteosarcoma": ("tiles", "osteosarcoma*/**/*.*", 60),
    "nct": ("tiles", "nct*/**/*.*", 42),
    "kather": ("tiles", "kather*/**/*.*", 24),
    "bccd": ("classes/bccd_cells", "**/*.*", 60),
    "blood8": ("classes/blood8", "**/*.*", 40),
    "hvsmr": ("segmentation/hvsmr_mini/images", "**/*.*", 20),
    "dsb2018": ("segmentation/dsb2018/images", "**/*.*", 50),
    "chase": ("segmentation/retina_vessels/images", "**/*.*", 14),
    "hrf-vessels": ("shapes/HRF_vessels", "**/*.*", 20),
    "octa-vessels": ("shapes/OCTA_synthetic", "**/*.*", 20),
}


def _save(image: Image.Image, path: Path, longest: int = 512) -> None:
    image = image.convert("RGB")
    image.thumbnail((longest, longest))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _open(path: Path) -> Image.Image | None:
    try:
        image = Image.open(path)
        if image.mode.startswith("I"):
            values = np.asarray(image, float)
            image = Image.fromarray(
                np.uint8(255 * (values - values.min()) / (np.ptp(values) + 1e-9))
            )
        return image.convert("RGB")
    except OSError:
        return None


def _gather(data: Path, out: Path) -> None:
    for name, (folder, pattern, most) in _FOLDERS.items():
        files = [p for p in sorted((data / folder).glob(pattern)) if p.is_file()]
        pictures = [
            p for p in files if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
        ]
        step = max(1, len(pictures) // most)
        for k, path in enumerate(pictures[::step][:most]):
            if (image := _open(path)) is not None:
                _save(image, out / name / f"{k:03d}.png")
    disc = sorted(
        p
        for p in (data / "landmarks/retina_disc").rglob("*")
        if p.suffix.lower() in {".jpg", ".png"}
    )
    for k, path in enumerate(
        disc[:20]
    ):  # the first 20 by name may be trained on, the rest is for scoring
        if (image := _open(path)) is not None:
            _save(image, out / "retina" / f"{k:03d}.png")
    archive = np.load(data / "classes/pneumonia28.npz", allow_pickle=False)
    images = archive[archive.files[0]]
    for k, image in enumerate(images[:: max(1, len(images) // 30)][:30]):
        _save(Image.fromarray(image).resize((224, 224)), out / "pneumonia" / f"{k:03d}.png")


def _slides(data: Path, out: Path) -> None:
    import openslide

    rng = np.random.default_rng(0)
    for slide_path in sorted((data / "slides").glob("*.*")):
        try:
            slide = openslide.OpenSlide(slide_path)
        except openslide.OpenSlideError:
            continue
        width, height = slide.dimensions
        for k in range(24):
            side = int(rng.choice([400, 900, 2000]))
            side = min(side, width, height)
            x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
            region = slide.read_region((int(x), int(y)), 0, (side, side)).convert("RGB")
            if np.asarray(region).std() > 12:
                _save(region, out / f"slide-{slide_path.stem}" / f"{k:03d}.png", 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    _gather(arguments.data, arguments.out)
    _slides(arguments.data, arguments.out)
    for folder in sorted(arguments.out.iterdir()):
        print(folder.name, sum(1 for _ in folder.iterdir()))


if __name__ == "__main__":
    main()
