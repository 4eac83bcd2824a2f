"""Class centres on the sphere, fixed beforehand, and the contrast of painted pixels towards them.

Source: You et al., ACTION++, arXiv 2304.02689. With C classes, centres psi and vectors v of unit
length, temperature t, c_i the class of pixel i, and P_i the other pixels of its class:

    (1)  psi minimise sum_c log sum_c' exp(psi_c . psi_c' / t) on the unit sphere
    (2)  phi_c <- m phi_c + (1 - m) mean of v over the pixels of class c in the batch
    (3)  pi = the permutation with the largest sum_c phi_c . psi_pi(c)
    (4)  L_i = -1/|P_i| sum over j in P_i of
               log [ exp(v_i . v_j / t) / sum over k != i of exp(v_i . v_k / t) ]
    (5)  A_i = -log [ exp(v_i . psi_pi(c_i) / t) / sum_c exp(v_i . psi_c / t) ]
    (6)  L = mean of L_i + a mean of A_i

In d >= C - 1 dimensions (1) is solved by the regular simplex, whose cosines are all -1 / (C - 1).

We differ, or the text that we could read leaves it open: (4) is the supervised contrastive loss of
Khosla et al., arXiv 2004.11362, and the sum below the line in (5) is over the centres, so that it
is a cross-entropy with weights that never move. Both means in (6) are of each class first and then
over the classes, so that the pixels of a rare class count as much together as those of the rest;
the sum below the line in (4) is not weighted. A class of which there is one pixel has no L_i, and
a batch of one class has no (4) at all, only (5). The centres are computed, not shipped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.action.full_precision import in_full_precision
from napari_medssl.methods.action.temperature import check_temperature

PULL = 0.2
MOMENTUM = 0.9
_SPREADING = 0.5  # temperature of equation 1 where there is no closed form


def class_centres(count: int, dim: int, seed: int = 0, steps: int = 500) -> Tensor:
    """Return the centres of equation 1, of unit length, float32, shape (count, dim).

    Parameters
    ----------
    count
        Classes, C, the rest counted.
    dim
        Dimensions, d.
    seed
        Of the turn of a simplex, so that it lies in all dimensions alike; else of the start.
    steps
        Largest number of steps where there are fewer than C - 1 dimensions and the minimum is
        searched.
    """
    if count < 1 or dim < 1:
        raise ValueError(f"{count!r} centres in {dim!r} dimensions came; due is one of each.")
    generator = torch.Generator().manual_seed(seed)
    if dim < count - 1:
        return _spread(count, dim, steps, generator).float()
    corners = _simplex(count)  # (C, C - 1)
    noise = torch.randn(dim, max(1, count - 1), generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(noise).Q  # (d, C - 1), of orthonormal columns
    turned: Tensor = corners @ turn.T
    return turned.float()


def _simplex(count: int) -> Tensor:
    """Return the corners of a regular simplex about zero, float64, (C, C - 1); of one, (1, 1)."""
    if count == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    # The columns are orthonormal and add up to 0 (Helmert's): the rows are as far apart as can be.
    columns = torch.zeros(count, count - 1, dtype=torch.float64)
    for k in range(1, count):
        columns[:k, k - 1] = 1
        columns[k, k - 1] = -k
    return F.normalize(F.normalize(columns, dim=0), dim=1)


def _spread(count: int, dim: int, steps: int, generator: torch.Generator) -> Tensor:
    """Return the centres of equation 1 by descent, float64, shape (count, dim)."""
    free = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    free = F.normalize(free, dim=1).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [free],
        max_iter=steps,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def cost() -> Tensor:
        optimizer.zero_grad()
        loss = spreading_loss(F.normalize(free, dim=1), _SPREADING)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(cost)  # type: ignore[no-untyped-call]
    return F.normalize(free.detach(), dim=1)


def spreading_loss(centres: Tensor, temperature: float) -> Tensor:
    """Return equation 1, a scalar, of centres of unit length, shape (C, d)."""
    check_temperature(temperature)
    return (centres @ centres.T / temperature).logsumexp(dim=1).sum()


class CentreAssignment(nn.Module):
    """Which centre each class goes to: the moving means of the classes, matched to the centres.

    Parameters
    ----------
    centres
        Of unit length, shape (C, d).
    momentum
        m of equation 2, from 0 to 1: how much of a mean stays when a batch comes. The first batch
        with a class is its mean.
    """

    centres: Tensor
    means: Tensor
    seen: Tensor

    def __init__(self, centres: Tensor, momentum: float = MOMENTUM) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"Momentum {momentum!r} came; due is one from 0 to 1.")
        self.momentum = momentum
        self.register_buffer("centres", F.normalize(centres.detach().float(), dim=1))
        self.register_buffer("means", torch.zeros_like(self.centres))
        self.register_buffer("seen", torch.zeros(len(centres), dtype=torch.bool))

    @torch.no_grad()
    def update(self, vectors: Tensor, classes: Tensor) -> None:
        """Move the means of the classes of a batch, equation 2.

        Parameters
        ----------
        vectors
            Of pixels, of any length, shape (N, d).
        classes
            Their class numbers, int64, shape (N,); others, such as 255, are left out.
        """
        _check(vectors, classes, self.centres)
        members = _members(classes, len(self.centres))  # (N, C)
        counts = members.sum(dim=0)
        unit = F.normalize(vectors.to(self.means), dim=1)
        fresh = members.T @ unit / counts.clamp(min=1)[:, None]
        moved = self.momentum * self.means + (1 - self.momentum) * fresh
        moved = torch.where(self.seen[:, None], moved, fresh)
        shown = counts > 0
        self.means.copy_(torch.where(shown[:, None], moved, self.means))
        self.seen |= shown

    def assignment(self) -> Tensor:
        """Return equation 3, the number of the centre of each class, int64, shape (C,).

        Classes that were never seen get the centres that are left, in order.
        """
        from scipy.optimize import linear_sum_assignment

        known = torch.nonzero(self.seen)[:, 0].tolist()
        likeness = (self.means @ self.centres.T)[known].double().cpu().numpy()
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        found = {known[row]: int(column) for row, column in zip(rows, columns, strict=True)}
        free = iter(sorted(set(range(len(self.centres))) - set(found.values())))
        numbers = [found[c] if c in found else next(free) for c in range(len(self.centres))]
        return torch.tensor(numbers, device=self.centres.device)


@in_full_precision
def supervised_anatomical_contrast(
    vectors: Tensor,
    classes: Tensor,
    centres: Tensor,
    assignment: Tensor,
    temperature: float,
    pull: float = PULL,
) -> Tensor:
    """Return equation 6, a scalar; 0 without a pixel of a class.

    Parameters
    ----------
    vectors
        Of pixels, of any length, shape (N, d).
    classes
        Their class numbers, int64, shape (N,); others, such as 255, are left out.
    centres
        Of unit length, shape (C, d), without gradient.
    assignment
        Number of the centre of each class, int64, shape (C,).
    temperature
        t of equations 4 and 5.
    pull
        a of equation 6.
    """
    check_temperature(temperature)
    _check(vectors, classes, centres)
    known = (classes >= 0) & (classes < len(centres))
    v, of = F.normalize(vectors[known], dim=1), classes[known]
    if not len(of):
        return vectors[:0].sum()  # 0, with the vectors in its graph
    to_centres = v @ centres.detach().to(v).T / temperature  # (N, C)
    away = F.cross_entropy(to_centres, assignment[of], reduction="none")
    every = torch.ones_like(known[known])
    return _contrast(v, of, temperature) + pull * _mean_of_classes(away, of, every)


def _contrast(v: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return the mean of equation 4; 0 where all pixels are of one class."""
    if bool((classes == classes[0]).all()):
        return v[:0].sum()
    itself = torch.eye(len(v), dtype=torch.bool, device=v.device)
    logits = (v @ v.T / temperature).masked_fill(itself, float("-inf"))
    alike = (classes[:, None] == classes[None]) & ~itself
    pairs = alike.sum(dim=1)  # (N,)
    log_p = logits.log_softmax(dim=1).masked_fill(~alike, 0)
    return _mean_of_classes(-log_p.sum(dim=1) / pairs.clamp(min=1), classes, pairs > 0)


def _mean_of_classes(values: Tensor, classes: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over classes of the mean of their counted values, (N,) each; 0 of none."""
    members = _members(classes.where(counted, -1), int(classes.max()) + 1)  # (N, C)
    counts = members.sum(dim=0).to(values)
    means = members.T.to(values) @ values / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum().clamp(min=1)


def _members(classes: Tensor, count: int) -> Tensor:
    """Return 1 where a pixel is of a class, float, shape (N, C); other numbers are of none."""
    return (classes[:, None] == torch.arange(count, device=classes.device)).float()


def _check(vectors: Tensor, classes: Tensor, centres: Tensor) -> None:
    if vectors.ndim != 2 or vectors.shape[1:] != centres.shape[1:] or len(classes) != len(vectors):
        raise ValueError(
            f"Vectors of {tuple(vectors.shape)}, classes of {tuple(classes.shape)} and centres of "
            f"{tuple(centres.shape)} came; due are (N, d), (N,) and (C, d)."
        )
