"""Train the tile encoder on pairs of tiles, near or far on their slides.

Source: Gildenblat and Klaiman, arXiv 1905.08139. We differ: see `methods.siamese`; the trunk's
batch normalisation stays as ImageNet left it, and its weights too unless `trunk_rate` is given.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.encoders import ENCODER_TASK, SIAMESE_ARCHITECTURE
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.siamese_config import (
    TrainSiameseConfig,
    check_trainable,
    checkpoint_of,
    comparable,
)
from napari_medssl.backend.siamese_fit import fit_head, tile_batch
from napari_medssl.backend.siamese_tiles import (
    TileRequest,
    data_sources,
    list_sources,
    load_tiles,
)
from napari_medssl.backend.train_steps import (
    halved,
    learning_rate_at,
    load_to_resume,
    stop_line,
)
from napari_medssl.backend.trunks import IMAGENET_TRUNK, load_imagenet_trunk

_STAGES = (3, 4, 5, 6)


def train_siamese(
    config: TrainSiameseConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ModelCard:
    """Train an encoder, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (on one machine and device).

    Raises
    ------
    UserError
        If the tissue or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    started = time.monotonic()
    run = _Run(config, on_progress, should_stop)
    while run.done < config.steps:
        if should_stop():
            run.save()
            raise Cancelled(stop_line(run.done, config.steps, run.checkpoint))
        values = run.step()
        on_progress(Progress(run.done, config.steps, "training", values))
        if run.done % config.checkpoint_every == 0:
            run.save()
    return run.finish(time.monotonic() - started)


class _Run:
    """The state of one training run."""

    def __init__(
        self, config: TrainSiameseConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        import torch

        from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork
        from napari_medssl.methods.siamese.pairs import PairSampler

        check_trainable(config)
        self.config, self.done = config, 0
        self.device = choose_device(config.device)
        request = TileRequest(
            config.size,
            config.mpp,
            config.tiles_per_slide,
            "" if config.stain == "none" else config.stain,
            config.slide_mpp,
            config.seed,
            config.sets,
        )
        self.tiles = load_tiles(
            list_sources(config.slides), request, on_progress=on_progress, should_stop=should_stop
        )
        try:
            self.pairs = PairSampler(
                self.tiles.slides, self.tiles.places_mm, near_mm=config.near, far_mm=config.far
            )
        except ValueError as error:
            raise UserError(f"{str(config.slides)!r} cannot be trained on: {error}") from None
        torch.manual_seed(config.seed)
        trunk = load_imagenet_trunk() if config.start == "imagenet" else None
        network = SiameseNetwork(NetworkConfig(config.dim, _STAGES), trunk)
        self.network = network.eval().to(self.device)
        if self.device == "cpu":
            # Depthwise convolutions run twice as fast so; `to` has no typed overload for it alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trunk_weights = [*self.network.stem.parameters(), *self.network.blocks.parameters()]
        for weight in trunk_weights:
            weight.requires_grad_(config.trunk_rate > 0)
        groups: list[dict[str, Any]] = [{"params": list(self.network.head.parameters())}]
        if config.trunk_rate:
            groups.append({"params": trunk_weights})
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=1e-4)
        self.checkpoint = checkpoint_of(config)
        self._epoch: tuple[int, Any] = (-1, None)
        if config.resume:
            saved = load_to_resume(self.checkpoint, comparable(config))
            saved.restore({"network": self.network}, {"adamw": self.optimizer})
            self.done = saved.step
        else:
            fit_head(
                self.network,
                self.tiles,
                self.pairs,
                config,
                on_progress=on_progress,
                should_stop=should_stop,
            )

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return what is worth drawing."""
        import torch

        from napari_medssl.methods.siamese.augment import Augmentation, augment
        from napari_medssl.methods.siamese.losses import contrastive_loss

        config = self.config
        first, second, is_far = self._next_pairs()
        for group, peak in zip(
            self.optimizer.param_groups, (config.learning_rate, config.trunk_rate), strict=False
        ):
            group["lr"] = learning_rate_at(self.done, config.steps, peak)
        # Seeded by the step, so that a resumed run needs no state of it.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.done)
        pixels = augment(
            tile_batch(self.tiles, np.concatenate([first, second]), self.device),
            Augmentation(),
            generator,
        )
        with (
            torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=config.amp),
            torch.set_grad_enabled(config.trunk_rate > 0),
        ):
            pooled = self.network.pool(pixels)
        # In full precision: distances of near pairs are small differences.
        embeddings = self.network.project(pooled.float())
        labels = torch.from_numpy(is_far).to(self.device)
        one, other = embeddings.chunk(2)
        loss = contrastive_loss(one, other, labels, margin=config.margin, form=_form(config.loss))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.done += 1
        return {"loss": float(loss.detach())}

    def _next_pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pairs of the step at hand; every pass over the tiles has its own."""
        size = min(self.config.batch, len(self.tiles.pixels))
        each = len(self.tiles.pixels) // size
        epoch, place = divmod(self.done, each)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng([self.config.seed, 2, epoch])
            self._epoch = (epoch, self.pairs.draw(rng))
        pairs = self._epoch[1]
        part = slice(place * size, (place + 1) * size)
        return pairs.first[part], pairs.second[part], pairs.is_far[part]

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {"network": self.network},
            {"adamw": self.optimizer},
            step=self.done,
            config=comparable(self.config),
        )

    def finish(self, duration_s: float) -> ModelCard:
        """Write the weights with their card, and drop the checkpoint."""
        config = self.config
        card = ModelCard(
            name=config.out.stem,
            task=ENCODER_TASK,
            architecture=SIAMESE_ARCHITECTURE,
            config={
                "dim": config.dim,
                "stages": list(_STAGES),
                "pixels": config.size,
                "mpp": config.mpp,
                "stain": "" if config.stain == "none" else config.stain,
            },
            recipe=Recipe(
                command="medssl train siamese",
                config=comparable(config) | {"remarks": self._remarks()},
                seed=config.seed,
                steps=config.steps,
                duration_s=round(duration_s, 1),
                hardware=self.device,
            ),
            data=data_sources(config.slides),
            metrics={"tiles": len(self.tiles.pixels)},
            licence="BSD-3-Clause" if config.start == "scratch" else "BSD-3-Clause AND Apache-2.0",
            version="1",
            description="Embeds tiles of stained tissue; trained on pairs that are near or far on "
            f"their slides; the trunk starts from {_start_words(config.start)}.",
        )
        card = write_model(config.out, halved(self.network), card)
        self.checkpoint.unlink(missing_ok=True)
        return card

    def _remarks(self) -> list[str]:
        return [*self.tiles.remarks, *self.pairs.remarks]


def _form(name: str) -> Any:
    return name  # one of the choices of the config, which are the forms


def _start_words(start: str) -> str:
    return f"{IMAGENET_TRUNK} (Apache-2.0)" if start == "imagenet" else "random weights"
