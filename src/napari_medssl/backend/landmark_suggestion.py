"""Which image to label next, so that the landmarks of all others are found best.

An image is well served by a template that looks like it. A further template helps most where it
looks more like images than the templates so far do, and where landmarks are uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medssl.backend.landmark_features import ImageFeatures, as_tensor

_SIDE = 16  # cells of the maps that are compared


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An image that is worth a template.

    Attributes
    ----------
    key
        Of the image.
    helps
        Keys of the other images that it looks more like than the templates do, most gain first.
    gain
        Sum of these gains in cosine, each weighted by how uncertain the image is.
    """

    key: str
    helps: tuple[str, ...]
    gain: float


def suggest_template(
    templates: Sequence[ImageFeatures],
    images: Sequence[ImageFeatures],
    uncertainty: Mapping[str, float] | None = None,
) -> Suggestion | None:
    """Return the image that helps most as a further template, None if there is none.

    Parameters
    ----------
    templates
        The templates so far; at least one.
    images
        All images, templates or not.
    uncertainty
        Of each image by key, 0 to 1, such as 1 less the mean score of its landmarks; 1 for those
        that are not named.
    """
    taken = {template.key for template in templates}
    others = list({image.key: image for image in images if image.key not in taken}.values())
    if not others or not templates:
        return None
    rows = np.stack([_signature(image) for image in (*templates, *others)])
    alike = rows @ rows.T
    first = len(templates)
    served = alike[:first, first:].max(axis=0)  # (N,)
    doubt = np.array([(uncertainty or {}).get(image.key, 1.0) for image in others])
    gains = np.maximum(0.0, alike[first:, first:] - served) * doubt  # (candidate, image)
    totals = gains.sum(axis=1)
    best = int(totals.argmax())
    order = [at for at in np.argsort(-gains[best], kind="stable") if gains[best, at] > 0]
    helped = tuple(others[at].key for at in order if at != best)
    return Suggestion(others[best].key, helped, float(totals[best]))


def _signature(features: ImageFeatures) -> np.ndarray:
    """Return the coarse map of an image as one row of unit length: what it looks like where."""
    from torch.nn import functional as F

    small = F.adaptive_avg_pool2d(as_tensor(features.coarse)[None], (_SIDE, _SIDE))
    row: np.ndarray = F.normalize(small.flatten(), dim=0).numpy()
    return row
