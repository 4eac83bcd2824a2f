"""Two views of each image of a training step, for trainings that learn from pairs of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig
    from napari_medssl.backend.contrastive_config import TrainContrastiveConfig
    from napari_medssl.methods.contrastive_autoencoder.views import Sampling


def sampling(config: TrainAutoencoderConfig | TrainContrastiveConfig) -> Sampling:
    """Return how views are made."""
    from napari_medssl.methods.contrastive_autoencoder.views import Sampling
    from napari_medssl.methods.local_discrimination.coloring import Coloring

    colors = Coloring(
        config.brightness, config.contrast, config.saturation, config.hue, config.grey
    )
    return Sampling(config.crop, config.flip_x, config.flip_y, config.rotation, colors)


@dataclass(frozen=True)
class TwoViews:
    """Draws the images of a step and makes their views, always the same ones of a step.

    Attributes
    ----------
    images
        uint8, on the CPU, shape (N, C, S, S).
    batch
        Images in a step, N at most.
    seed
        From which all draws follow.
    how
        How far views are changed.
    device
        Torch name of where views are made.
    """

    images: Tensor
    batch: int
    seed: int
    how: Sampling
    device: str

    def of_step(self, step: int) -> Tensor:
        """Return two views of each image, (2 B, C, S, S): first all first ones."""
        import torch

        from napari_medssl.methods.contrastive_autoencoder.views import (
            draw_batch,
            make_views,
            step_generator,
        )

        numbers = draw_batch(len(self.images), self.batch, self.seed, step)
        images = self.images[numbers].to(self.device)
        generator = step_generator(self.seed, 0, step)
        both = torch.cat([make_views(images, self.how, generator) for _ in range(2)])
        return both.contiguous(memory_format=torch.channels_last) if self.device == "cpu" else both
