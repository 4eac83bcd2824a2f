"""Train an encoder by SimSiam on unlabelled images, such as harvested panels.

Source: Chen and He, CVPR 2021 (arXiv 2011.10566), as SimCFS (Yao et al., arXiv 2107.08650) uses it
on the panels it finds. SGD with momentum .9 and a decay of 1e-4, a cosine down to 0, the predictor
at the full rate, all as in section 3. We differ: see `methods.simsiam`, and in the views there is
neither blur nor a change of aspect, since both carry meaning in medical images.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

from napari_medssl.backend.autoencoder_images import middle_squares
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.contrastive_config import (
    ARCHITECTURE,
    TrainContrastiveConfig,
    check_trainable,
)
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.encoders import ENCODER_TASK
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.train_steps import (
    TrainReport,
    checkpoint_of,
    comparable,
    halved,
    left_out,
    load_to_resume,
    take_steps,
)
from napari_medssl.backend.training_images import load_training_images
from napari_medssl.backend.training_views import TwoViews, sampling
from napari_medssl.backend.trunks import load_imagenet_trunk

if TYPE_CHECKING:
    from torch import optim

    from napari_medssl.methods.simsiam.network import SimSiam

_COLLAPSED = 0.2  # spread below which embeddings hardly tell images apart; 1 is even
_LOOKED_AT = 1024  # images that tell the spread at the end
_LOOKED_BACK = 20  # steps over which spread and loss are averaged at the end


def train_contrastive(
    config: TrainContrastiveConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainReport:
    """Train an encoder, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (exactly on a CPU; on a GPU, whose sums have no fixed
    order, but for rounding).

    Raises
    ------
    UserError
        If the images or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    started = time.monotonic()
    run = _Run(config, on_progress, should_stop)
    take_steps(
        run,
        config.steps,
        config.checkpoint_every,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return run.finish(time.monotonic() - started)


class _Run:
    """The state of one training run."""

    def __init__(
        self, config: TrainContrastiveConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        import torch

        from napari_medssl.methods.siamese.trunk import EfficientNetLite0
        from napari_medssl.methods.simsiam.network import SimSiam

        check_trainable(config)
        self.config, self.done = config, 0
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint_of(config.out)
        found = load_training_images(
            config.data,
            config.size,
            color="rgb",
            robust=False,  # as tiles are read by whoever embeds them afterwards
            on_progress=on_progress,
            should_stop=should_stop,
        )
        self.failures = found.failures
        images = torch.from_numpy(middle_squares(found))
        self.settings = comparable(config) | {"images": len(images)}
        self.count, self.batch = len(images), min(config.batch, len(images))
        self.views = TwoViews(images, self.batch, config.seed, sampling(config), self.device)
        torch.manual_seed(config.seed)
        trunk = load_imagenet_trunk() if config.start == "imagenet" else EfficientNetLite0()
        self.network = SimSiam(trunk, config.dim).to(self.device).train()
        self.network.trunk.follow_batches()
        if self.device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rate = config.learning_rate * self.batch / 256
        self.optimizer = _optimizer(self.network, self.rate)
        self.last: deque[tuple[float, float]] = deque(maxlen=_LOOKED_BACK)
        if config.resume:
            saved = load_to_resume(self.checkpoint, self.settings)
            saved.restore({"network": self.network}, {"sgd": self.optimizer})
            self.done = saved.step
            self.last.extend((loss, spread) for loss, spread in saved.notes["last"])

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return what is worth drawing."""
        import torch

        from napari_medssl.methods.simsiam.losses import simsiam_loss, spread

        rate = self.rate * (1 + math.cos(math.pi * self.done / self.config.steps)) / 2
        self.optimizer.param_groups[0]["lr"] = rate
        views = self.views.of_step(self.done)
        with mixed_precision(self.device, self.config.amp and self.device != "cpu"):
            # One after the other, as in the paper: each is normalised by its own batch.
            (p1, z1), (p2, z2) = (self.network(part) for part in views.chunk(2))
        loss = simsiam_loss((p1, p2), (z1, z2))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.done += 1
        numbers = torch.stack([loss.detach(), spread(z1)]).tolist()  # one wait for a GPU
        self.last.append((numbers[0], numbers[1]))
        return {"loss": numbers[0], "spread": numbers[1], "learning_rate": rate}

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {"network": self.network},
            {"sgd": self.optimizer},
            step=self.done,
            config=self.settings,
            notes={"last": list(self.last)},
        )

    def finish(self, duration_s: float) -> TrainReport:
        """Write the encoder with its card, and drop the checkpoint."""
        loss, spread = (sum(values) / len(self.last) for values in zip(*self.last, strict=True))
        metrics: dict[str, float] = {
            "images": self.count,
            "left_out": len(self.failures),
            "loss": round(loss, 4),
            "spread": round(spread, 4),
            "spread_of_images": round(self._spread_of_images(), 4),
        }
        card = write_model(
            self.config.out, halved(self.network.trunk), self._card(metrics, duration_s)
        )
        self.checkpoint.unlink(missing_ok=True)
        told = self._remarks(min(metrics["spread"], metrics["spread_of_images"]))
        return TrainReport(card, left_out(self.failures) + told)

    def _spread_of_images(self) -> float:
        """Return the spread of images as they are, by the running statistics of all batches.

        That of a step does not fall where all images are one: the normalisation of a batch of one
        embedding blows up the last digits of its numbers.
        """
        import torch

        from napari_medssl.methods.simsiam.losses import spread

        self.network.eval()
        with torch.inference_mode():
            images = self.views.images[:_LOOKED_AT]
            parts = torch.split(images, self.batch)
            found = [self.network(part.to(self.device).float() / 255)[1] for part in parts]
            return float(spread(torch.cat(found)))

    def _remarks(self, spread: float) -> tuple[str, ...]:
        told = []
        if self.batch < self.config.batch:
            told.append(
                f"There are {self.count} images, fewer than --batch {self.config.batch}: steps "
                f"had {self.batch}."
            )
        if spread < _COLLAPSED:
            told.append(
                f"The embeddings have collapsed: their spread is {spread:.2f}, where 1 is even and "
                "0 is one embedding for all. Take more images, or a smaller --learning-rate."
            )
        return tuple(told)

    def _card(self, metrics: dict[str, float], duration_s: float) -> ModelCard:
        from napari_medssl.methods.siamese.trunk import TRUNK_DIM

        config, is_imagenet = self.config, self.config.start == "imagenet"
        start = "ImageNet's weights (Apache-2.0)" if is_imagenet else "random weights"
        return ModelCard(
            name=config.out.stem,
            task=ENCODER_TASK,
            architecture=ARCHITECTURE,
            config={"dim": TRUNK_DIM, "pixels": config.size},
            recipe=Recipe(
                command="medssl train contrastive",
                config=self.settings,
                seed=config.seed,
                steps=config.steps,
                duration_s=round(duration_s, 1),
                hardware=self.device,
            ),
            data=read_sources(config.data, f"images of {config.data.name!r}"),
            metrics=dict(metrics),
            licence="BSD-3-Clause AND Apache-2.0" if is_imagenet else "BSD-3-Clause",
            version="1",
            description=f"Embeds pictures; trained without labels on two views of each, from "
            f"{start}.",
        )


def _optimizer(network: SimSiam, rate: float) -> optim.Optimizer:
    """Return SGD with two groups: all but the predictor, whose rate falls, and the predictor."""
    import torch

    others = [*network.trunk.parameters(), *network.projector.parameters()]
    groups = [{"params": others}, {"params": list(network.predictor.parameters())}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=1e-4)
