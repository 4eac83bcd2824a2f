"""Gather the single images that may be shipped in weights into one folder by class: the figure
pool.

Usage: python scripts/make_figure_pool.py --data DATA --out POOL
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
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
        image: Image.Image = Image.open(path)
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
        found = [p for p in sorted((data / folder).glob(pattern)) if p.is_file()]
        pictures = [
            p for p in found if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
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


# Free pictures inside the wheels of scikit-image and scikit-learn: figures show devices and scenes
# too. Public domain or CC0, but for china and flower (CC BY 2.0, see scikit-learn's README there).
_PHOTOGRAPHS = (
    ("skimage", "data", "astronaut.png chelsea.png coffee.png camera.png rocket.jpg coins.png"),
    ("skimage", "data", "hubble_deep_field.jpg brick.png grass.png gravel.png moon.png"),
    ("sklearn", "datasets/images", "china.jpg flower.jpg"),
)


def _photographs(out: Path) -> None:
    rng = np.random.default_rng(1)
    for package, folder, names in _PHOTOGRAPHS:
        for name in names.split():
            image = _open(Path(str(files(package))) / folder / name)
            if image is None:
                continue
            for k in range(6):
                share = 1.0 if k == 0 else float(rng.uniform(0.3, 0.8))
                w, h = int(image.width * share), int(image.height * share)
                x = int(rng.integers(0, image.width - w + 1))
                y = int(rng.integers(0, image.height - h + 1))
                part = image.crop((x, y, x + w, y + h))
                _save(part, out / "photograph" / f"{Path(name).stem}-{k}.png")


_SOURCES = (  # (name, licence); "believed" facts come from memory of the owner's page
    ("chest X-rays, Hannover Medical School (DOI 10.25835/0090041)", "CC BY 3.0"),
    ("osteosarcoma tiles", "CC BY 3.0"),
    ("NCT-CRC and Kather tiles", "CC BY 4.0 (licence of the upstream sets)"),
    ("BCCD blood cells", "MIT"),
    ("8 blood cell types", "CC BY 4.0 (licence of the upstream set)"),
    ("HVSMR heart MR", "CC BY 4.0"),
    ("DSB2018 nuclei", "CC0"),
    ("CHASE_DB1 fundus images", "CC BY 4.0 (believed)"),
    ("HRF vessel masks", "CC BY 4.0 (believed; repository MIT)"),
    ("OCTA synthetic vessel masks", "MIT (simulated)"),
    ("IDRiD fundus images, 20", "CC BY 4.0 (without labels)"),
    ("PneumoniaMNIST", "CC BY 4.0"),
    ("CMU-1-Small-Region slide", "CC0"),
    ("her2st C2, C4 slides", "CC BY 4.0 (believed)"),
    ("Visium mouse brain slide", "CC BY 4.0"),
    ("pictures in scikit-image's wheel", "CC0 and public domain"),
    ("china.jpg and flower.jpg in scikit-learn's wheel", "CC BY 2.0"),
)


def _write_sources(out: Path) -> None:
    entries = [dict(zip(("name", "licence"), s, strict=True)) for s in _SOURCES]
    (out / "sources.json").write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    _gather(arguments.data, arguments.out)
    _slides(arguments.data, arguments.out)
    _photographs(arguments.out)
    _write_sources(arguments.out)
    for folder in sorted(p for p in arguments.out.iterdir() if p.is_dir()):
        print(folder.name, sum(1 for _ in folder.iterdir()))


if __name__ == "__main__":
    main()
