"""Whether the disk can hold a store, judged from a few chunks before hours of work."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store.plan import SHARD, Shard, StorePlan, StoreSettings
from napari_medssl.io.slide_store.shard_codec import encode_shard
from napari_medssl.io.slide_store.source import SlideSource
from napari_medssl.io.slides.protocol import SlideReadError

_SAMPLES = 12
_SURELY = 0.85  # a sample may be that much off: what may just fit is tried


def check_space(
    folder: Path,
    source: SlideSource,
    plan: StorePlan,
    settings: StoreSettings,
    todo: Sequence[Shard],
) -> None:
    """Raise `UserError` if the disk of `folder` surely cannot hold the shards still to write."""
    due = estimate_bytes(source, plan, settings, todo)
    free = shutil.disk_usage(folder).free
    if free < due * _SURELY:
        raise UserError(
            f"The disk of {str(folder)!r} has {_words(free)} free; the store will need about "
            f"{_words(due)}. Make room, or choose an --out on another disk."
        )


def estimate_bytes(
    source: SlideSource, plan: StorePlan, settings: StoreSettings, todo: Sequence[Shard]
) -> int:
    """Return about how many bytes the shards of `todo` will take, from chunks spread over them."""
    full = [shard for shard in todo if shard.level == 0]
    pixels = sum(height * width for height, width in map(plan.shape_of, full))
    ratios = []
    for shard in full[:: max(1, len(full) // _SAMPLES)]:
        height, width = plan.shape_of(shard)
        side_y, side_x = min(height, settings.chunk), min(width, settings.chunk)
        x = shard.column * SHARD + (width - side_x) // 2
        y = shard.row * SHARD + (height - side_y) // 2
        try:
            part = source.read(x, y, side_x, side_y)
        except SlideReadError:
            continue  # the conversion itself will say where
        size = len(encode_shard(part, settings.codec, settings.chunk))
        ratios.append(size / part.nbytes)
    mean = sum(ratios) / len(ratios) if ratios else 0.0
    return round(pixels * 3 * mean * 4 / 3)  # each level has a quarter of the one above


def _words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
