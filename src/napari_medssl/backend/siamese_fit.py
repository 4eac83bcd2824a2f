"""Fit the tile encoder before its first step, from what its trunk sees in tiles.

The head is solved in closed form. Near are a tile and itself in another augmentation, and tiles
that lie near on their slide; see `methods.siamese.closed_form`. Instance discrimination starts
from a random head instead, whose values are standardised as for the other.
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
_NORMALISATION_TILES = 512


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


class Fit:
    """Fits parts of a network on tiles, and reports.

    Every method raises `Cancelled` if it was asked to stop.
    """

    def __init__(
        self,
        network: SiameseNetwork,
        tiles: TrainingTiles,
        config: TrainSiameseConfig,
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self._network, self._tiles, self._config = network, tiles, config
        self._on_progress, self._should_stop = on_progress, should_stop
        self._device = str(network.mean.device)
        self._done, self._total = 0, 0

    def head(self, pairs: PairSampler) -> None:
        """Fit the standardisation and, in closed form, the head.

        Raises
        ------
        UserError
            If all tiles look alike.
        """
        import torch

        config = self._config
        rng = np.random.default_rng([config.seed, 1])
        chosen = self._some_tiles(rng)
        partners = pairs.near_partners(rng)[chosen]
        has_partner = partners != chosen
        kinds = near_kinds()
        self._total += len(chosen) * (1 + len(kinds)) + int(has_partner.sum())
        base = self._pool(chosen)
        near = [
            (self._pool(chosen, how, config.seed * 101 + kind) - base, weight)
            for kind, (how, weight) in enumerate(kinds)
        ]
        if has_partner.any():
            there = torch.from_numpy(has_partner)
            near.append((self._pool(partners[has_partner]) - base[there], NEIGHBOUR_WEIGHT))
        try:
            self._network.start_head(base, near, config.shrinkage)
        except ValueError as error:
            raise UserError(f"{str(config.slides)!r} cannot be trained on: {error}") from None

    def embeddings(self) -> Tensor:
        """Fit the standardisation; return embeddings of all tiles as they are, shape (N, D)."""
        import torch

        every = np.arange(len(self._tiles.pixels))
        self._total += len(every)
        pooled = self._pool(every)
        self._network.standardise(pooled)
        with torch.no_grad():
            return self._network.project(pooled.to(self._device))

    def normalisation(self) -> None:
        """Fit the batch normalisation of a trunk that starts at random: nothing else has."""
        import torch
        from torch import nn

        layers = [m for m in self._network.modules() if isinstance(m, nn.BatchNorm2d)]
        usual = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean over batches
            layer.train()
        # In random order: a batch of one slide would be normalised by that slide's own colours.
        rng = np.random.default_rng([self._config.seed, 3])
        chosen = rng.permutation(len(self._tiles.pixels))[:_NORMALISATION_TILES]
        self._total += len(chosen)
        with torch.no_grad():
            self._pool(chosen)
        for layer, momentum in zip(layers, usual, strict=True):
            layer.momentum = momentum
            layer.eval()

    def _some_tiles(self, rng: np.random.Generator) -> np.ndarray:
        every = len(self._tiles.pixels)
        return np.sort(rng.choice(every, min(MOST_TILES, every), replace=False))

    def _pool(self, numbers: np.ndarray, how: Augmentation | None = None, seed: int = 0) -> Tensor:
        """Return pooled values of tiles, changed if `how` is given, on the CPU, shape (N, P)."""
        import torch

        from napari_medssl.methods.siamese.augment import augment

        parts = []
        generator = torch.Generator().manual_seed(seed)
        for start in range(0, len(numbers), _BATCH):
            if self._should_stop():
                raise Cancelled("Stopped before the first step; there is no checkpoint yet.")
            batch = tile_batch(self._tiles, numbers[start : start + _BATCH], self._device)
            with torch.no_grad():
                changed = batch if how is None else augment(batch, how, generator)
                parts.append(self._network.pool(changed).cpu())
            self._done += len(batch)
            self._on_progress(Progress(self._done, self._total, "fitting the head"))
        return torch.cat(parts)
