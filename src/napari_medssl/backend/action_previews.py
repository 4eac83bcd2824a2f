"""What a training of ACTION finds so far in a few of its images, as one small picture to look at.

It lies beside the checkpoint and is written anew every few steps. Looking draws nothing at random
and changes no weight: a run with previews gives the numbers of one without.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from napari_medssl.io.class_colors import class_color
from napari_medssl.io.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.action_run import ActionRun

_MOST = 4
_SIDE = 144  # pixels of an image in the picture
_OPAQUE = 0.5


def preview_of(out: Path) -> Path:
    """Return where the preview of a run lies: beside its model."""
    return out.with_suffix(".preview.png")


def previewed(out: Path, run: ActionRun, every: int) -> dict[str, float]:
    """Write a preview if it is time for one; return what the progress of the step says of it."""
    if not every or run.done % every:
        return {}
    write_preview(out, run)
    return {"preview": float(run.done)}


def write_preview(out: Path, run: ActionRun) -> None:
    """Write the middles of up to four images with the classes of the teacher over them.

    Images without masks are taken before those with.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    views, found = teacher_classes(run, _MOST)
    pictures = [
        _painted(np.moveaxis(np.asarray(view), 0, 2), np.asarray(classes))
        for view, classes in zip(views, found, strict=True)
    ]
    stream = io.BytesIO()
    Image.fromarray(np.concatenate(pictures, axis=1)).save(stream, "PNG")
    write_whole(preview_of(out), stream.getvalue())


def teacher_classes(run: ActionRun, most: int) -> tuple[Tensor, Tensor]:
    """Return the middles of some images, uint8, (N, 3, S, S), and the teacher's classes of them.

    Images without masks are taken before those with; the classes are uint8, (N, S, S).
    """
    import torch

    from napari_medssl.backend.mixed_precision import mixed_precision

    known = len(run.images.labelled)
    chosen = (run.images.unlabelled[known:] or run.images.unlabelled)[:most]
    side = run.schedule.size
    views = torch.stack([_middle(planes, side) for planes in chosen])
    with torch.inference_mode(), mixed_precision(run.device, run.schedule.amp):
        found = run.network("teacher")(views.to(run.device).float() / 255).argmax(dim=1)
    return views, found.to(torch.uint8).cpu()


def _middle(planes: Tensor, side: int) -> Tensor:
    top, left = ((length - side) // 2 for length in planes.shape[1:])
    return planes[:, top : top + side, left : left + side]


def _painted(pixels: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with its classes in colour, uint8 RGB, in the size that is looked at."""
    mixed = pixels.astype(np.float32)
    for number in np.unique(classes[classes > 0]).tolist():
        color = np.array(ImageColor.getrgb(class_color(number)), np.float32)
        mixed[classes == number] *= 1 - _OPAQUE
        mixed[classes == number] += _OPAQUE * color
    picture = Image.fromarray(mixed.astype(np.uint8))
    return np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
