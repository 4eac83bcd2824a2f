"""Embeddings of a folder of pictures nobody trained for: ImageNet's, fitted to the folder.

The pictures are seen in several views, and what changes between the views of one picture (light,
colour, place and direction) is held down, see `methods.view_whitening`. No label is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.kept_batches import KeptBatches, stopped_line
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.tile_pictures import read_batches
from napari_medssl.io.images import ImageRef

if TYPE_CHECKING:
    from torch import Tensor

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
    kept: KeptBatches | None = None,
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
    kept
        Where batches are kept, so that a stopped run goes on; None for nowhere.

    Raises
    ------
    UserError
        If fewer than two can be read.
    Cancelled
        If `should_stop` said so; it is asked for each batch and view.
    """
    import torch

    from napari_medssl.methods.view_whitening.whitening import fit_view_whitening

    eye = _Eye(len(refs), device, seed)
    failures: list[tuple[str, str]] = []
    read: list[ImageRef] = []
    seen: list[NDArray[np.float32]] = []  # (V, B, D) of a batch
    plain: list[NDArray[np.float32]] = []
    number_of = {ref: number for number, ref in enumerate(refs)}

    def check() -> None:
        if should_stop():
            raise Cancelled(stopped_line(len(read), len(refs), kept))

    for done, batch, tiles in read_batches(refs, PIXELS, _BATCH, failures):
        numbers = np.array([number_of[ref] for ref in batch])
        check()
        look = partial(eye.look, tiles, numbers, check)
        about = (eye.mark, numbers.tolist())
        values = look() if kept is None else kept.values(tiles, about, look)
        plain.append(values[: len(batch)])
        of = eye.fitted[numbers]
        if of.any():
            drawn = values[len(batch) :].reshape(-1, int(of.sum()), values.shape[1])
            seen.append(np.concatenate([plain[-1][None, of], drawn]))
        read += batch
        on_progress(Progress(done, len(refs), "looking at pictures in several views"))
    if len(read) < 2:
        raise UserError(
            f"{len(read)} of {len(refs)} pictures can be read; at least 2 are due to compare."
        )
    every = torch.from_numpy(np.concatenate(seen, axis=1))
    whitening = fit_view_whitening(every)
    # The mean over views is steadier; where there are more pictures, all are treated alike.
    alike = every.mean(dim=0) if len(refs) <= FITTED else torch.from_numpy(np.concatenate(plain))
    embeddings = whitening.apply(alike.double()).numpy().astype(np.float32)
    return ViewEmbeddings(tuple(read), embeddings, tuple(failures))


class _Eye:
    """Sees pictures in their views with ImageNet's network.

    Parameters
    ----------
    count
        Pictures that there are.
    device
        Torch name of where the network runs.
    seed
        Of the views.

    Attributes
    ----------
    fitted
        Which pictures are seen in all views, shape (count,).
    mark
        All that values depend on, beside the pictures and their numbers.
    """

    def __init__(self, count: int, device: str, seed: int) -> None:
        import torch

        from napari_medssl.backend.models import file_sha256, find_weights
        from napari_medssl.backend.trunks import IMAGENET_TRUNK, load_imagenet_trunk
        from napari_medssl.methods.view_whitening.views import ViewRange, Views

        weights = file_sha256(find_weights(IMAGENET_TRUNK))
        self.mark = (count, device, seed, FITTED, ViewRange(), weights)
        self._device, self._views = device, Views(count, ViewRange(), seed)
        self._trunk = load_imagenet_trunk().to(device)
        self._trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fitted = np.zeros(count, bool)
        self.fitted[np.random.default_rng(seed).permutation(count)[:FITTED]] = True

    def look(
        self, tiles: NDArray[np.uint8], numbers: NDArray[np.int64], check: Callable[[], None]
    ) -> NDArray[np.float32]:
        """Return the values of pictures as they are, (B, D), and below them those of their views.

        Of the M pictures that are fitted, first all in one view, then all in the next:
        ((V - 1) M, D).

        Parameters
        ----------
        tiles
            Shape (B, S, S, 3).
        numbers
            Of the pictures, shape (B,).
        check
            Called before each view; raises what ends it.
        """
        import torch

        from napari_medssl.methods.siamese.trunk import normalise_pixels
        from napari_medssl.methods.view_whitening.views import ViewRange

        pixels = normalise_pixels(torch.from_numpy(tiles).permute(0, 3, 1, 2)).to(self._device)
        of = torch.from_numpy(self.fitted[numbers])
        found = [self._features(pixels)]
        for view in range(1, ViewRange().count if of.any() else 1):
            check()
            made = self._views.make(pixels[of], torch.from_numpy(numbers)[of], view)
            found.append(self._features(made))
        return np.concatenate(found)

    def _features(self, pixels: Tensor) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode(), mixed_precision(self._device, True):
            stages = self._trunk.stages(pixels.contiguous(memory_format=torch.channels_last))
        maps = [stages[stage].float() for stage in _STAGES]
        parts = [part for m in maps for part in (m.mean(dim=(2, 3)), m.std(dim=(2, 3)))]
        return torch.cat(parts, dim=1).cpu().numpy()
