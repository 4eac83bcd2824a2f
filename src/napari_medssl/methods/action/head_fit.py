"""The last layer fitted in one go: logistic regression on the maps of a network that is to learn.

No paper has it. A trained trunk and a way up with random weights already tell pixels apart; what a
random last layer makes of their maps is noise, and a short training spends most of its steps on
undoing that. For maps f(x) of D channels, due classes y(x) and K classes this finds

    (1)  min over W, b of  sum_x w_y(x) -log softmax(W f(x) + b)_y(x) / sum_x w_y(x) + d |W|^2
         w_c = 1 / sqrt(number of pixels of class c),  d = .001

The weights are those of the masks' loss, see `supervision`. The problem is convex, so that it needs
neither a rate nor a number of steps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_DECAY = 1e-3
_MOST_ROUNDS = 100


def fit_last_layer(maps: Tensor, classes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return W, shape (K, D), and b, shape (K,), of equation 1.

    A class without a pixel gets the scores that penalty and the other classes leave it: low ones.

    Parameters
    ----------
    maps
        Values of pixels, shape (N, D).
    classes
        Their class numbers, int64 from 0 to K - 1, shape (N,).
    count
        K.

    Raises
    ------
    ValueError
        If there is no pixel, or maps and classes have other lengths.
    """
    if not len(maps) or len(maps) != len(classes):
        raise ValueError(f"{len(maps)} pixels and {len(classes)} classes; due is as many, not 0.")
    maps = maps.detach().float()
    sizes = torch.bincount(classes, minlength=count)
    weights = torch.where(sizes > 0, sizes.clamp(min=1).float().rsqrt(), 0)
    layer = maps.new_zeros((count, maps.shape[1])).requires_grad_()
    bias = maps.new_zeros(count).requires_grad_()
    solver = torch.optim.LBFGS([layer, bias], max_iter=_MOST_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(F.linear(maps, layer, bias), classes, weights)
        value = value + _DECAY * (layer**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        solver.step(loss)  # type: ignore[no-untyped-call]
    return layer.detach(), bias.detach()
