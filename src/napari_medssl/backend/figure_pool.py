"""Read a folder of single images as the simulator's pool, and write simulated figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.model_cards import DataSource
from napari_medssl.backend.sources import read_sources
from napari_medssl.io.annotations import write_boxes
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.files import check_writable, make_folder, replace_whole
from napari_medssl.io.images import read_image, scan_images
from napari_medssl.methods.simcfs.pool import Pool, made_textures
from napari_medssl.methods.simcfs.simulator import Simulator, SimulatorConfig

_LONGEST = 512  # a panel is seldom larger; keeps a pool of thousands of images in memory


@dataclass(frozen=True)
class SimulateConfig:
    """Make compound figures with known panels from a pool of single images."""

    count: int = option(100, help="How many figures to make.", min=1)
    seed: int = option(0, help="The same seed makes the same figures.", min=0)
    most_panels: int = option(30, help="Most panels in one figure.", min=1, max=200)
    single: float = option(0.2, help="Share of single figures.", min=0, max=1)
    intra_class: bool = option(
        True, help="Also make the hard cases: touching panels, all of one class."
    )
    textures: bool = option(True, help="Add made textures of further modalities to the pool.")


def load_pool(
    folder: Path,
    *,
    textures: bool = True,
    longest: int = _LONGEST,
    should_stop: ShouldStop = never,
) -> Pool:
    """Return the single images below `folder`; the class of an image is its folder's name.

    Parameters
    ----------
    textures
        Whether to add made textures.
    longest
        Longer images are scaled down to this many pixels.

    Raises
    ------
    UserError
        If the folder is missing or holds no readable image.
    Cancelled
        If `should_stop` said so.
    """
    if not folder.is_dir():
        raise UserError(f"Pool {str(folder)!r} is not a folder. Give one with single images.")
    classes: dict[str, list[np.ndarray]] = {}
    for ref in scan_images([folder], recursive=True).refs:
        if should_stop():
            raise Cancelled("Stopped while reading the pool; nothing is written. Run it again.")
        try:
            image = read_image(ref)
        except UserError:
            continue  # one damaged image does not spoil a pool of thousands
        classes.setdefault(ref.path.parent.name, []).append(_shrink(image, longest))
    if not classes:
        raise UserError(f"Pool {str(folder)!r} holds no readable image. Put single images in it.")
    return Pool({**classes, **(made_textures() if textures else {})})


def pool_sources(folder: Path) -> tuple[DataSource, ...]:
    """Return whence a pool's images come, see `backend.sources`."""
    return read_sources(folder, f"pool {folder.name!r}")


def _shrink(image: np.ndarray, longest: int) -> np.ndarray:
    if max(image.shape[:2]) <= longest:
        return image
    picture = Image.fromarray(image)
    picture.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def make_simulator(pool: Pool, config: SimulateConfig) -> Simulator:
    """Return the simulator that `config` describes."""
    return Simulator(
        pool,
        SimulatorConfig(
            most_panels=config.most_panels, single=config.single, intra_class=config.intra_class
        ),
    )


def simulate_figures(
    pool: Path,
    out: Path,
    config: SimulateConfig | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> int:
    """Write `config.count` figures to `out/images` and their boxes to `out/annotations.json`.

    Returns the number of figures. The annotations are written last: a folder without them was
    not finished.

    Raises
    ------
    UserError
        If the pool cannot be used, or `out` holds something already.
    Cancelled
        If `should_stop` said so; the figures made so far stay, with annotations.
    """
    config = config or SimulateConfig()
    _check_new(out)
    on_progress(Progress(0, config.count, "reading the pool"))
    images_of_pool = load_pool(pool, textures=config.textures, should_stop=should_stop)
    simulator = make_simulator(images_of_pool, config)
    images: list[ImageBoxes] = []
    for k in range(config.count):
        if should_stop():
            break
        make_folder(out / "images")
        figure = simulator.figure(config.seed * 10_000_000 + k)
        name = f"images/figure_{k:06d}.png"
        with replace_whole(out / name) as temporary:
            Image.fromarray(figure.image).save(temporary, format="PNG", compress_level=3)
        boxes = tuple(
            Box(x0, y0, x1, y1, label=letter)
            for (x0, y0, x1, y1), letter in zip(figure.boxes.tolist(), figure.letters, strict=True)
        )
        height, width = figure.image.shape[:2]
        images.append(ImageBoxes(name, width, height, boxes, {"compound": len(boxes) > 1}))
        on_progress(Progress(k + 1, config.count, name))
    if images:
        write_boxes(images, out / "annotations.json", "coco")
    if len(images) < config.count:
        raise Cancelled(_stop_line(len(images), config.count, out))
    return len(images)


def _check_new(out: Path) -> None:
    """Raise `UserError` unless `out` is an empty folder or can be made one: before the pool."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {str(out)!r} is a file. Give a new folder.")
    is_new = not out.exists()
    make_folder(out)
    try:
        if any(out.iterdir()):
            raise UserError(f"Folder {str(out)!r} is not empty. Give a new one with --out.")
        check_writable(out / "annotations.json")
    finally:
        if is_new:
            out.rmdir()


def _stop_line(done: int, count: int, out: Path) -> str:
    kept = f"they are in {str(out)!r} with their boxes" if done else "nothing is written"
    again = "into a new --out " if done else ""
    return (
        f"Stopped after {done} of {count} figures; {kept}. Run the same command {again}again "
        "for all of them: the same seed makes the same figures."
    )
