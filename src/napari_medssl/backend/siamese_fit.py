"""Fit the head of the tile encoder in closed form, from what its trunk sees in tiles.

Near are a tile and itself in another augmentation, and tiles that lie near on their slide; see
`methods.siamese.closed_form`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.siamese_config import TrainSiameseConfig
from napari_medssl.backend.siamese_tiles import TrainingTiles

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.methods.siamese.augment import Augmentation
    from napari_medssl.methods.siamese.network import SiameseNetwork
    from napari_medssl.methods.siamese.pairs import PairSampler

MOST_TILES = 3000
"""Most tiles that the head is fitted on."""
NEIGHBOUR_WEIGHT = 0.1
"""How much pairs of neighbouring tiles count: tissue changes from one to the next."""
_BATCH = 32


def near_kinds() -> tuple[tuple[Augmentation, float], ...]:
    """Return the changes of a tile that count as near, and how much each counts.

    Chosen on the development tiles, where other weights move mAP@10 by less than .01.
    """
    from napari_medssl.methods.siamese.augment import Augmentation

    whole, same_colours = Augmentation(), Augmentation(stain=0.0, tint=0.0, gamma=0.0)
    return ((whole, 0.5), (whole, 0.5), (same_colours, 0.5))


def tile_batch(tiles: TrainingTiles, chosen: np.ndarray, device: str) -> Tensor:
    """Return tiles by their numbers, uint8, shape (B, 3, S, S)."""
    import torch

    return torch.from_numpy(tiles.pixels[chosen]).permute(0, 3, 1, 2).to(device)


def fit_head(
    network: SiameseNetwork,
    tiles: TrainingTiles,
    pairs: PairSampler,
    config: TrainSiameseConfig,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    """Fit the standardisation and the head of a network.

    Raises
    ------
    UserError
        If all tiles look alike.
    Cancelled
        If it was asked to stop.
    """
    import torch

    rng = np.random.default_rng([config.seed, 1])
    count = min(MOST_TILES, len(tiles.pixels))
    chosen = np.sort(rng.choice(len(tiles.pixels), count, replace=False))
    partners = pairs.near_partners(rng)[chosen]
    has_partner = partners != chosen
    kinds = near_kinds()
    total = count * (1 + len(kinds)) + int(has_partner.sum())
    device, done = str(network.mean.device), 0

    def pool(numbers: np.ndarray, how: Augmentation | None = None, seed: int = 0) -> Tensor:
        from napari_medssl.methods.siamese.augment import augment

        nonlocal done
        parts = []
        generator = torch.Generator().manual_seed(seed)
        for start in range(0, len(numbers), _BATCH):
            if should_stop():
                raise Cancelled("Stopped before the first step; there is no checkpoint yet.")
            batch = tile_batch(tiles, numbers[start : start + _BATCH], device)
            with torch.no_grad():
                changed = batch if how is None else augment(batch, how, generator)
                parts.append(network.pool(changed).cpu())
            done += len(batch)
            on_progress(Progress(done, total, "fitting the head"))
        return torch.cat(parts)

    base = pool(chosen)
    near = [
        (pool(chosen, how, config.seed * 101 + kind) - base, weight)
        for kind, (how, weight) in enumerate(kinds)
    ]
    if has_partner.any():
        there = torch.from_numpy(has_partner)
        near.append((pool(partners[has_partner]) - base[there], NEIGHBOUR_WEIGHT))
    try:
        network.start_head(base, near, config.shrinkage)
    except ValueError as error:
        raise UserError(f"{str(config.slides)!r} cannot be trained on: {error}") from None
