"""Train local discrimination: an embedding of every pixel, and regions, without labels.

Source: Chen et al., arXiv 2108.09440. First patches alone, then patches and regions; Adam at 1e-3.
We differ: in each stage the rate follows a cosine after a warm-up unless `schedule` is "halved",
with `frozen` the second trains regions alone; see also `methods.local_discrimination`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.landmark_card import landmarks_entry, pictures_of, with_likeness
from napari_medssl.backend.local_discrimination_config import (
    TrainLocalDiscriminationConfig,
    check_trainable,
    network_config,
    objective,
    sampling,
)
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.pixel_embedding import ARCHITECTURE, TASK
from napari_medssl.backend.sources import read_sources
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
from napari_medssl.backend.training_images import load_training_images

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.methods.local_discrimination.collapse import ClusterReport
    from napari_medssl.methods.local_discrimination.views import Views

_LOOK_EVERY = 10  # steps from one look at the regions to the next
_LOOK_STRIDE = 8  # pixels of the maps between those that are looked at
_JUDGED = 32  # images whose regions are judged at the end


def train_local_discrimination(
    config: TrainLocalDiscriminationConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TrainReport:
    """Train a network, write it to `config.out` with its card, and return the card.

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
        config.all_steps,
        config.checkpoint_every,
        stage=lambda: "regions" if run.has_regions else "patches",
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return run.finish(time.monotonic() - started)


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        config: TrainLocalDiscriminationConfig,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        import torch

        from napari_medssl.methods.local_discrimination.network import LocalDiscriminationNetwork

        check_trainable(config)
        self.config, self.done, self.should_stop = config, 0, should_stop
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint_of(config.out)
        found = load_training_images(
            config.data,
            config.size,
            color=config.color,
            equalise=config.equalise,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        self.failures = found.failures
        self.images = [torch.from_numpy(pixels) for pixels in found.pixels]
        self.settings = comparable(config) | {"images": len(self.images)}
        # An image is never in a step twice: its cells would be twins that are told to part.
        self.batch = min(config.batch, len(self.images) // 2)
        torch.manual_seed(config.seed)
        network = LocalDiscriminationNetwork(network_config(config, found.channels))
        self.network = network.to(self.device).train()
        if self.device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.sampling, self.objective = sampling(config), objective(config)
        if config.resume:
            saved = load_to_resume(self.checkpoint, self.settings)
            saved.restore({"network": self.network}, {"adam": self.optimizer})
            self.done = saved.step

    @property
    def has_regions(self) -> bool:
        """Whether the step at hand is one of the second stage."""
        return self.done >= self.config.patch_steps

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return what is worth drawing."""
        import torch

        from napari_medssl.methods.local_discrimination.objective import (
            patch_loss,
            region_head_loss,
            region_loss,
        )

        if self.has_regions and self.config.frozen:
            self.network.eval()
            self.network.clustering_head.train()
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        views, assignments = self._views(), None
        with mixed_precision(self.device, self.config.amp):
            if self.has_regions:
                of = region_head_loss if self.config.frozen else region_loss
                loss, parts, assignments = of(self.network, views, self.objective)
            else:
                loss, parts = patch_loss(self.network, views, self.objective)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.done += 1
        numbers = torch.stack(list(parts.values())).tolist()  # one wait for the GPU, not six
        values = dict(zip(parts, numbers, strict=True)) | {"learning_rate": rate}
        if assignments is not None and self.done % _LOOK_EVERY == 0:
            values["regions_used"] = float(look_at_regions(assignments).used)
        return values

    def _rate(self) -> float:
        config = self.config
        start = config.patch_steps if self.has_regions else 0
        length = config.steps if self.has_regions else config.patch_steps
        if config.schedule == "halved":
            return config.learning_rate * 0.5 ** ((self.done - start) // config.halve_every)
        return learning_rate_at(self.done - start, length, config.learning_rate)

    def _views(self) -> Views:
        """Return the views of the step at hand; they follow from the seed and its number."""
        from napari_medssl.methods.local_discrimination.views import (
            draw_images,
            make_views,
            step_generator,
        )

        generator = step_generator(self.config.seed, self.done)
        numbers = draw_images(len(self.images), 2 * self.batch, generator)
        images = [self.images[number].to(self.device) for number in numbers]
        return make_views(images, self.sampling, generator)

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {"network": self.network},
            {"adam": self.optimizer},
            step=self.done,
            config=self.settings,
        )

    def finish(self, duration_s: float) -> TrainReport:
        """Write the weights with their card, and drop the checkpoint."""
        config = self.config
        metrics: dict[str, object] = {"images": len(self.images), "left_out": len(self.failures)}
        remarks = left_out(self.failures)
        if self.batch < config.batch:
            remarks += (
                f"{len(self.images)} images are {self.batch} pairs, fewer than --batch "
                f"{config.batch}: steps had {self.batch}.",
            )
        if config.steps:
            regions = self._judge_regions()
            remarks += regions.lines()
            metrics["regions_used"] = regions.used
            metrics["region_areas"] = [round(area, 4) for area in regions.areas]
        pictures = pictures_of(config.data) if config.beside else []
        told = {"landmarks": landmarks_entry(config.beside, pictures)} if config.beside else {}
        card = ModelCard(
            name=config.out.stem,
            task=TASK,
            architecture=ARCHITECTURE,
            config=asdict(self.network.config)
            | {
                "pixels": config.size,
                "grid": config.grid,
                "sigma": config.sigma,
                "equalised": config.equalise,
            }
            | told,
            recipe=Recipe(
                command="medssl train local-discrimination",
                config=self.settings,
                seed=config.seed,
                steps=config.all_steps,
                duration_s=round(duration_s, 1),
                hardware=self.device,
            ),
            data=read_sources(config.data, f"images of {config.data.name!r}"),
            metrics=metrics,
            licence="BSD-3-Clause",
            version="1",
            description="Embeds every pixel of images of one modality, and shares it among "
            f"{config.clusters} regions; trained without labels.",
        )
        card = write_model(config.out, halved(self.network), card)
        if config.beside:
            with suppress(Cancelled):  # all but one figure is there, and the training is done
                card = with_likeness(config.out, card, pictures, self.should_stop)
        self.checkpoint.unlink(missing_ok=True)
        return TrainReport(card, remarks)

    def _judge_regions(self) -> ClusterReport:
        """Return what the regions of some whole images are like, spread over all of them."""
        import torch

        from napari_medssl.methods.local_discrimination.collapse import cluster_report

        self.network.eval()
        found = []
        for image in self.images[:: max(1, len(self.images) // _JUDGED)][:_JUDGED]:
            with torch.inference_mode():
                shares = self.network(image[None].to(self.device).float() / 255).assignments
            found.append(_thinned(shares).cpu().flatten(2))
        return cluster_report(torch.cat(found, dim=2)[..., None])


def look_at_regions(assignments: Tensor) -> ClusterReport:
    """Return what the regions of some views are like, from every eighth pixel."""
    from napari_medssl.methods.local_discrimination.collapse import cluster_report

    return cluster_report(_thinned(assignments))


def _thinned(assignments: Tensor) -> Tensor:
    return assignments[:, :, ::_LOOK_STRIDE, ::_LOOK_STRIDE]
