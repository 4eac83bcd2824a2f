"""Open slides with random damage under a memory limit; run by test_slides_mutated in a child.

    python mutate_slides.py COUNT SEED FOLDER SLIDE

Prints one JSON line. Any other error than `UserError` ends it with a traceback.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from pathlib import Path

import tifffile

from napari_medssl._errors import UserError
from napari_medssl.io.slides import open_slide

ODD = (None, -1, 0, 1e308, 2**63, "", "../..", [], {}, [[]], True, "x" * 1000, float("nan"), 0.5)


def damage_tiff(content: bytes, spots: list[tuple[int, int]], dice: random.Random) -> bytes:
    """Return `content` with some bytes changed, most of them in the directories, or cut off."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 2, 4, 16))):
        place, length = dice.choice(spots)
        at = place + dice.randrange(length) if dice.random() < 0.7 else dice.randrange(len(data))
        data[min(at, len(data) - 1)] = dice.choice((0, 255, dice.randrange(256)))
    return bytes(data[: dice.randrange(1, len(data))] if dice.random() < 0.1 else data)


def directories(path: Path) -> list[tuple[int, int]]:
    """Return place and length of each TIFF directory."""
    with tifffile.TiffFile(path) as file:
        return [(page.offset, 6 + 12 * len(page.tags)) for page in file.pages]


def damage_json(value: object, dice: random.Random) -> object:
    """Return a JSON value in which one node is replaced by something odd, or left out."""
    if not isinstance(value, (dict, list)) or not value or dice.random() < 0.1:
        return dice.choice(ODD)
    if isinstance(value, dict):
        key = dice.choice(sorted(value))
        if dice.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: damage_json(value[key], dice)}
    at = dice.randrange(len(value))
    return [*value[:at], damage_json(value[at], dice), *value[at + 1 :]]


def damage_store(source: Path, target: Path, dice: random.Random) -> None:
    """Copy a zarr store with one of its JSON files damaged, or a chunk."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    path = dice.choice([p for p in files if p.suffix == ".json"] if dice.random() < 0.8 else files)
    path.chmod(0o644)
    if path.suffix == ".json":
        path.write_text(json.dumps(damage_json(json.loads(path.read_text()), dice)))
    else:
        data = bytearray(path.read_bytes())
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data[: dice.randrange(len(data))] if dice.random() < 0.3 else data)


def check_line(error: UserError) -> None:
    """Raise if the text of `error` is not one line."""
    assert "\n" not in str(error), str(error)


def look_over(path: Path) -> int:
    """Read all that the program reads of a slide; return how many places were bad."""
    bad = 0
    with open_slide(path) as slide:
        try:
            _ = slide.fingerprint, slide.properties, slide.mpp
        except UserError:
            bad += 1
        for level, (width, height) in enumerate(slide.level_dimensions):
            for corner in ((0, 0), (width // 2, height // 2), (width - 300, height - 300)):
                try:
                    slide.read_pixels(level, corner, (300, 300))
                except UserError as error:
                    check_line(error)
                    bad += 1
    return bad


def main(count: int, seed: int, folder: Path, source: Path) -> None:
    """Damage a slide `count` times and print what came of it."""
    is_store = source.is_dir()
    spots = [] if is_store else directories(source)
    content = b"" if is_store else source.read_bytes()
    target = folder / f"damaged{source.suffix}"
    found = {"opened": 0, "refused": 0, "bad": 0, "slowest_s": 0.0}
    for number in range(seed, seed + count):
        dice = random.Random(number)
        if is_store:
            damage_store(source, target, dice)
        else:
            target.write_bytes(damage_tiff(content, spots, dice))
        print(number, file=sys.stderr, flush=True)  # the last one tells what ended the process
        start = time.monotonic()
        try:
            found["bad"] += look_over(target)
            found["opened"] += 1
        except UserError as error:
            check_line(error)
            found["refused"] += 1
        found["slowest_s"] = max(found["slowest_s"], time.monotonic() - start)
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
