"""Train the contrastive autoencoder: embeddings, clusters, a decoder, and where to sample.

Source: Ferrante et al., arXiv 2209.12005: a warm-up with the contrastive loss and reconstruction;
k-means on the embeddings gives the prototypes; then a decoder that is told the cluster. We differ:
the contrastive loss stays in the second phase; Adam at 1e-3 with a cosine, as the paper prints
none; see also `methods.contrastive_autoencoder`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_medssl.backend.autoencoder_config import (
    TrainAutoencoderConfig,
    check_trainable,
    clusters_wanted,
    network_config,
)
from napari_medssl.backend.autoencoder_images import middle_squares, variance_over_images
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.device import choose_device
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.models import Recipe
from napari_medssl.backend.train_steps import (
    TrainReport,
    checkpoint_of,
    comparable,
    learning_rate_at,
    left_out,
    load_to_resume,
    stop_line,
    take_steps,
)
from napari_medssl.backend.training_images import load_training_images
from napari_medssl.backend.training_views import TwoViews, sampling

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_VARIANCE = 1e-4  # of pixels over images; below it all images are one


def train_autoencoder(
    config: TrainAutoencoderConfig,
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
        stage=lambda: "warming up" if run.done < config.warmup_steps else "clustering",
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return run.finish(time.monotonic() - started)


class _Run:
    """The state of one training run."""

    def __init__(
        self, config: TrainAutoencoderConfig, on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        import torch

        from napari_medssl.methods.contrastive_autoencoder.network import ContrastiveAutoencoder

        check_trainable(config)
        self.config, self.done = config, 0
        self.on_progress, self.should_stop = on_progress, should_stop
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint_of(config.out)
        found = load_training_images(
            config.data,
            int(config.size),
            color=config.color,
            robust=False,  # as tiles are read by whoever embeds them afterwards
            on_progress=on_progress,
            should_stop=should_stop,
        )
        self.failures = found.failures
        self.images = torch.from_numpy(middle_squares(found))
        self.settings = comparable(config) | {"images": len(self.images)}
        self.batch = min(config.batch, len(self.images))
        self.variance = max(_LEAST_VARIANCE, variance_over_images(self.images.numpy()))
        torch.manual_seed(config.seed)
        self.network = ContrastiveAutoencoder(network_config(config, found.channels))
        self.network.to(self.device).train()
        if self.device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.views = TwoViews(self.images, self.batch, config.seed, sampling(config), self.device)
        self.elbow: dict[str, object] = {}
        if config.resume:
            self._resume()

    def _resume(self) -> None:
        import torch

        saved = load_to_resume(self.checkpoint, self.settings)
        clusters = saved.notes.get("clusters", 0)  # `restore` tells what is another method's
        if clusters:
            self._add_clusters(torch.ones(clusters, self.config.dim))
        saved.restore({"network": self.network}, {"adam": self.optimizer})
        self.done, self.elbow = saved.step, saved.notes["elbow"]

    def _add_clusters(self, centres: Tensor) -> None:
        """Give the network its prototypes, and the optimizer the weights that come with them."""
        self.optimizer.add_param_group({"params": [self.network.add_clusters(centres)]})

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return what is worth drawing."""
        import torch

        from napari_medssl.methods.contrastive_autoencoder.losses import (
            nt_xent,
            reconstruction_error,
        )

        if self.done == self.config.warmup_steps:
            self._begin_clusters()
        rate = learning_rate_at(self.done, self.config.all_steps, self.config.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        views = self.views.of_step(self.done)
        with mixed_precision(self.device, self.config.amp):
            came = self.network(views, self.batch)
        contrastive = nt_xent(
            came.projected[: self.batch], came.projected[self.batch :], self.config.temperature
        )
        reconstruction = reconstruction_error(came.decoded, views[: self.batch], self.variance)
        loss = contrastive + self.config.reconstruction_weight * reconstruction
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.done += 1
        numbers = torch.stack([loss, contrastive, reconstruction]).tolist()  # one wait for a GPU
        values = dict(zip(("loss", "contrastive", "reconstruction"), numbers, strict=True))
        values["learning_rate"] = rate
        if self.network.prototypes is not None:
            values |= self._move_prototypes(came.embeddings)
        return values

    def _move_prototypes(self, embeddings: Tensor) -> dict[str, float]:
        """Move the prototypes after a step; return what of it is worth drawing."""
        prototypes = self.network.prototypes
        assert prototypes is not None
        # Twice as many steps as it takes to see every image once.
        patience = 2 * -(-len(self.images) // self.batch)
        prototypes.update(embeddings.detach(), self.config.momentum, patience)
        busy = float((prototypes.idle < patience // 2 + 1).sum())
        return {"clusters_used": busy, "revived": float(prototypes.revived)}

    def _begin_clusters(self) -> None:
        """Set the prototypes by k-means on the embeddings of all images."""
        import torch

        from napari_medssl.backend.autoencoder import embed_all
        from napari_medssl.methods.contrastive_autoencoder.choosing import choose_clusters, k_means

        points = embed_all(self.network, self.images, self.device).numpy()
        clusters = clusters_wanted(self.config)
        most = min(self.config.most_clusters, len(points) - 1)
        if clusters is None and most < 3:
            clusters = 2
        if clusters is None:
            found = choose_clusters(points, most, self.config.seed, on_trial=self._on_trial)
            clusters = found.clusters
            self.elbow = {"is_found": found.is_found, "most": most}
        centres, _ = k_means(points, clusters, self.config.seed)
        self._add_clusters(torch.from_numpy(centres))

    def _on_trial(self, clusters: int) -> None:
        total = self.config.all_steps
        if self.should_stop():
            self.save()
            raise Cancelled(stop_line(self.done, total, self.checkpoint))
        self.on_progress(Progress(self.done, total, f"looking at {clusters} clusters"))

    def save(self) -> None:
        """Write a checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {"network": self.network},
            {"adam": self.optimizer},
            step=self.done,
            config=self.settings,
            notes={"clusters": self.network.clusters, "elbow": self.elbow},
        )

    def finish(self, duration_s: float) -> TrainReport:
        """Write the weights with their card, and drop the checkpoint."""
        from napari_medssl.backend.autoencoder import embed_all
        from napari_medssl.backend.autoencoder_outcome import (
            fit_latents,
            mean_error,
            remarks,
            write_autoencoder,
        )

        config, network = self.config, self.network
        network.eval()
        embeddings = embed_all(network, self.images, self.device)
        latents = fit_latents(network, embeddings)
        metrics: dict[str, object] = {
            "images": len(self.images),
            "left_out": len(self.failures),
            "variance": round(self.variance, 6),
            "reconstruction": round(mean_error(network, embeddings, self.images, self.variance), 4),
            "clusters": network.clusters,
            "elbow": self.elbow,
            "cluster_sizes": latents.counts[1:].tolist(),
            "revived": 0 if network.prototypes is None else int(network.prototypes.revived),
        }
        recipe = Recipe(
            command="medssl train autoencoder",
            config=self.settings,
            seed=config.seed,
            steps=config.all_steps,
            duration_s=round(duration_s, 1),
            hardware=self.device,
        )
        card = write_autoencoder(config, network, latents, recipe, metrics)
        self.checkpoint.unlink(missing_ok=True)
        told = left_out(self.failures) + remarks(config, self.batch, metrics)
        return TrainReport(card, told)
