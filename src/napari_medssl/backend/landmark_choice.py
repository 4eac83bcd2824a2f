"""Choose the model of landmarks that fits some images.

A model of one modality says on its card what its images look like: `config["landmarks"]["look"]`,
of `look_of`. It holds the mean ImageNet embedding of them, and how unlike it an image may be.
Images that fit no such model are matched by ImageNet's own maps.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.encoders import make_encoder, unit_length
from napari_medssl.backend.landmark_models import IMAGENET
from napari_medssl.backend.models import list_models
from napari_medssl.backend.pixel_embedding import TASK

_SIDE = 224  # of the pictures that the encoder takes
_PERCENTILE = 1.0  # of the model's own images, as many do not look like it
# Of cosine: images from another place look otherwise. Of chest X-rays of another projection than
# those of the shipped model the least alike is 0.07 below its own; eyes, hearts, ultrasound and
# cells are 0.21 and more below it.
_SLACK = 0.12

Pictures = Sequence[NDArray[np.uint8]]


def look_of(pictures: Pictures) -> dict[str, Any]:
    """Return what pictures of one modality look like, for a card.

    Parameters
    ----------
    pictures
        Each uint8, (Y, X) or (Y, X, 1 or 3); some dozen are enough.
    """
    embeddings = _embedded(pictures)
    middle = unit_length(embeddings.mean(axis=0, keepdims=True))[0]
    least = float(np.percentile(embeddings @ middle, _PERCENTILE)) - _SLACK
    packed = base64.b64encode(middle.astype("<f2").tobytes()).decode("ascii")
    return {"embedding": packed, "least_cosine": round(least, 4)}


def choose_landmark_model(pictures: Pictures) -> str:
    """Return the name of the registered model that fits pictures best, such as templates.

    Raises
    ------
    UserError
        If a card of a registered model cannot be read.
    """
    looks = {
        model.card.name: look
        for model in list_models()
        if model.card.task == TASK and (look := _look(model.card.config)) is not None
    }
    if not looks:
        return IMAGENET
    embeddings = _embedded(pictures)
    margins = {
        name: float((embeddings @ middle).min()) - least for name, (middle, least) in looks.items()
    }
    best = max(margins, key=lambda name: margins[name])
    return best if margins[best] >= 0 else IMAGENET


def _look(config: Mapping[str, Any]) -> tuple[NDArray[np.float32], float] | None:
    """Return the middle and the least cosine of a card, None if it tells none that we read."""
    try:
        look = config["landmarks"]["look"]
        middle = np.frombuffer(base64.b64decode(look["embedding"]), "<f2").astype(np.float32)
        least = float(look["least_cosine"])
    except (KeyError, TypeError, ValueError):
        return None
    return (middle, least) if middle.shape == (make_encoder("imagenet", "cpu").info.dim,) else None


def _embedded(pictures: Pictures) -> NDArray[np.float32]:
    """Return the ImageNet embeddings of pictures, float32 (N, D)."""
    from PIL import Image

    from napari_medssl.backend.sizing import to_channels

    encoder = make_encoder("imagenet", "cpu")
    tiles = [
        np.asarray(
            Image.fromarray(to_channels(picture, 3)).resize(
                (_SIDE, _SIDE), Image.Resampling.BILINEAR
            )
        )
        for picture in pictures
    ]
    return np.concatenate([encoder.embed(tile[None]) for tile in tiles])
