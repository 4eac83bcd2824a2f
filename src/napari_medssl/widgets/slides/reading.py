"""What is read of a slide off the GUI thread: to show it, and as small pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.layer_data import LayerData, slide_layer
from napari_medssl.io.slides.overview import read_overview
from napari_medssl.io.slides.protocol import Pixels, Slide
from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.widgets._thumbnails import HEIGHT, WIDTH, kept_picture

MAP_SIDE = 512
_MOST_READ = 256_000_000  # pixels of the coarsest level that a small picture is made from
_WARM_PIXELS = 6_000_000


@dataclass(frozen=True)
class OpenedSlide:
    """A slide that was opened for a view, and its layer's data.

    `entry` is what was known of it; `is_store` says that its OME-Zarr store stands in for it.
    """

    key: int
    slide: Slide
    layer: LayerData
    entry: SlideEntry
    is_store: bool


def source_to_open(entry: SlideEntry) -> str:
    """Return the original, or its store where the original is gone."""
    return entry.source if entry.is_readable or not entry.converted else entry.converted


def open_for_view(key: int, entry: SlideEntry, *, should_stop: Callable[[], bool]) -> OpenedSlide:
    """Open a slide and read what the first view shows, so that the window does not wait for it.

    Raises
    ------
    UserError
        If it cannot be opened.
    Cancelled
        If another slide was asked for meanwhile.
    """
    source = source_to_open(entry)
    slide = open_slide(source)
    try:
        if source != entry.source:
            _check_stand_in(slide, entry)
        data = slide_layer(slide)
        _ = slide.fingerprint
        for level in reversed(data[0]):
            if should_stop():
                raise Cancelled
            if level.shape[0] * level.shape[1] > _WARM_PIXELS:
                break
            _ = level[:]
    except BaseException:
        slide.close()
        raise
    return OpenedSlide(key, slide, data, entry, source != entry.source)


def _check_stand_in(store: Slide, entry: SlideEntry) -> None:
    """Raise UserError unless a store has the pixels of its slide: regions count in those."""
    if store.dimensions != (entry.width, entry.height):
        width, height = store.dimensions
        raise UserError(
            f"{entry.name!r} cannot be opened ({entry.problem}), and its store {store.name!r} has "
            f"another resolution, {width} x {height} instead of {entry.width} x {entry.height} "
            "pixels. Put the slide back, or link the store as a slide of its own."
        )


def read_map(slide: Slide, cache: DiskCache | None) -> Pixels:
    """Return a picture of all of a slide with at most 512 px a side, shape (Y, X, 3).

    Raises
    ------
    UserError
        If the slide is damaged or has no level that is small enough.
    """
    return _small_picture(slide, MAP_SIDE, cache, slide.fingerprint)


def slide_thumbnail(entry: SlideEntry, cache: DiskCache | None) -> np.ndarray:
    """Return a picture of a slide for the list, from the cache if it was made before."""

    def make() -> np.ndarray:
        with open_slide(source_to_open(entry)) as slide:
            return _small_picture(slide, 2 * WIDTH, None, "")

    key = f"slide|{entry.fingerprint}|{2 * WIDTH}|{2 * HEIGHT}"
    return kept_picture(cache, key, make)


def _small_picture(slide: Slide, side: int, cache: DiskCache | None, fingerprint: str) -> Pixels:
    width, height = slide.level_dimensions[-1]
    if width * height > _MOST_READ:
        raise UserError("The slide has no small level, so no picture of all of it is made.")
    key = f"slide map|{fingerprint}|{side}"
    return np.ascontiguousarray(kept_picture(cache, key, partial(read_overview, slide, side)))


def label_and_macro(source: str) -> dict[str, Pixels]:
    """Return the label, macro and other associated images of a slide, by name.

    They may show the name of a patient: call this only where a person has asked for them.
    """
    with open_slide(source) as slide:
        images = slide.associated_images
        found = {}
        for name in images:
            with suppress(UserError):  # one that is damaged; the others are shown
                found[name] = _fitted(images[name])
        return found


def _fitted(pixels: Pixels, side: int = 900) -> Pixels:
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.array(picture)
