"""What a step of the tile encoder's training sees, and the loss it descends: two objectives.

"pairs" tells near from far tiles; "npid" tells every tile from all others (instance
discrimination), which the paper compares with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.parallel import Group
from napari_medssl.backend.siamese_config import TrainSiameseConfig
from napari_medssl.backend.siamese_fit import Fit
from napari_medssl.backend.siamese_tiles import TrainingTiles

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_medssl.methods.siamese.network import SiameseNetwork


@dataclass(frozen=True, slots=True)
class StepTiles:
    """The tiles of a step that one process takes.

    Attributes
    ----------
    numbers
        Of the tiles, shape (B,).
    rows
        Which they are among the W tiles that all processes take, bool, shape (W,).
    is_far
        Of pairs, whether they are far, shape (B / 2,): the first half of the tiles and the second
        are the partners. Empty for other objectives.
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.bool_]
    is_far: NDArray[np.bool_]


class Objective(Protocol):
    """Chooses tiles and scores their embeddings."""

    remarks: tuple[str, ...]

    def fit(self, fit: Fit) -> None:
        """Fit the network before the first step."""
        ...

    def tiles_of(self, step: int, group: Group) -> StepTiles:
        """Return the tiles of a step, always the same ones, for one process of a group."""
        ...

    def loss(self, embeddings: Tensor, chosen: StepTiles) -> Tensor:
        """Return the mean loss of the tiles of this process, a scalar."""
        ...

    def after_step(self, embeddings: Tensor, chosen: StepTiles, group: Group) -> None:
        """Keep what the next steps need."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """Return what belongs into a checkpoint besides the network."""
        ...


def make_objective(
    config: TrainSiameseConfig, tiles: TrainingTiles, network: SiameseNetwork
) -> Objective:
    """Return the objective that is asked for.

    Raises
    ------
    UserError
        If the tiles give no pairs.
    """
    if config.objective == "npid":
        return InstanceObjective(config, tiles, network)
    return PairObjective(config, tiles)


class PairObjective:
    """Near tiles are to have near embeddings, far ones are not."""

    def __init__(self, config: TrainSiameseConfig, tiles: TrainingTiles) -> None:
        from napari_medssl.methods.siamese.pairs import PairSampler

        self._config, self._count = config, len(tiles.pixels)
        try:
            self._pairs = PairSampler(
                tiles.slides, tiles.places_mm, near_mm=config.near, far_mm=config.far
            )
        except ValueError as error:
            raise UserError(f"{str(config.slides)!r} cannot be trained on: {error}") from None
        self.remarks = self._pairs.remarks
        self._pass: tuple[int, Any] = (-1, None)

    def fit(self, fit: Fit) -> None:
        """Solve the head in closed form."""
        fit.head(self._pairs)

    def tiles_of(self, step: int, group: Group) -> StepTiles:
        """Return the pairs of a step; every pass over the tiles has its own."""
        number, part = _place(step, self._count, self._config.batch, group)
        if self._pass[0] != number:
            rng = np.random.default_rng([self._config.seed, 2, number])
            self._pass = (number, self._pairs.draw(rng))
        pairs = self._pass[1]
        taken = group.part(len(part))
        numbers = np.concatenate([pairs.first[part][taken], pairs.second[part][taken]])
        return StepTiles(numbers, np.tile(taken, 2), pairs.is_far[part][taken])

    def loss(self, embeddings: Tensor, chosen: StepTiles) -> Tensor:
        """Return the contrastive loss."""
        import torch

        from napari_medssl.methods.siamese.losses import contrastive_loss

        form: Any = self._config.loss  # one of the choices of the config, which are the forms
        is_far = torch.from_numpy(chosen.is_far).to(embeddings.device)
        one, other = embeddings.chunk(2)
        return contrastive_loss(one, other, is_far, margin=self._config.margin, form=form)

    def after_step(self, embeddings: Tensor, chosen: StepTiles, group: Group) -> None:
        """Keep nothing."""

    def modules(self) -> dict[str, nn.Module]:
        """Return nothing."""
        return {}


class InstanceObjective:
    """Every tile is to be told from all others, however it is changed."""

    remarks: tuple[str, ...] = ()

    def __init__(
        self, config: TrainSiameseConfig, tiles: TrainingTiles, network: SiameseNetwork
    ) -> None:
        import torch

        from napari_medssl.methods.siamese.instance_discrimination import MemoryBank

        self._config, self._count = config, len(tiles.pixels)
        empty = torch.zeros(self._count, config.dim, device=network.mean.device)
        self._bank = MemoryBank(empty)
        self._pass: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def fit(self, fit: Fit) -> None:
        """Fill the memory with the tiles as they are."""
        self._bank.memory.copy_(fit.embeddings())

    def tiles_of(self, step: int, group: Group) -> StepTiles:
        """Return the tiles of a step; every pass over them has its own order."""
        number, part = _place(step, self._count, self._config.batch, group)
        if self._pass[0] != number:
            rng = np.random.default_rng([self._config.seed, 2, number])
            self._pass = (number, rng.permutation(self._count))
        taken = group.part(len(part))
        return StepTiles(self._pass[1][part][taken], taken, np.empty(0, np.bool_))

    def loss(self, embeddings: Tensor, chosen: StepTiles) -> Tensor:
        """Return the loss of instance discrimination."""
        from napari_medssl.methods.siamese.instance_discrimination import instance_loss

        numbers = self._on_device(chosen)
        return instance_loss(embeddings, numbers, self._bank.memory, self._config.temperature)

    def after_step(self, embeddings: Tensor, chosen: StepTiles, group: Group) -> None:
        """Move the memories of the tiles of all processes."""
        numbers = self._on_device(chosen)
        self._bank.update(group.gather(numbers), group.gather(embeddings))

    def modules(self) -> dict[str, nn.Module]:
        """Return the memory."""
        return {"memory": self._bank}

    def _on_device(self, chosen: StepTiles) -> Tensor:
        import torch

        return torch.from_numpy(chosen.numbers).to(self._bank.memory.device)


def left_out(count: int, batch: int, group: Group) -> int:
    """Return how many of `count` tiles a pass lacks because a group cannot share them out.

    A batch is divisible by the processes; fewer tiles than a batch may not be.
    """
    return min(batch, count) - _step_size(batch, count, group)


def _step_size(batch: int, count: int, group: Group) -> int:
    """Return how many tiles all processes take in a step."""
    return min(batch, count) // group.size * group.size


def _place(step: int, count: int, batch: int, group: Group) -> tuple[int, NDArray[np.int64]]:
    """Return which pass over the tiles a step is in, and the places in its order that it takes."""
    size = _step_size(batch, count, group)
    number, place = divmod(step, count // size)
    return number, np.arange(place * size, (place + 1) * size)
