"""Convert a slide to an OME-Zarr store, and verify one.

Nothing else needs it: slides are viewed, indexed and searched where they are. A store is for
readers that do not know the vendor's format, and for slow disks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io import slide_store
from napari_medssl.io.slide_store import StoreReport, StoreSettings, VerifyReport
from napari_medssl.io.slide_tissue import find_tissue
from napari_medssl.io.slides import Slide, open_slide


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a slide to OME-Zarr."""

    mpp: float | None = option(
        None,
        help="Resolution of the full size; by default the slide's own. None finer can be given.",
        unit="µm/px",
        min=0.005,
        max=1000,
    )
    tissue_only: bool = option(False, help="Leave out squares of 2048 pixels without tissue.")
    codec: Literal["lossless", "jpeg"] = option(
        "lossless",
        help="JPEG is a tenth of the size; few readers know it, and it changes the pixels.",
    )
    chunk: int = option(
        512, help="Side of the parts that are read at once, 256 or 512.", unit="px", advanced=True
    )
    threads: int | None = option(
        None, help="How many squares are made at once.", min=1, max=64, advanced=True
    )


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """What a conversion came to, and what a person should know of it."""

    store: StoreReport
    warnings: tuple[str, ...]


def convert_slide(
    slide: str,
    out: Path,
    config: ConvertConfig | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ConvertReport:
    """Write `slide` to the store `out`, or go on where an earlier run of the same was stopped.

    Reports count shards, or the files that are checked before and after; their value "part" is how
    much of the slide is converted, 0 to 1.

    Raises
    ------
    io.slide_store.StoreTakenError
        If `out` holds something else, which is left as it is.
    UserError
        If the slide cannot be read, the place cannot be written, or they do not fit the config.
    Cancelled
        If `should_stop` said so, after the shard that was being made; the same call goes on.
    """
    config = config or ConvertConfig()
    settings = StoreSettings(config.mpp, config.tissue_only, config.codec, config.chunk)
    warnings: list[str] = []

    def tissue_of(opened: Slide) -> tuple[NDArray[np.bool_], float]:
        on_progress(Progress(0, None, "looking for tissue"))
        mpp = None if opened.mpp is None else max(opened.mpp)
        found = find_tissue(opened, mpp, should_stop=should_stop)
        if should_stop():
            raise slide_store.ConversionStopped
        return found.mask, found.downsample

    last = Progress(0)

    def report(step: slide_store.Step) -> None:
        nonlocal last
        if step.what == "converting":
            last = Progress(step.done, step.total)
        part = last.done / last.total if last.total else 0.0
        on_progress(Progress(step.done, step.total, _words(step), {"part": part}))

    with open_slide(slide) as opened:
        if opened.mpp is None:
            warnings.append(
                f"{opened.name!r} does not say how large its pixels are: the store counts in pixels"
                " and has no microns."
            )
        if config.codec == "jpeg":
            warnings.append(
                "JPEG in zarr is read only by programs that know imagecodecs, and changes pixels."
            )
        try:
            store = slide_store.write_store(
                opened,
                out,
                settings,
                find_tissue=tissue_of,
                on_step=report,
                should_stop=should_stop,
                threads=config.threads,
            )
        except slide_store.ConversionStopped as error:
            raise Cancelled(
                f"Stopped after {last.done} of {last.total or 0} shards. Give the same command "
                "again; it goes on there."
            ) from error
    return ConvertReport(store, tuple(warnings))


def verify_slide_store(
    store: Path, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> VerifyReport:
    """Read every file of a store that `convert_slide` made and compare it with the manifest.

    Raises
    ------
    UserError
        If there is no such store, or it has no manifest.
    Cancelled
        If `should_stop` said so.
    """

    def report(done: int, total: int) -> None:
        on_progress(Progress(done, total, "comparing"))

    found = slide_store.verify_store(store, on_file=report, should_stop=should_stop)
    if found is None:
        raise Cancelled
    return found


def megabytes_per_s(rgb_bytes: int, seconds: float) -> float:
    """Return the speed of a conversion in MB of level-0 RGB per second."""
    return rgb_bytes / 1e6 / max(seconds, 1e-9)


def _words(step: slide_store.Step) -> str:
    if step.what != "converting" or not step.rgb_bytes:
        return step.what
    return f"{megabytes_per_s(step.rgb_bytes, step.seconds):.0f} MB/s"
