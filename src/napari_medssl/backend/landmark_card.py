"""What the card of a trained model says to the search for landmarks: `config["landmarks"]`.

All of it is measured on the images that the model was trained on, without labels: what they look
like (`landmark_choice`), the statistics of the trunk on them (`trunk_statistics`), and how alike
two of them are at least when one is laid over the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.landmark_choice import look_of
from napari_medssl.backend.landmark_features import FeatureStore
from napari_medssl.backend.landmark_fields import FieldCache
from napari_medssl.backend.landmark_models import IMAGENET, load_landmark_model, statistics_of
from napari_medssl.backend.models import ModelCard, read_weights, write_model
from napari_medssl.backend.training_images import find_images
from napari_medssl.io.images import read_image

_LOOKS = 64  # images that tell what the others look like
_PAIRS = 12  # of them, that are laid over each other
_SLACK = 0.02  # of cosine: images from another place are a little less alike
_LEAST_SIDE = 32  # pixels of an image in which landmarks are found

Pictures = Sequence[NDArray[np.uint8]]


def pictures_of(data: Path) -> list[NDArray[np.uint8]]:
    """Return some pictures of a folder, spread over it; those that cannot be read are left out."""
    chosen = find_images(data).refs
    pictures = []
    for ref in chosen[:: max(1, len(chosen) // _LOOKS)]:
        with suppress(UserError):  # told already
            pictures.append(read_image(ref, robust=True))
    return pictures


def landmarks_entry(beside: str, pictures: Pictures) -> dict[str, object]:
    """Return `config["landmarks"]` of a model that is used with the maps of another beside it."""
    told: dict[str, object] = {"beside": beside, "look": look_of(pictures)}
    if beside == IMAGENET:
        told["statistics"] = statistics_of(pictures)
    return told


def with_likeness(
    weights: Path, card: ModelCard, pictures: Pictures, should_stop: ShouldStop = never
) -> ModelCard:
    """Write how alike pictures of one kind are into the card of a model that lies at `weights`.

    An image that is less like a template is of another kind, and none of its landmarks is there.

    Raises
    ------
    Cancelled
        If `should_stop` said so; the model stays without this figure.
    """
    least = least_likeness(weights, pictures, should_stop)
    if least is None:
        return card
    told = card.config["landmarks"] | {"least_likeness": round(least, 4)}
    state, _ = read_weights(weights)
    return write_model(weights, state, replace(card, config=card.config | {"landmarks": told}))


def least_likeness(
    model: str | Path, pictures: Pictures, should_stop: ShouldStop = never
) -> float | None:
    """Return how alike the least alike of some pairs of pictures are; None without a pair.

    Parameters
    ----------
    model
        Name or file of a model of landmarks.
    pictures
        Of one kind.

    Raises
    ------
    Cancelled
        If `should_stop` said so.
    """
    large = [one for one in pictures if min(one.shape[:2]) >= _LEAST_SIDE]
    half = min(_PAIRS, len(large) // 2)
    if not half:
        return None
    store, fields = FeatureStore(load_landmark_model(model)), FieldCache()
    smoothness = store.model.info.settings.smoothness
    seen = [store.features(one, should_stop=should_stop) for one in large[: 2 * half]]
    alike = [
        fields.overlay(first, second, smoothness).likeness
        for first, second in zip(seen[:half], seen[half:], strict=True)
    ]
    return min(alike) - _SLACK
