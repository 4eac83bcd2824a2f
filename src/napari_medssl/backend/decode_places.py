"""Decode a place of a map: what an autoencoder draws from the embeddings of the rows around it.

Source: Ferrante et al., arXiv 2209.12005: an embedding and its cluster are decoded. A place of the
map has no embedding of its own; it gets the mean of those of the rows near it on the map, nearer
ones counting more, at unit length. Samples differ from it as the rows differ among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.model_cache import ModelCache

NEAR = 8
"""Rows that a place is decoded from."""

_models: ModelCache[object] = ModelCache(2)


@dataclass(frozen=True, slots=True)
class DecodedPlace:
    """What is drawn at a place.

    Attributes
    ----------
    mean
        Of the rows around, uint8 RGB, shape (S, S, 3).
    samples
        Drawn around it, uint8 RGB, shape (M, S, S, 3).
    """

    mean: NDArray[np.uint8]
    samples: NDArray[np.uint8]


def near_rows(
    places: NDArray[np.float32], x: float, y: float, count: int = NEAR
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows nearest to a place on a map and how much each counts, which sums to 1.

    A row counts by exp(-(d / s)^2 / 2) of its distance d, where s is the median of them.

    Parameters
    ----------
    places
        Of the rows, shape (N, 2); those that are not finite are left out.
    """
    distances = np.hypot(places[:, 0] - x, places[:, 1] - y)
    known = np.flatnonzero(np.isfinite(distances))
    if len(known) > count:
        known = known[np.argpartition(distances[known], count - 1)[:count]]
    rows = known[np.argsort(distances[known], kind="stable")]
    if not len(rows):
        return rows, np.zeros(0, np.float32)
    near = distances[rows].astype(np.float64)
    spread = max(float(np.median(near)), 1e-12)
    weights = np.exp(-0.5 * (near / spread) ** 2)
    return rows, (weights / weights.sum()).astype(np.float32)


def decode_place(
    model: str,
    embeddings: NDArray[np.float32],
    weights: NDArray[np.float32],
    samples: int = 3,
    seed: int = 0,
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> DecodedPlace:
    """Return what an autoencoder draws from embeddings that lie around a place.

    Parameters
    ----------
    model
        A name that `medssl models` lists, or a file NAME.safetensors.
    embeddings, weights
        Of the rows around it, unit length, shape (K, D), and how much each counts, shape (K,).
    samples
        How many are drawn besides.

    Raises
    ------
    UserError
        If the model cannot be used, or its embeddings are of another width.
    """
    import torch
    from torch.nn import functional as F

    from napari_medssl.backend.autoencoder import Autoencoder, load_autoencoder

    if not len(embeddings):
        raise UserError("No point is near that place: there is nothing to decode.")
    key = (model, _time_of(model), device)
    found = _models.get(key, lambda: load_autoencoder(model, device))
    assert isinstance(found, Autoencoder)
    width = found.latents.mean.shape[1]
    if embeddings.shape[1] != width:
        raise UserError(
            f"The map is of embeddings of {embeddings.shape[1]} values, the model {found.name!r} "
            f"decodes {width}. Open embeddings that this model made: `medssl embed --encoder`."
        )
    rows = torch.from_numpy(np.ascontiguousarray(embeddings, np.float32))
    shares = torch.from_numpy(np.ascontiguousarray(weights, np.float32))[:, None]
    mean = (rows * shares).sum(dim=0, keepdim=True)
    spread = ((rows - mean) ** 2 * shares).sum(dim=0, keepdim=True).sqrt()
    generator = torch.Generator().manual_seed(seed)
    drawn = mean + spread * torch.randn((samples, width), generator=generator)
    images = found.decode(F.normalize(torch.cat([mean, drawn]), dim=1))
    if images.shape[3] == 1:
        images = np.repeat(images, 3, axis=3)
    return DecodedPlace(images[0], images[1:])


def _time_of(model: str) -> int:
    """Return when the file of a model was written, 0 for one that has a name only."""
    path = Path(model)
    return path.stat().st_mtime_ns if path.is_file() else 0
