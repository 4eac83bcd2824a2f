"""Train a segmentation without labels: local discrimination with one region steered by shapes.

Source: Chen et al., arXiv 2108.09440. We differ: the network starts from scratch with all losses at
once, on pieces of flattened images at their own scale; see `methods.local_discrimination`.

More than 300 lines: one run with its two networks, from the first step to the card.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.models import DataSource, ModelCard, Recipe, write_model
from napari_medssl.backend.pixel_embedding import ARCHITECTURE
from napari_medssl.backend.shape_data import load_shape_data
from napari_medssl.backend.shape_guided_config import (
    TrainShapeGuidedConfig,
    check_trainable,
    data_config,
    network_config,
    objective,
    rendering,
    sampling,
)
from napari_medssl.backend.sources import read_sources
from napari_medssl.backend.train_local_discrimination import (
    look_at_regions,
)
from napari_medssl.backend.train_steps import (
    TrainReport,
    checkpoint_of,
    comparable,
    halved,
    learning_rate_at,
    left_out,
    load_to_resume,
    take_steps,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_medssl.methods.local_discrimination.collapse import ClusterReport
    from napari_medssl.methods.local_discrimination.shape_guided import ShapeObjective

TASK = "shape-guided"

_LOOK_EVERY = 10  # steps from one look at the regions to the next
_JUDGED = 16  # images whose regions are judged at the end
_LEAST_PART = 0.1  # of what shapes cover: a steered region that covers less is dead
_MOST_PART = 5.0


def train_shape_guided(
    config: TrainShapeGuidedConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainReport:
    """Train a network, write it to `config.out` with its card, and return the card.

    A checkpoint lies beside `out` until training ends; `resume` goes on from it with the numbers
    that an unbroken run would have had (exactly on a CPU, but for rounding on a GPU).

    Raises
    ------
    UserError
        If the images, the shapes or the checkpoint cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    started = time.monotonic()
    run = _Run(config, on_progress, should_stop)
    take_steps(
        run,
        config.steps,
        config.checkpoint_every,
        stage=lambda: "shapes",
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return run.finish(time.monotonic() - started)


class _Run:
    """The state of one training run."""

    def __init__(
        self, config: TrainShapeGuidedConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        import torch

        from napari_medssl.methods.local_discrimination.discriminator import ShapeDiscriminator
        from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork

        check_trainable(config)
        self.config, self.done = config, 0
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint_of(config.out)
        self.data = load_shape_data(
            config.data,
            config.shapes,
            data_config(config),
            on_progress=on_progress,
            should_stop=should_stop,
        )
        self.images = [torch.from_numpy(plane) for plane in self.data.images]
        self.backgrounds = [torch.from_numpy(plane) for plane in self.data.backgrounds]
        self.shapes = [torch.from_numpy(planes) for planes in self.data.shapes]
        counts = {"images": len(self.images), "shape_pictures": len(self.shapes)}
        self.settings = comparable(config) | counts
        self.batch = min(config.batch, len(self.images) // 2)
        torch.manual_seed(config.seed)
        self.network = LocalDiscriminationNetwork(network_config(config)).to(self.device).train()
        self.discriminator = ShapeDiscriminator().to(self.device).train()
        if self.device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate = config.learning_rate
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=rate)
        self.judge = torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=(0.5, 0.999))
        self.sampling, self.objective = sampling(config), objective(config)
        self.rendering = rendering(config)
        if config.resume:
            saved = load_to_resume(self.checkpoint, self.settings)
            saved.restore(self._modules(), self._optimizers())
            self.done = saved.step

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "discriminator": self.discriminator}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam": self.optimizer, "judge": self.judge}

    def step(self) -> dict[str, float]:
        """Take one step of the network and one of the discriminator; return what to draw."""
        import torch

        from napari_medssl.methods.local_discrimination.shape_guided import shape_guided_step
        from napari_medssl.methods.local_discrimination.views import (
            draw_images,
            make_views,
            step_generator,
        )

        config = self.config
        generator = step_generator(config.seed, self.done)
        numbers = draw_images(len(self.images), 2 * self.batch, generator)
        images = [self.images[number].to(self.device) for number in numbers]
        views = make_views(images, self.sampling, generator)
        shapes = self._shapes(generator)
        rendered = self._rendered(shapes, generator)
        rate = self._set_rates()
        with mixed_precision(self.device, config.amp):
            found = shape_guided_step(
                self.network, self.discriminator, views, rendered, self._ramped(), generator
            )
        self.optimizer.zero_grad(set_to_none=True)
        found.loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        parts = dict(found.parts)
        if config.adversarial_weight:
            parts |= self._train_discriminator(shapes[:, :1], found.shares, generator)
        self.done += 1
        values = torch.stack(list(parts.values())).tolist()  # one wait for the GPU
        drawn = dict(zip(parts, values, strict=True)) | {"learning_rate": rate}
        if self.done % _LOOK_EVERY == 0:
            drawn["regions_used"] = float(look_at_regions(found.assignments).used)
            drawn["steered_part"] = float(found.shares.mean())
        return drawn

    def _shapes(self, generator: torch.Generator) -> Tensor:
        from napari_medssl.methods.local_discrimination.pieces import draw_shapes

        config = self.config
        return draw_shapes(
            self.shapes,
            config.renders,
            config.view,
            self.data.scales,
            generator,
            least=self.data.part / 4,
        ).to(self.device)

    def _rendered(self, shapes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        from napari_medssl.methods.local_discrimination.pieces import draw_backgrounds
        from napari_medssl.methods.local_discrimination.rendering import render

        config = self.config
        if not config.render_weight:
            return None
        grounds = draw_backgrounds(self.backgrounds, config.renders, config.view, generator)
        images = render(grounds.to(self.device), shapes, self.rendering, generator)
        return images, shapes[:, :1]

    def _set_rates(self) -> float:
        config = self.config
        rate = learning_rate_at(self.done, config.steps, config.learning_rate)
        for optimizer, part in ((self.optimizer, 1.0), (self.judge, config.judge_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * part
        return rate

    def _ramped(self) -> ShapeObjective:
        """Return what is asked now: the discriminator has to learn before it is believed."""
        begun = self.done / max(1.0, self.config.ramp * self.config.steps)
        weight = self.objective.adversarial_weight * min(1.0, begun)
        return replace(self.objective, adversarial_weight=weight)

    def _train_discriminator(
        self, shapes: Tensor, shares: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Take one step of the discriminator; return its loss and how often it is right."""
        import torch
        from torch.nn import functional as F

        from napari_medssl.methods.local_discrimination.discriminator import (
            discriminator_loss,
            gradient_penalty,
            softened,
        )

        what = self.objective
        true = F.avg_pool2d(shapes, int(self.config.stride))
        true = softened(true, what.blur, what.noise, generator)
        false = softened(shares, 0.0, what.noise, generator)
        on_true, on_false = self.discriminator(true), self.discriminator(false)
        loss = discriminator_loss(on_true, on_false)
        total = loss + self.config.penalty * gradient_penalty(self.discriminator, true)
        self.judge.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.judge.step()
        right = torch.cat([on_true > 0, on_false < 0]).float().mean()
        return {"discriminator": loss.detach(), "discriminator_right": right}

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            self._modules(),
            self._optimizers(),
            step=self.done,
            config=self.settings,
        )

    def finish(self, duration_s: float) -> TrainReport:
        """Write the weights with their card, and drop the checkpoint."""
        config = self.config
        regions, covered = self._judge_regions()
        remarks = left_out(self.data.failures) + regions.lines()
        remarks += steered_lines(covered, self.data.part)
        card = ModelCard(
            name=config.out.stem,
            task=TASK,
            architecture=ARCHITECTURE,
            config=asdict(self.network.config)
            | {
                "pixels": config.size,
                "grid": config.grid,
                "sigma": config.sigma,
                "channel": config.channel,
                "classes": [config.class_name],
            },
            recipe=Recipe(
                command="medssl train shape-guided",
                config=self.settings,
                seed=config.seed,
                steps=config.steps,
                duration_s=round(duration_s, 1),
                hardware=self.device,
            ),
            data=self._sources(),
            metrics={
                "images": len(self.images),
                "left_out": len(self.data.failures),
                "shape_scales": [round(scale, 3) for scale in self.data.scales],
                "shape_part": round(self.data.part, 4),
                "steered_part": round(covered, 4),
                "regions_used": regions.used,
                "region_areas": [round(area, 4) for area in regions.areas],
            },
            licence="BSD-3-Clause",
            version="1",
            description="Segments what looks like the shapes it was guided by; trained without "
            "labels, on images and shapes that are not paired.",
        )
        card = write_model(config.out, halved(self.network), card)
        self.checkpoint.unlink(missing_ok=True)
        return TrainReport(card, remarks)

    def _sources(self) -> tuple[DataSource, ...]:
        data, shapes = self.config.data, self.config.shapes
        return read_sources(data, f"images of {data.name!r}") + read_sources(
            shapes, f"shapes of {shapes.name!r}"
        )

    def _judge_regions(self) -> tuple[ClusterReport, float]:
        """Return what regions of some whole images are like, and the steered one's part."""
        import torch

        from napari_medssl.methods.local_discrimination.collapse import cluster_report
        from napari_medssl.methods.local_discrimination.shape_guided import STEERED

        self.network.eval()
        found, covered = [], []
        for image in self.images[:: max(1, len(self.images) // _JUDGED)][:_JUDGED]:
            with torch.inference_mode():
                shares = self.network(image[None].to(self.device).float() / 255).assignments
            covered.append(float((shares[:, STEERED] > 0.5).float().mean()))
            found.append(shares[:, :, ::8, ::8].cpu().flatten(2))
        regions = cluster_report(torch.cat(found, dim=2)[..., None])
        return regions, sum(covered) / len(covered)


def steered_lines(covered: float, part: float) -> tuple[str, ...]:
    """Return what is wrong with the steered region in words; nothing if all is well.

    Parameters
    ----------
    covered
        Part of the images that it covers.
    part
        Part of the pictures of shapes that is shape.
    """
    if covered < _LEAST_PART * part:
        how = "is all but dead"
    elif covered > min(0.9, _MOST_PART * part):
        how = "has taken what it should not"
    else:
        return ()
    return (
        f"The region that the shapes steer {how}: it covers {covered:.1%} of the images, shapes "
        f"{part:.1%} of theirs. Give more --steps, another --polarity or another --scale.",
    )
