"""Anatomical contrast: a pixel that is hard to tell is like its class and unlike the others.

Source: You et al., ACTION, arXiv 2206.02307, stage iii; it is the loss of Liu et al., ReCo, arXiv
2104.04465. With vectors r of pixels, cosines for products, temperature t, m_c the mean vector of
class c over its valid pixels, Q_c its hard queries and N_q the negatives of query q:

    (1)  L = mean over c of mean over q in Q_c of
             -log [ exp(q . m_c / t) / (exp(q . m_c / t) + sum over r in N_q of exp(q . r / t)) ]
    (2)  Q_c: valid pixels of class c to which the student gives class c less than `hard_below`
    (3)  class c' of a negative is drawn by softmax over c' != c of m_c . m_c' / t, and the negative
         from all valid pixels of c' alike

Means and negatives have no gradient: the queries alone move.

We differ: (1) has means where the paper prints sums, so that the weight of the loss depends on
neither the number of queries nor that of classes; a class of which nothing is hard adds 0 to the
mean. And where there are many valid pixels, negatives come from 4096 of them, or as many of each
class as a query has negatives if that is more, drawn at random beforehand: each negative is still
distributed by (3), and the loss takes little time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.action.full_precision import in_full_precision
from napari_medssl.methods.action.temperature import check_temperature

_POOL = 4096  # pixels that negatives are drawn from, of all classes


@dataclass(frozen=True, slots=True)
class AnatomicalContrast:
    """How queries and negatives are drawn; the published numbers.

    Attributes
    ----------
    temperature
        By which cosines are divided.
    hard_below
        Probability of its own class below which a pixel is hard.
    queries
        Largest number of queries of a class.
    negatives
        Of each query.
    """

    temperature: float = 0.5
    hard_below: float = 0.97
    queries: int = 256
    negatives: int = 512

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if min(self.queries, self.negatives) < 1:
            raise ValueError(
                f"{self.queries!r} queries and {self.negatives!r} negatives came; due are one of "
                "each at least."
            )


@dataclass(frozen=True, slots=True)
class Pool:
    """What negatives are drawn from: `sizes[k]` rows of `keys` for the k-th class, in order."""

    keys: Tensor  # (N, D)
    sizes: Tensor  # int64, (K,), on the CPU


@in_full_precision
def anatomical_contrast(
    representations: Tensor,
    classes: Tensor,
    valid: Tensor,
    probabilities: Tensor,
    generator: torch.Generator,
    settings: AnatomicalContrast | None = None,
    keys: Tensor | None = None,
) -> Tensor:
    """Return equation 1, a scalar; 0 where fewer than two classes have valid pixels.

    Parameters
    ----------
    representations
        Vectors of the pixels, of any length, shape (B, D, H, W).
    classes
        Painted or found by the teacher, int64, shape (B, H, W).
    valid
        Pixels whose class is known well enough, bool, shape (B, H, W). Those of a number that is no
        class, such as 255, never count.
    probabilities
        Of the student, after softmax, shape (B, C, H, W); only which pixels are hard is taken
        from them.
    generator
        On the CPU, so that a run draws alike on any device.
    settings
        How queries and negatives are drawn.
    keys
        Vectors that means and negatives are made of, as those of the teacher, of the shape of
        `representations`, which are taken if none are given.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    how = settings or AnatomicalContrast()
    source = (representations if keys is None else keys).detach()
    _check(representations, source, classes, valid, probabilities)
    known = valid & (classes >= 0) & (classes < probabilities.shape[1])
    labels = classes.where(known, 0)
    means, pixels = class_means(source, labels, known, probabilities.shape[1])
    present = torch.nonzero(pixels)[:, 0].tolist()
    if len(present) < 2:
        return representations[:0].sum()  # 0, with the vectors in its graph
    own = probabilities.detach().gather(1, labels[:, None])[:, 0]
    hard = known & (own < how.hard_below)
    pool = _draw_pool(source, [known & (labels == c) for c in present], how.negatives, generator)
    chances = negative_chances(means[present], how.temperature)
    drawn = [_draw_pixels(hard & (labels == c), how.queries, generator) for c in present]
    b, y, x = torch.cat(drawn).unbind(dim=1)
    queries = torch.split(representations[b, :, y, x], [len(each) for each in drawn])  # (Q, D) each
    losses = []
    for row, c in enumerate(present):
        shape = (len(queries[row]), how.negatives)
        picks = draw_negatives(chances[row], pool.sizes, shape, generator)
        losses.append(contrast_of(queries[row], means[c], pool.keys, how.temperature, picks))
    return torch.stack(losses).mean()


@in_full_precision
def contrast_of(
    queries: Tensor,
    positive: Tensor,
    negatives: Tensor,
    temperature: float,
    picks: Tensor | None = None,
) -> Tensor:
    """Return the inner mean of equation 1, a scalar; 0 without queries.

    Parameters
    ----------
    queries
        Vectors of pixels of one class, of any length, shape (Q, D).
    positive
        Mean vector of the class, shape (D,), without gradient.
    negatives
        Vectors of pixels of other classes, shape (N, D), without gradient.
    temperature
        By which cosines are divided.
    picks
        Which rows of `negatives` are those of each query, int64, shape (Q, K), a row twice if drawn
        twice; all of them if not given.
    """
    check_temperature(temperature)
    if not len(queries):
        return queries.sum()
    q = F.normalize(queries, dim=1)
    to_positive = q @ F.normalize(positive.detach(), dim=0)  # (Q,)
    to_negatives = q @ F.normalize(negatives.detach(), dim=1).T  # (Q, N)
    if picks is not None:
        to_negatives = to_negatives.gather(1, picks)
    logits = torch.cat([to_positive[:, None], to_negatives], dim=1) / temperature
    return -logits.log_softmax(dim=1)[:, 0].mean()


def class_means(
    representations: Tensor, classes: Tensor, valid: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return the mean vector of each class over its valid pixels, and the number of those.

    Parameters
    ----------
    representations
        Shape (B, D, H, W).
    classes
        Numbers from 0 to `count` - 1, int64, shape (B, H, W).
    valid
        Bool, shape (B, H, W).

    Returns
    -------
    tuple
        Shapes (C, D), zero for a class without pixels, and (C,).
    """
    members = F.one_hot(classes, count).flatten(1, 2) * valid.flatten(1)[..., None]  # (B, P, C)
    pixels = members.sum(dim=(0, 1))
    sums = torch.einsum("bdp,bpc->cd", representations.flatten(2), members.to(representations))
    return sums / pixels.clamp(min=1)[:, None], pixels


def negative_chances(means: Tensor, temperature: float) -> Tensor:
    """Return equation 3, how likely a negative of each class is one of each other, shape (K, K).

    Parameters
    ----------
    means
        Of the classes that have pixels, shape (K, D), K at least 2.
    """
    unit = F.normalize(means, dim=1)
    itself = torch.eye(len(means), dtype=torch.bool, device=means.device)
    return (unit @ unit.T / temperature).masked_fill(itself, float("-inf")).softmax(dim=1)


def draw_negatives(
    chances: Tensor, sizes: Tensor, shape: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw rows of a pool: a class by its chance, then one of its rows; int64, of `shape`.

    Parameters
    ----------
    chances
        Of each class, shape (K,); the rows are on its device.
    sizes
        Rows of each class in the pool, int64, shape (K,), on the CPU.
    """
    drawn = shape[0] * shape[1]
    if not drawn:
        return torch.zeros(shape, dtype=torch.int64, device=chances.device)
    of_class = torch.multinomial(chances.cpu(), drawn, replacement=True, generator=generator)
    place = torch.rand(drawn, generator=generator) * sizes[of_class]  # never rounds to the size
    starts = sizes.cumsum(dim=0) - sizes
    return (starts[of_class] + place.long()).view(shape).to(chances.device)


def _draw_pool(
    source: Tensor, members: list[Tensor], least: int, generator: torch.Generator
) -> Pool:
    """Draw the pixels that negatives come from, of each class at most its part of `_POOL`."""
    most = max(least, _POOL // len(members))
    places = [_draw_pixels(each, most, generator) for each in members]
    b, y, x = torch.cat(places).unbind(dim=1)
    return Pool(source[b, :, y, x], torch.tensor([len(each) for each in places]))


def _draw_pixels(chosen: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return the places of chosen pixels, no more than `most` of them, int64, shape (n, 3)."""
    places = torch.nonzero(chosen)
    if len(places) <= most:
        return places
    order = torch.randperm(len(places), generator=generator)[:most]
    return places[order.to(places.device)]


def _check(
    representations: Tensor, keys: Tensor, classes: Tensor, valid: Tensor, probabilities: Tensor
) -> None:
    pixels = (len(representations), *representations.shape[2:])
    shown = (classes.shape, valid.shape, probabilities[:, 0].shape)
    if any(tuple(each) != pixels for each in shown) or keys.shape != representations.shape:
        raise ValueError(
            f"Vectors of {tuple(representations.shape)} and keys of {tuple(keys.shape)} came with "
            f"classes of {tuple(classes.shape)}, valid of {tuple(valid.shape)} and probabilities "
            f"of {tuple(probabilities.shape)}; due are the same pixels."
        )
