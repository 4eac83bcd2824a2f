"""Gather images and masks that may be shipped in weights: what `segmentation-encoder` learns from.

Usage: python scripts/make_segmentation_pool.py --data DATA --out POOL

POOL/images gets images without masks, POOL/labelled nuclei (class 1), vessels of the retina (2) and
8 structures of the heart (3 to 10) with theirs.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

_IMAGES = {  # beginning of names in POOL -> pattern under DATA
    "classes_bccd_cells": "classes/bccd_cells/**/*.png",
    "classes_blood8": "classes/blood8/**/*.png",
    "pretrain_chest_xray": "pretrain/chest_xray/**/*.*",
    "segmentation_retina_vessels_images": "segmentation/retina_vessels/images/*.*",
    "tiles_kather2016_150": "tiles/kather2016_150/**/*.*",
    "tiles_nct_crc224": "tiles/nct_crc224/**/*.*",
    "tiles_osteosarcoma_crop256": "tiles/osteosarcoma_crop256/**/*.*",
}
_DISCS, _MOST_DISCS = "landmarks/retina_disc/images", 20  # those by name that may be trained on
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}

_MASKS = (  # set, number of its first class, whether all that is not 0 is one class
    ("dsb2018", 1, True),
    ("retina_vessels", 2, True),
    ("hvsmr_mini", 3, False),
)

_BELIEVED = "CC BY 4.0 (believed, from memory of the owner's page)"
_CHASE = "https://researchdata.kingston.ac.uk/96/ (address from memory)"
_SOURCES_IMAGES = (
    (
        "chest X-rays (199), Hannover Medical School, unlabelled",
        "CC BY 3.0",
        "DOI 10.25835/0090041",
    ),
    (
        "osteosarcoma tiles (300), without their classes",
        "CC BY 3.0",
        "TCIA, Osteosarcoma-Tumor-Assessment",
    ),
    (
        "NCT-CRC tiles (42) and Kather 2016 tiles (24), without their classes",
        "CC BY 4.0 (licence of the upstream sets)",
        "",
    ),
    ("BCCD blood cells (450), without their classes", "MIT", "BCCD Dataset"),
    ("blood cells of 8 kinds (40), without their classes", "CC BY 4.0 (upstream)", ""),
    ("CHASE_DB1, 14 fundus images of 7 children, without their masks", _BELIEVED, _CHASE),
    (
        "IDRiD localisation, first 20 fundus images by name, unlabelled",
        "CC BY 4.0",
        "Indian Diabetic Retinopathy Image Dataset",
    ),
)
_SOURCES_MASKS = (
    (
        "DSB2018 (BBBC038), 50 images with nuclei",
        "CC0",
        "https://bbbc.broadinstitute.org/BBBC038 (address from memory)",
    ),
    ("CHASE_DB1, 14 fundus images of 7 children, with vessels", _BELIEVED, _CHASE),
    ("HVSMR, 20 slices with 8 structures of the heart", "CC BY 4.0", ""),
)


def _copy_images(data: Path, out: Path) -> None:
    for name, pattern in _IMAGES.items():
        _copy([p for p in sorted(data.glob(pattern)) if _is_picture(p)], out, name)
    discs = sorted(p for p in (data / _DISCS).iterdir() if _is_picture(p))
    _copy(discs[:_MOST_DISCS], out, "retina")
    _write_sources(out, _SOURCES_IMAGES)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES


def _copy(paths: list[Path], out: Path, prefix: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, out / f"{prefix}_{path.name}")


def _copy_masks(data: Path, out: Path) -> None:
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
    for name, first, is_one in _MASKS:
        folder = data / "segmentation" / name
        with (folder / "pairs.csv").open(newline="") as rows:
            for row in csv.DictReader(rows):
                stem = f"{name}_{Path(row['image']).stem}.png"
                picture = Image.open(folder / "images" / row["image"]).convert("RGB")
                picture.save(out / "images" / stem)
                mask = np.asarray(Image.open(folder / "masks" / row["mask"]))
                numbers = np.full_like(mask, first) if is_one else mask + (first - 1)
                classes = np.where(mask > 0, numbers, 0).astype(np.uint8)
                Image.fromarray(classes).save(out / "masks" / stem)
    _write_sources(out, _SOURCES_MASKS)


def _write_sources(out: Path, sources: tuple[tuple[str, str, str], ...]) -> None:
    keys = ("name", "licence", "source")
    entries = [dict(zip(keys, source, strict=True)) for source in sources]
    (out / "sources.json").write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    _copy_images(arguments.data, arguments.out / "images")
    _copy_masks(arguments.data, arguments.out / "labelled")


if __name__ == "__main__":
    main()
