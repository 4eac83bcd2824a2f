"""What training the panel detector and fine-tuning it share: the pool and the sizes of figures."""

from __future__ import annotations

from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.images import scan_images


def check_pool(pool: Path) -> None:
    """Raise `UserError` now for a pool that a training would refuse after it has started."""
    if not pool.is_dir():
        raise UserError(f"Pool {str(pool)!r} is not a folder. Give one with single images.")
    if not scan_images([pool], recursive=True).refs:
        raise UserError(f"Pool {str(pool)!r} holds no readable image. Put single images in it.")


def training_sizes(smallest: int, largest: int) -> tuple[int, ...]:
    """Return the sides of training squares: multiples of 32, the largest stride, in the range.

    Raises
    ------
    UserError
        If there is none that is at least 64.
    """
    sizes = tuple(range(-(-smallest // 32) * 32, largest + 1, 32))
    if not sizes or sizes[0] < 64:
        raise UserError(
            f"--smallest {smallest} and --largest {largest} hold no multiple of 32 "
            "that is at least 64. Give for example 320 and 576."
        )
    return sizes
