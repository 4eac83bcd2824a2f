"""Embeddings of a folder of pictures nobody trained for: ImageNet's, fitted to the folder.

The pictures are seen in several views, and what changes between the views of one picture (light,
colour, place and direction) is held down, see `methods.view_whitening`. No label is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.tile_pictures import read_batches
from napari_medssl.io.images import ImageRef

PIXELS = 128
"""Side that pictures are brought to; those that are smaller are enlarged."""

FITTED = 2000
"""Pictures that are seen in all views; of more, the others are seen as they are."""

_STAGES = (5, 6)  # the last two: those before mind colour, the one after knows ImageNet's classes
_BATCH = 32


@dataclass(frozen=True, slots=True)
class ViewEmbeddings:
    """What `embed_by_views` gives.

    Attributes
    ----------
    refs
        The pictures that could be read.
    embeddings
        float32, unit length, shape (N, P).
    failures
        (name, reason) of those that could not.
    """

    refs: tuple[ImageRef, ...]
    embeddings: NDArray[np.float32]
    failures: tuple[tuple[str, str], ...]


def embed_by_views(
    refs: Sequence[ImageRef],
    device: str = "cpu",
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ViewEmbeddings:
    """Return embeddings that are fitted to these pictures.

    Parameters
    ----------
    refs
        Of one kind; at least two that can be read.
    device
        Torch name of where the network runs.
    seed
        Of the views.

    Raises
    ------
    UserError
        If fewer than two can be read.
    Cancelled
        If `should_stop` said so; it is asked for each batch and view.
    """
    import torch

    from napari_medssl.backend.trunks import load_imagenet_trunk
    from napari_medssl.methods.siamese.trunk import normalise_pixels
    from napari_medssl.methods.view_whitening.views import ViewRange, Views
    from napari_medssl.methods.view_whitening.whitening import fit_view_whitening

    how = ViewRange()
    views = Views(len(refs), how, seed)
    trunk = load_imagenet_trunk().to(device)
    trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fitted = np.zeros(len(refs), bool)
    chosen = np.random.default_rng(seed).permutation(len(refs))[:FITTED]
    fitted[chosen] = True
    number_of = {ref: number for number, ref in enumerate(refs)}
    failures: list[tuple[str, str]] = []
    kept: list[ImageRef] = []
    seen: list[NDArray[np.float32]] = []  # (V, B, D) of a batch
    plain: list[NDArray[np.float32]] = []

    def features(pixels: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode(), mixed_precision(device, True):
            stages = trunk.stages(pixels.contiguous(memory_format=torch.channels_last))
        maps = [stages[stage].float() for stage in _STAGES]
        parts = [part for m in maps for part in (m.mean(dim=(2, 3)), m.std(dim=(2, 3)))]
        return torch.cat(parts, dim=1).cpu().numpy()

    for done, batch, tiles in read_batches(refs, PIXELS, _BATCH, failures):
        numbers = np.array([number_of[ref] for ref in batch])
        pixels = normalise_pixels(torch.from_numpy(tiles).permute(0, 3, 1, 2)).to(device)
        of = torch.from_numpy(fitted[numbers])
        some = []
        for view in range(how.count):
            if should_stop():
                raise Cancelled(f"Stopped after {len(kept)} of {len(refs)} pictures.")
            if view == 0:
                plain.append(features(pixels))
            elif of.any():
                of_numbers = torch.from_numpy(numbers)[of]
                some.append(features(views.make(pixels[of], of_numbers, view)))
        if some:
            seen.append(np.stack([plain[-1][of.numpy()], *some]))
        kept += batch
        on_progress(Progress(done, len(refs), "looking at pictures in several views"))
    if len(kept) < 2:
        raise UserError(
            f"{len(kept)} of {len(refs)} pictures can be read; at least 2 are due to compare."
        )
    every = torch.from_numpy(np.concatenate(seen, axis=1))
    whitening = fit_view_whitening(every)
    # The mean over views is steadier; where there are more pictures, all are treated alike.
    alike = every.mean(dim=0) if len(refs) <= FITTED else torch.from_numpy(np.concatenate(plain))
    embeddings = whitening.apply(alike.double()).numpy().astype(np.float32)
    return ViewEmbeddings(tuple(kept), embeddings, tuple(failures))
