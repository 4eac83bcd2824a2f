"""The state of one training of the tile encoder, as one process of a group has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.jobs import OnProgress, ShouldStop
from napari_medssl.backend.parallel import Group
from napari_medssl.backend.siamese_config import TrainSiameseConfig, checkpoint_of, comparable
from napari_medssl.backend.siamese_fit import Fit, tile_batch
from napari_medssl.backend.siamese_objectives import left_out, make_objective
from napari_medssl.backend.siamese_tiles import TrainingTiles
from napari_medssl.backend.train_steps import learning_rate_at, load_to_resume
from napari_medssl.backend.trunks import load_imagenet_trunk

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_medssl.methods.siamese.network import SiameseNetwork

STAGES = (3, 4, 5, 6)
"""Stages of the trunk that the head sees."""


class SiameseRun:
    """Takes the steps of a training; fitted or resumed when it is made.

    Processes of a group fit alike, take the same steps on shares of each batch, and so have the
    same weights after each: those of one process with whole batches, but for rounding.

    Raises
    ------
    UserError
        If the tiles or the checkpoint cannot be used.
    Cancelled
        If it was asked to stop while it fitted.
    """

    def __init__(
        self,
        config: TrainSiameseConfig,
        tiles: TrainingTiles,
        group: Group,
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        if len(tiles.pixels) < group.size:
            raise UserError(
                f"{len(tiles.pixels)} tiles cannot be shared out to --devices {group.size}."
            )
        self.config, self.tiles, self.group, self.done = config, tiles, group, 0
        self.checkpoint = checkpoint_of(config)
        self.network = _network(config, group)
        self.objective = make_objective(config, tiles, self.network)
        self._optimizer = _optimizer(config, self.network)
        if config.resume:
            saved = load_to_resume(self.checkpoint, comparable(config))
            saved.restore(self._modules(), {"adamw": self._optimizer})
            self.done = saved.step
        else:
            fit = Fit(self.network, tiles, config, on_progress=on_progress, should_stop=should_stop)
            if config.start == "scratch":
                fit.normalisation()
            self.objective.fit(fit)
        for module in self.objective.modules().values():
            group.align(module)
        amp = config.amp and group.device.startswith("cuda")
        self._embed = group.join(_embedder(self.network, amp=amp, trains=config.trunk_rate > 0))

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return what is worth drawing."""
        import torch

        from napari_medssl.methods.siamese.augment import Augmentation, augment

        config = self.config
        peaks = (config.learning_rate, config.trunk_rate)
        for parameters, peak in zip(self._optimizer.param_groups, peaks, strict=False):
            parameters["lr"] = learning_rate_at(self.done, config.steps, peak)
        chosen = self.objective.tiles_of(self.done, self.group)
        # Seeded by the step, so that a resumed run needs no state of it.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.done)
        pixels = augment(
            tile_batch(self.tiles, chosen.numbers, self.group.device),
            Augmentation(),
            generator,
            torch.from_numpy(chosen.rows),
        )
        embeddings: Tensor = self._embed(pixels)
        loss = self.objective.loss(embeddings, chosen)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimizer.step()
        self.objective.after_step(embeddings.detach(), chosen, self.group)
        self.done += 1
        return {"loss": self.group.mean(float(loss.detach()))}

    def save(self) -> None:
        """Write a checkpoint; one process does it for all."""
        if self.group.is_first:
            save_checkpoint(
                self.checkpoint,
                self._modules(),
                {"adamw": self._optimizer},
                step=self.done,
                config=comparable(self.config),
            )

    def remarks(self) -> list[str]:
        """Return lines for the person."""
        left = left_out(len(self.tiles.pixels), self.config.batch, self.group)
        told = [
            f"{left} of {len(self.tiles.pixels)} tiles, others each time, are left out of each "
            f"pass: {self.group.size} devices take as many each. One device would take them all."
        ]
        return [*self.tiles.remarks, *self.objective.remarks, *(told if left else ())]

    def _modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, **self.objective.modules()}


def _network(config: TrainSiameseConfig, group: Group) -> SiameseNetwork:
    import torch

    from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork

    torch.manual_seed(config.seed)
    trunk = load_imagenet_trunk() if config.start == "imagenet" else None
    network = SiameseNetwork(NetworkConfig(config.dim, STAGES), trunk).eval().to(group.device)
    if group.device == "cpu":
        # Depthwise convolutions run twice as fast so; `to` has no typed overload for it alone.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for weight in _trunk_weights(network):
        weight.requires_grad_(config.trunk_rate > 0)
    return network


def _trunk_weights(network: SiameseNetwork) -> list[nn.Parameter]:
    return [*network.stem.parameters(), *network.blocks.parameters()]


def _optimizer(config: TrainSiameseConfig, network: SiameseNetwork) -> Any:
    import torch

    groups: list[dict[str, Any]] = [{"params": list(network.head.parameters())}]
    if config.trunk_rate:
        groups.append({"params": _trunk_weights(network)})
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=1e-4)


def _embedder(network: SiameseNetwork, *, amp: bool, trains: bool) -> nn.Module:
    """Return a module from pixels (B, 3, S, S) to embeddings (B, D): the trunk in half precision.

    The head stays in full precision: distances of near pairs are small differences.
    """
    import torch
    from torch import nn

    class Embedder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Tensor) -> Tensor:
            half = torch.autocast(pixels.device.type, torch.bfloat16, enabled=amp)
            with half, torch.set_grad_enabled(trains):
                pooled = network.pool(pixels)
            return network.project(pooled.float())

    return Embedder()
