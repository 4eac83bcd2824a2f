"""The network of SimSiam: an encoder, a projector and a predictor, one for both views.

Source: Chen and He, CVPR 2021 (arXiv 2011.10566), section 3. We differ: the encoder is
EfficientNet-Lite0 rather than ResNet-50, so that it can start from the weights of ImageNet that
are shipped; 512 dimensions of z and 128 between, a quarter as in the paper, rather than 2048.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_medssl.methods.siamese.trunk import TRUNK_DIM, EfficientNetLite0, normalise_pixels


class SimSiam(nn.Module):
    """Both heads on a trunk.

    Parameters
    ----------
    trunk
        The encoder: all that is kept after training.
    dim
        Dimensions of z; the predictor has a quarter of them between.
    """

    def __init__(self, trunk: EfficientNetLite0, dim: int = 512) -> None:
        super().__init__()
        self.trunk = trunk
        # Biases before a normalisation would be taken out again.
        self.projector = nn.Sequential(
            *_layer(TRUNK_DIM, dim),
            *_layer(dim, dim),
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim, affine=False),
        )
        self.predictor = nn.Sequential(*_layer(dim, dim // 4), nn.Linear(dim // 4, dim))

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return p and z, each of shape (B, D).

        Parameters
        ----------
        views
            One of each image, RGB from 0 to 1, shape (B, 3, S, S).
        """
        projected = self.projector(self.trunk(normalise_pixels(views * 255)))
        return self.predictor(projected), projected


def _layer(inside: int, out: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inside, out, bias=False), nn.BatchNorm1d(out), nn.ReLU(inplace=True)
