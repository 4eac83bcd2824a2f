"""Models that landmarks are matched by, by name or from a file.

- "imagenet-landmarks": EfficientNet-Lite0 as ImageNet trained it, which needs no training and fits
  any kind of image
- "untrained-landmarks": the same network at random, a baseline
- NAME or NAME.safetensors: a model of `medssl train local-discrimination`. Its card may hold
  `config["landmarks"]`: settings of matching, see `MatchSettings`; "beside", the name of a model
  whose maps are used as well, and "share", how much of a cosine comes from its own; "statistics",
  of the maps of "imagenet-landmarks" over images of its modality
- "A+B": the maps of both
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.landmark_features import (
    LandmarkModel,
    LandmarkModelInfo,
    MatchSettings,
)
from napari_medssl.backend.landmark_maps import (
    WIDTHS,
    JointLandmarks,
    PixelLandmarks,
    TrunkLandmarks,
)
from napari_medssl.backend.models import file_sha256, find_weights, list_models, load_card
from napari_medssl.backend.trunk_statistics import TrunkStatistics, measure

IMAGENET = "imagenet-landmarks"
UNTRAINED = "untrained-landmarks"

_PIPELINE = "1"  # of identities: raise it when maps of the same weights come out otherwise
_SHARE = 0.2  # of a model with another beside it


def list_landmark_models() -> tuple[str, ...]:
    """Return the names that `load_landmark_model` knows, trained ones first."""
    from napari_medssl.backend.pixel_embedding import TASK

    trained = [model.card.name for model in list_models() if model.card.task == TASK]
    return (*trained, IMAGENET)


def load_landmark_model(name_or_file: str | Path, device: str = "auto") -> LandmarkModel:
    """Return a model of landmarks, see the top of this module.

    Raises
    ------
    UserError
        If there is none, it is for another task, or its file cannot or must not be read.
    """
    from napari_medssl.backend.device import choose_device

    parts = str(name_or_file).split("+")
    if len(parts) > 1 and not Path(name_or_file).exists():
        models = [load_landmark_model(part, device) for part in parts]
        return JointLandmarks(models, models[0].info.settings)
    if name_or_file == IMAGENET:
        return _imagenet(choose_device(device))
    if name_or_file == UNTRAINED:
        return _untrained(choose_device(device))
    return _trained(name_or_file, device)


def statistics_of(pictures: Sequence[NDArray[np.uint8]]) -> dict[str, str]:
    """Return the statistics of the maps of "imagenet-landmarks" over pictures, for a card.

    Parameters
    ----------
    pictures
        Of one modality, each uint8, (Y, X) or (Y, X, 1 or 3); some dozen are enough.
    """
    return measure(pictures, WIDTHS, _imagenet("cpu").stages).to_card()


def _imagenet(device: str, statistics: TrunkStatistics | None = None) -> TrunkLandmarks:
    from napari_medssl.backend.trunks import IMAGENET_TRUNK, load_imagenet_trunk

    weights = file_sha256(find_weights(IMAGENET_TRUNK))
    info = LandmarkModelInfo(
        IMAGENET, f"{IMAGENET}-{_PIPELINE}-{weights}", _TRUNK_SETTINGS, "any kind of image"
    )
    return TrunkLandmarks(info, load_imagenet_trunk(), device, statistics)


def _untrained(device: str) -> LandmarkModel:
    import torch

    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same network each time, or its maps would not compare
        trunk = EfficientNetLite0()
    # It knows no score that tells presence, so it never abstains.
    settings = replace(
        _TRUNK_SETTINGS, least_score=-1.0, most_cycle=float("inf"), least_likeness=-1.0
    )
    info = LandmarkModelInfo(UNTRAINED, f"{UNTRAINED}-{_PIPELINE}", settings, "a baseline")
    return TrunkLandmarks(info, trunk, device)


def _trained(name_or_file: str | Path, device: str) -> LandmarkModel:
    from napari_medssl.backend.device import choose_device
    from napari_medssl.backend.pixel_embedding import TASK, load_pixel_embedder

    known = [model.card.name for model in list_models()]
    is_name = not isinstance(name_or_file, Path) and Path(name_or_file).suffix == ""
    if is_name and name_or_file not in known and not Path(name_or_file).exists():
        raise UserError(
            f"No model of landmarks is named {str(name_or_file)!r}. Choose one of "
            f"{', '.join(list_landmark_models())}, or give a file of "
            "`medssl train local-discrimination`, NAME.safetensors."
        )
    card = load_card(name_or_file)
    if card.task != TASK:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r}; landmarks want one for {TASK!r}, "
            "of `medssl train local-discrimination`."
        )
    embedder = load_pixel_embedder(name_or_file, device)
    wanted = card.config.get("landmarks", {})
    info = LandmarkModelInfo(
        card.name,
        f"pixels-{_PIPELINE}-{embedder.info.sha256}",
        _settings_of(wanted, card.name),
        card.description,
    )
    model = PixelLandmarks(info, embedder)
    if not wanted.get("beside"):
        return model
    statistics, share = _beside_settings(wanted, card.name)
    if wanted["beside"] == IMAGENET:
        beside: LandmarkModel = _imagenet(choose_device(device), statistics)
    else:
        beside = load_landmark_model(str(wanted["beside"]), device)
    joint = JointLandmarks([model, beside], info.settings, (share, 1 - share))
    told = json.dumps([wanted.get("statistics"), share], sort_keys=True).encode()
    joint.info = replace(
        joint.info,
        name=card.name,  # one model to whoever asked for it
        identity=f"{joint.info.identity}-{hashlib.sha256(told).hexdigest()[:16]}",
    )
    return joint


# The least likeness lies between pairs of chest X-rays of `pretrain/chest_xray` (0.21 to 0.40) and
# pairs of them with eyes and hearts (at most 0.17), on which nothing is scored.
_TRUNK_SETTINGS = MatchSettings(smoothness=3.3, least_score=0.2, least_likeness=0.19)
_PIXEL_SETTINGS = MatchSettings(window=9, sigma=0.25, smoothness=3.3)
# What a likeness of both together is, is measured when the model is trained.
_JOINT_SETTINGS = replace(_TRUNK_SETTINGS, least_likeness=-1.0)


def _beside_settings(wanted: dict[str, Any], name: str) -> tuple[TrunkStatistics | None, float]:
    """Return what a card says of the model beside: statistics, if any, and its own share."""
    try:
        told = wanted.get("statistics")
        statistics = None if told is None else TrunkStatistics.from_card(told)
        share = float(wanted.get("share", _SHARE))
        if not 0 < share < 1:
            raise ValueError(f"a share of {share}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"The card of model {name!r} does not say how the model beside is used: {error}. Copy "
            "or train the model again."
        ) from None
    return statistics, share


def _settings_of(wanted: dict[str, Any], name: str) -> MatchSettings:
    """Return the settings that a card asks for, the usual ones for what it does not say."""
    usual = _JOINT_SETTINGS if wanted.get("beside") == IMAGENET else _PIXEL_SETTINGS
    kinds = {field.name: type(getattr(usual, field.name)) for field in fields(MatchSettings)}
    try:
        given: dict[str, Any] = {key: kinds[key](wanted[key]) for key in kinds if key in wanted}
        return replace(usual, **given)
    except (TypeError, ValueError):
        raise UserError(
            f"The card of model {name!r} has settings of landmarks that are no numbers: {wanted!r}."
            " Copy or train the model again."
        ) from None
