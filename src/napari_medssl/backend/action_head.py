"""The head that a training begins with: fitted to the labelled images rather than random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medssl.backend.action_config import STARTS, load_action_card

if TYPE_CHECKING:
    from napari_medssl.backend.action_data import ActionImages
    from napari_medssl.methods.action.network import SegmentationUNet

_LEAST_VIEWS, _MOST_VIEWS = 16, 64  # of all labelled images together
_AT_ONCE = 4
_MOST_PIXELS = 20_000


def is_head_random(start: str, classes: int) -> bool:
    """Say whether `start_network` draws the head of a network for `classes` at random."""
    return start in STARTS or len(load_action_card(start).config["classes"]) + 1 != classes


def fit_head(
    network: SegmentationUNet,
    images: ActionImages,
    size: int,
    seed: int,
    device: str = "cpu",
    inverted: float = 0.0,
) -> bool:
    """Fit the head to views of the labelled images, in place; the rest stays as it is.

    The views are such as the training will see, strong ones. Nothing is done, and False returned,
    if the trunk is random, so that its maps tell nothing, or no pixel is labelled.

    Parameters
    ----------
    network
        With the weights that a training starts from.
    size
        Side of a view in pixels.
    seed
        Of the views and of the pixels among theirs.
    device
        Torch name; the network is there afterwards.
    inverted
        Chance that a view is a negative.
    """
    import torch

    from napari_medssl.methods.action.head_fit import fit_last_layer
    from napari_medssl.methods.action.supervision import IGNORED
    from napari_medssl.methods.action.views import (
        Sampling,
        same_places,
        strong_views,
        weak_views,
    )

    if not images.labelled or not network.keeps_statistics:
        return False
    how = Sampling(size=size, inverted=inverted)
    generator = torch.Generator().manual_seed(seed)
    was_training = network.training
    network.to(device).eval()
    maps, classes = [], []
    count = len(images.labelled)
    firsts = range(0, min(max(_LEAST_VIEWS, count), _MOST_VIEWS), _AT_ONCE)
    for first in firsts:
        pairs = [images.labelled[n % count] for n in range(first, first + _AT_ONCE)]
        views, places = weak_views([pixels for pixels, _ in pairs], how, generator)
        due = same_places([truth for _, truth in pairs], places).flatten()
        known = torch.nonzero(due != IGNORED)[:, 0]
        drawn = torch.randperm(len(known), generator=generator)[: _MOST_PIXELS // len(firsts)]
        known = known[drawn]
        with torch.inference_mode():
            found = network.maps(strong_views(views, how, generator).to(device)).decoder[-1]
        # In inference mode no graph could be built on it: a copy can.
        maps.append(found.float().movedim(1, 3).flatten(0, 2).cpu()[known].clone())
        classes.append(due[known])
    network.train(was_training)
    if not any(map(len, classes)):
        return False
    network.set_head(*fit_last_layer(torch.cat(maps), torch.cat(classes), network.classes))
    return True
