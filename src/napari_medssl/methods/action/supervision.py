"""Losses that name the class of each pixel, painted or found by the teacher, and mixed views.

Source: You et al., ACTION, arXiv 2206.02307, stages ii and iii; cutmix: Yun et al., ICCV 2019;
classmix: Olsson et al., WACV 2021; cutout: DeVries and Taylor, arXiv 1708.04552. With p_c(x) the
share of class c at pixel x, y_c(x) 1 where it is due and else 0, and K the classes that the
batch shows:

    (1)  L_sup = 0.5 (sum_x -w_due(x) log p_due(x)(x) / sum_x w_due(x) + 1 - 1/|K| sum over K of
                      2 sum_x p_c y_c / (sum_x p_c + sum_x y_c)),    w_c = 1 / sqrt(sum_x y_c)
    (2)  L_unsup = 1/B sum over images of s_b (mean over b of -log p_due(x)(x))
         s_b = part of the pixels of b at which the teacher is at least as sure as the threshold
    (3)  L_conf = s / 2 (mean over sure x of -log p_due(x)(x) + 1 - Dice of the sure pixels)
         x is sure if its confidence is t_due(x) at least,  t_c = max(t_low, t q_c / max over c q_c)
         q_c = mean confidence of the pixels of class c,  s = part of all pixels that are sure

Pixels that are ignored are in none of these sums.

We differ, or the papers leave it open: the Dice coefficient is of the whole batch, so that an image
without a rare class does not count against it. A class that the batch does not show is left out of
it: cross-entropy asks for none of it already. The rest, class 0, is a class as others are. A small
class weighs more in the cross-entropy, by the root of its pixels: without, two of three classes of
the heart were not found at all after 200 steps (w = 1 in the paper, whose trainings are 100 times
as long).

Equation 3 leaves unsure pixels out as UniMatch does (Yang et al., arXiv 2208.09910), with a
threshold of each class as in FlexMatch (Zhang et al., arXiv 2110.08263): a teacher is sure of the
ground first, and with one threshold for all took objects of another kind for it. With the weights
of equation 1 in it, hearts were segmented less well (docs/methods/action.md).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medssl.methods.action.full_precision import in_full_precision

Mixture = Literal["cutmix", "classmix", "cutout"]

IGNORED = 255  # class number of pixels that nobody painted
CONFIDENT = 0.97
_LEAST_SURE = 0.8  # t_low: classes that are hardly known are not learnt from guesses
_AREA = 0.5  # part of an image that a rectangle takes


@in_full_precision
def supervised_loss(logits: Tensor, classes: Tensor, ignored: int = IGNORED) -> Tensor:
    """Return equation 1, a scalar; 0 where all pixels are ignored.

    Parameters
    ----------
    logits
        Scores before softmax, shape (B, C, H, W), of 2 classes or more, the rest counted.
    classes
        Class numbers, int64, shape (B, H, W).
    ignored
        Number of pixels without a class.
    """
    _check_classes(logits, classes)
    known = classes != ignored
    if not bool(known.any()):
        return logits[:0].sum()  # 0, with the logits in its graph
    sizes = torch.bincount(classes[known], minlength=logits.shape[1])
    weights = torch.where(sizes > 0, sizes.clamp(min=1).to(logits).rsqrt(), 0)
    entropy = F.cross_entropy(logits, classes, weights, ignore_index=ignored)
    return 0.5 * (entropy + 1 - _mean_dice(logits, classes, known))


def _mean_dice(logits: Tensor, classes: Tensor, known: Tensor) -> Tensor:
    """Return the mean soft Dice coefficient of the classes that the known pixels show."""
    due = _planes(classes, logits.shape[1]) & known[:, None]
    shares = logits.softmax(dim=1) * known[:, None]
    sizes = due.sum(dim=(0, 2, 3))  # (C,), in pixels
    both = (shares * due).sum(dim=(0, 2, 3))
    dice = 2 * both / (shares.sum(dim=(0, 2, 3)) + sizes).clamp(min=1)
    is_shown = sizes > 0
    return dice.where(is_shown, 0).sum() / is_shown.sum()


def _planes(classes: Tensor, count: int) -> Tensor:
    """Return which pixels have each class, bool, shape (B, C, H, W); those ignored have none."""
    return classes[:, None] == torch.arange(count, device=classes.device)[:, None, None]


def pseudo_labels(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest class of each pixel, int64, and its probability, shapes (B, H, W).

    Parameters
    ----------
    probabilities
        Of the teacher, after softmax, shape (B, C, H, W).
    """
    confidence, classes = probabilities.detach().max(dim=1)
    return classes, confidence


@in_full_precision
def pseudo_label_loss(
    logits: Tensor,
    classes: Tensor,
    confidence: Tensor,
    threshold: float = CONFIDENT,
    valid: Tensor | None = None,
    ignored: int = IGNORED,
) -> Tensor:
    """Return equation 2, a scalar; an image without a valid pixel adds 0 to the mean.

    Parameters
    ----------
    logits
        Scores of the student for the strong view before softmax, shape (B, C, H, W).
    classes, confidence
        Of the teacher: class numbers, int64, and their probabilities, shapes (B, H, W).
    threshold
        Least confidence of a pixel that counts in s_b.
    valid
        Which pixels count at all, bool, shape (B, H, W); all of them if not given.
    ignored
        Number of pixels that do not count either.
    """
    _check_classes(logits, classes)
    known = classes != ignored
    if valid is not None:
        known = known & valid
    if not len(logits):
        return logits.sum()
    due = classes.where(known, ignored)
    costs = F.cross_entropy(logits, due, ignore_index=ignored, reduction="none")  # (B, H, W)
    pixels = known.sum(dim=(1, 2)).clamp(min=1).to(costs)  # (B,)
    sure = ((confidence.detach() >= threshold) & known).sum(dim=(1, 2)) / pixels
    return (sure * costs.sum(dim=(1, 2)) / pixels).mean()


def class_thresholds(
    classes: Tensor, confidence: Tensor, count: int, threshold: float, ignored: int = IGNORED
) -> Tensor:
    """Return the confidence t_c from which a pixel of each class is sure: see equation 3.

    Parameters
    ----------
    classes, confidence
        Of the teacher, int64 and from 0 to 1, shape (B, H, W).
    count
        Classes, the rest counted.
    threshold
        Of the class of which the teacher is surest, and of classes that it does not find.

    Returns
    -------
    Tensor
        float32 or wider, shape (C,).
    """
    of_class = _planes(classes, count) & (classes != ignored)[:, None]
    pixels = of_class.sum(dim=(0, 2, 3))
    means = (of_class * confidence[:, None]).sum(dim=(0, 2, 3)) / pixels.clamp(min=1)
    limits = threshold * means / means.max().clamp(min=1e-6)
    return limits.clamp(min=min(_LEAST_SURE, threshold)).where(pixels > 0, threshold)


@in_full_precision
def confident_loss(
    logits: Tensor,
    classes: Tensor,
    confidence: Tensor,
    threshold: float = 0.95,
    ignored: int = IGNORED,
) -> Tensor:
    """Return equation 3, a scalar; 0 if the teacher is sure of no pixel.

    Parameters
    ----------
    logits
        Of the student, shape (B, C, H, W), of 2 classes or more.
    classes, confidence
        Of the teacher, int64 and from 0 to 1, shape (B, H, W).
    threshold
        Least confidence of a sure pixel of the class of which the teacher is surest.
    ignored
        Number of pixels that are not counted at all.
    """
    known = classes != ignored
    limits = class_thresholds(classes, confidence, logits.shape[1], threshold, ignored)
    sure = known & (confidence >= limits[classes.where(known, 0)])
    if not bool(sure.any()):
        return logits[:0].sum()  # 0, with the logits in its graph
    due = classes.where(sure, ignored)
    entropy = F.cross_entropy(logits, due, ignore_index=ignored)
    share = sure.sum().to(logits) / known.sum()
    return 0.5 * share * (entropy + 1 - _mean_dice(logits, due, sure))


def mix(
    images: Tensor,
    classes: Tensor,
    confidence: Tensor,
    generator: torch.Generator,
    kind: Mixture = "classmix",
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mixed images, and their classes and confidence mixed alike.

    Each image gets a part of the next one of the batch, the last one of the first; a batch of one
    stays as it is, unless it is cut out.

    Parameters
    ----------
    images
        Strong views, shape (B, C, H, W).
    classes, confidence
        Of the teacher for the same views, int64 and float, shapes (B, H, W).
    generator
        On the CPU, so that a run mixes alike on any device.
    kind
        "cutmix": a rectangle of half the area comes from the next image. "classmix": the pixels of
        half the classes that the next image shows, rounded down. "cutout": a rectangle of half the
        area becomes the mean of the image, and its pixels are ignored, with confidence 0.

    Raises
    ------
    ValueError
        If the kind is unknown or shapes do not fit.
    """
    if kind not in ("cutmix", "classmix", "cutout"):
        raise ValueError(f"Kind {kind!r} is unknown; due is 'cutmix', 'classmix' or 'cutout'.")
    if images[:, 0].shape != classes.shape or confidence.shape != classes.shape:
        raise ValueError(
            f"Images of {tuple(images.shape)} came with classes of {tuple(classes.shape)} and "
            f"confidence of {tuple(confidence.shape)}; due are (B, C, H, W) and two of (B, H, W)."
        )
    if kind == "cutout":
        cut = _rectangles(classes, generator)
        means = images.float().mean(dim=(2, 3), keepdim=True).to(images.dtype)
        filled = torch.where(cut[:, None], means, images)
        return filled, classes.masked_fill(cut, IGNORED), confidence.masked_fill(cut, 0)
    following = classes.roll(-1, dims=0)
    draw = _rectangles if kind == "cutmix" else _half_the_classes
    pasted = draw(following, generator)
    return (
        torch.where(pasted[:, None], images.roll(-1, dims=0), images),
        torch.where(pasted, following, classes),
        torch.where(pasted, confidence.roll(-1, dims=0), confidence),
    )


def _rectangles(classes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a rectangle of half the area of each image, anywhere in it, bool, shape (B, H, W)."""
    count, height, width = classes.shape
    draws = torch.rand(3, count, generator=generator)
    tall = torch.exp(draws[0] * math.log(_AREA))  # of the height, from _AREA to 1
    rows = _spans(height, tall, draws[1])
    columns = _spans(width, _AREA / tall, draws[2])
    return (rows[:, :, None] & columns[:, None, :]).to(classes.device)


def _spans(length: int, share: Tensor, start: Tensor) -> Tensor:
    """Return which of `length` pixels lie in a span of each share, bool, shape (B, length)."""
    side = (share * length).round().clamp(min=1)
    first = (start * (length - side + 1)).floor()
    along = torch.arange(length)
    return (along >= first[:, None]) & (along < (first + side)[:, None])


def _half_the_classes(classes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw half the classes of each image; return where they are, bool, shape (B, H, W)."""
    chosen = []
    for each in classes:
        shown = each.unique()
        shown = shown[shown != IGNORED]
        order = torch.randperm(len(shown), generator=generator).to(shown.device)
        chosen.append(torch.isin(each, shown[order[: len(shown) // 2]]))
    return torch.stack(chosen) if chosen else torch.zeros_like(classes, dtype=torch.bool)


def _check_classes(logits: Tensor, classes: Tensor) -> None:
    is_due = logits.ndim == 4 and logits.shape[1] >= 2 and logits[:, 0].shape == classes.shape
    if not is_due:
        raise ValueError(
            f"Logits of {tuple(logits.shape)} and classes of {tuple(classes.shape)} came; due are "
            "(B, C, H, W), C at least 2, and (B, H, W)."
        )
