"""What `medssl slide` says of a slide, and its thumbnail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.io.files import check_writable, replace_whole
from napari_medssl.io.slides import Slide, open_slide

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class SlideInfoConfig:
    """Say what a slide is."""

    all: bool = option(
        False,
        help="Also everything that the file says of itself; it may name a patient.",
    )


@dataclass(frozen=True)
class ThumbnailConfig:
    """Make a small picture of a slide."""

    size: int = option(1024, help="Longer side of the picture.", min=16, max=8192, unit="px")


@dataclass(frozen=True, slots=True)
class LevelInfo:
    """One level: its size, its downsample, and the tiles that it is stored in."""

    width: int
    height: int
    downsample: float
    tile_width: int
    tile_height: int


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What a slide says of itself.

    `private` and `associated_images` (names and sizes) are None unless they were asked for.
    """

    name: str
    kind: str
    width: int
    height: int
    mpp: tuple[float, float] | None
    objective_power: float | None
    levels: tuple[LevelInfo, ...]
    fingerprint: str
    properties: Mapping[str, str]
    associated_images: Mapping[str, tuple[int, int]] | None = None
    private: Mapping[str, str] | None = None


def slide_info(
    path_or_url: str | os.PathLike[str], config: SlideInfoConfig | None = None
) -> SlideInfo:
    """Return what the slide at a path or URL says of itself.

    Raises
    ------
    UserError
        As `open_slide`.
    """
    config = config or SlideInfoConfig()
    with open_slide(path_or_url) as slide:
        levels = tuple(
            LevelInfo(*size, round(downsample, 6), *slide.tile_size(level))
            for level, (size, downsample) in enumerate(
                zip(slide.level_dimensions, slide.level_downsamples, strict=True)
            )
        )
        associated = private = None
        if config.all:
            images = slide.associated_images
            associated = {name: images[name].shape[1::-1] for name in images}
            private = dict(sorted(slide.read_private_properties().items()))
        return SlideInfo(
            name=slide.name,
            kind=_kind(slide),
            width=slide.dimensions[0],
            height=slide.dimensions[1],
            mpp=slide.mpp,
            objective_power=_number(slide.properties.get("openslide.objective-power")),
            levels=levels,
            fingerprint=slide.fingerprint,
            properties=dict(slide.properties),
            associated_images=associated,
            private=private,
        )


def write_thumbnail(
    path_or_url: str | os.PathLike[str], out: Path, config: ThumbnailConfig | None = None
) -> tuple[int, int]:
    """Write a small picture of a whole slide to `out` and return its width and height.

    Neither label nor macro are in it.

    Raises
    ------
    UserError
        As `open_slide`, or if `out` is no picture's name or cannot be written.
    """
    config = config or ThumbnailConfig()
    if out.suffix.lower() not in _PICTURE_SUFFIXES:
        raise UserError(
            f"Cannot write {str(out)!r}: due is a name that ends in {', '.join(_PICTURE_SUFFIXES)}."
        )
    check_writable(out)
    from PIL import Image

    from napari_medssl.io.slides.overview import read_overview

    with open_slide(path_or_url) as slide:
        pixels = read_overview(slide, config.size)
    with replace_whole(out) as temporary:
        Image.fromarray(pixels).save(temporary)
    return pixels.shape[1], pixels.shape[0]


def _kind(slide: Slide) -> str:
    """Return the word for what was opened: OpenSlide's vendor, "ome-zarr" or "picture"."""
    vendor = slide.properties.get("openslide.vendor")
    if vendor is not None:
        return vendor
    return "picture" if type(slide).__name__ == "PictureSlide" else "ome-zarr"


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if 0 < value <= 1000 else None
