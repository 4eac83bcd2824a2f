"""Whitening of features by how they vary among the views of a picture.

Source: within-class covariance normalisation (Hatch, Kajarekar and Stolcke, Interspeech 2006). Each
picture is a class of its own, and its views are the members.

We differ: features are standardised and brought to their principal components first, and the
covariance is made rounder (`shrinkage`), so that directions in which views do not differ are not
blown up: only those in which they differ most are held down.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DIM = 32
"""Principal components that are kept."""

SHRINKAGE = 10.0
"""Of the covariance towards a multiple of the identity, in units of its mean variance."""

_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class ViewWhitening:
    """Standardise, project, whiten, and bring to unit length.

    Attributes
    ----------
    mean, scale
        Of each feature, shape (D,).
    components
        Principal directions, shape (D, P).
    middle
        Of the pictures after projection and whitening, shape (P,).
    whitening
        Shape (P, P).
    """

    mean: Tensor
    scale: Tensor
    components: Tensor
    middle: Tensor
    whitening: Tensor

    def apply(self, features: Tensor) -> Tensor:
        """Return embeddings of unit length, shape (N, P).

        Parameters
        ----------
        features
            Of pictures, or means over views of them, shape (N, D).
        """
        projected = ((features - self.mean) / self.scale) @ self.components @ self.whitening
        return torch.nn.functional.normalize(projected - self.middle, dim=1)


def fit_view_whitening(
    features: Tensor, dim: int = DIM, shrinkage: float = SHRINKAGE
) -> ViewWhitening:
    """Return the whitening of features of views, all in double precision.

    With m_n the mean over the V views of picture n after standardising and projecting, and
    W = sum_n sum_v (x_nv - m_n)(x_nv - m_n)^T / (N (V - 1)), the whitening is the Cholesky factor
    of (W + shrinkage tr(W) / P I)^-1.

    Parameters
    ----------
    features
        Shape (V, N, D), at least two views of at least two pictures.
    dim
        Principal components, P; no more than N - 1 and D are kept.
    shrinkage
        See above.

    Raises
    ------
    ValueError
        If there are fewer views or pictures.
    """
    views, count, size = features.shape
    if views < 2 or count < 2:
        raise ValueError(f"{views} views of {count} pictures came; at least 2 of 2 are due.")
    features = features.double()
    mean = features.mean(dim=(0, 1))
    scale = features.flatten(0, 1).std(dim=0, correction=0) + _LEAST
    standard = (features - mean) / scale
    means = standard.mean(dim=0)
    # Eigenvectors of the smaller of the two products; there are often fewer pictures than features.
    _, _, directions = torch.linalg.svd(means - means.mean(dim=0), full_matrices=False)
    components = directions[: min(dim, count - 1, size)].T
    projected = standard @ components
    within = (projected - projected.mean(dim=0)).flatten(0, 1)
    scatter = within.T @ within / (count * (views - 1))
    kept = len(scatter)
    ridge = shrinkage * scatter.trace() / kept + _LEAST
    inverse = torch.linalg.inv(scatter + ridge * torch.eye(kept, dtype=torch.float64))
    whitening = torch.linalg.cholesky((inverse + inverse.T) / 2)
    middle = (projected.mean(dim=(0, 1))) @ whitening
    return ViewWhitening(mean, scale, components, middle, whitening)
