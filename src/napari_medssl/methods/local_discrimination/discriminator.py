"""Tell the steered region from shapes of another modality, by their local form.

Source: Chen et al., arXiv 2108.09440, shape-guided segmentation: five blocks of 16, 32, 32, 32 and
32 channels, trained with binary cross-entropy at 0.05 of the network's learning rate.

We differ, for in the released code much of this does nothing or gives the game away:

- `LeakyReLU(True)` there has a slope of 1 and is no activation; here it is 0.2.
- Shapes there are exactly 0 and 1 and shares never are, which is all that a discriminator needs to
  know; here the shapes are blurred and both get the same noise (`softened`).
- Weights are spectrally normalised (Miyato et al., ICLR 2018) and the gradient at real shapes is
  punished (R1, Mescheder et al., ICML 2018), so that it does not run away from a small network.
- It judges patches and takes the mean (Isola et al., CVPR 2017): of any size, and it cannot learn
  whole shapes by heart, of which there are but tens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

_WIDTHS = (16, 32, 32, 32, 32)
SLOPE = 0.2


class ShapeDiscriminator(nn.Module):
    """Gives one number for a map of shares: how much it looks like the shapes, as a logit."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 1
        for number, out in enumerate(_WIDTHS):
            layers += [
                spectral_norm(nn.Conv2d(inside, out, 3, padding=1)),
                nn.LeakyReLU(SLOPE, inplace=False),
            ]
            if number < len(_WIDTHS) - 1:
                layers.append(nn.MaxPool2d(2))
            inside = out
        layers.append(spectral_norm(nn.Conv2d(inside, 1, 1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return a logit for each map, shape (N,).

        Parameters
        ----------
        maps
            From 0 to 1, shape (N, 1, H, W), each side at least 16.
        """
        if maps.ndim != 4 or maps.shape[1] != 1 or min(maps.shape[2:]) < 16:
            raise ValueError(
                f"Maps of {tuple(maps.shape)} came; due is (N, 1, H, W), sides of 16 or more."
            )
        # Spectral normalisation bounds each layer: the scale gives logits back their reach.
        logits: Tensor = 10 * self.layers(maps - 0.5).mean(dim=(1, 2, 3))
        return logits


def softened(maps: Tensor, blur: float, noise: float, generator: torch.Generator) -> Tensor:
    """Return maps blurred by a random part of `blur` and with noise, shape as given.

    Parameters
    ----------
    maps
        From 0 to 1, shape (N, 1, H, W).
    blur
        Largest standard deviation in pixels; 0 leaves the maps sharp.
    noise
        Standard deviation of the noise, the same for shapes and shares.
    """
    if blur > 0:
        sigma = max(0.2, blur * float(torch.rand(1, generator=generator)))
        side = torch.exp(-torch.tensor([1.0, 0.0, 1.0]) / (2 * sigma**2))
        bell = (side / side.sum()).to(maps)
        maps = F.conv2d(maps, bell.view(1, 1, 1, 3), padding=(0, 1))
        maps = F.conv2d(maps, bell.view(1, 1, 3, 1), padding=(1, 0))
    if noise > 0:
        maps = maps + noise * torch.randn(maps.shape, generator=generator).to(maps)
    return maps


def discriminator_loss(on_shapes: Tensor, on_shares: Tensor) -> Tensor:
    """Return the mean binary cross-entropy: shapes are 1, shares of the region are 0.

    Parameters
    ----------
    on_shapes, on_shares
        Logits, shape (N,) each.
    """
    return (F.softplus(-on_shapes).mean() + F.softplus(on_shares).mean()) / 2


def adversarial_loss(on_shares: Tensor) -> Tensor:
    """Return BCE(D(a), 1), a scalar: the shares are to be taken for shapes."""
    return F.softplus(-on_shares).mean()


def gradient_penalty(discriminator: nn.Module, shapes: Tensor) -> Tensor:
    """Return R1, a scalar: half the mean squared gradient of the logit at real shapes."""
    inputs = shapes.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(inputs).sum(), inputs, create_graph=True)
    penalty: Tensor = gradient.square().sum(dim=(1, 2, 3)).mean() / 2
    return penalty
