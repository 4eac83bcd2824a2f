"""What has to be known of masks to tell how they were made: model, sum of its weights, settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.config import to_json
from napari_medssl.backend.models import ModelCard, file_sha256, find_weights, load_card
from napari_medssl.backend.segmenters import SegmentConfig

LIKELIEST = "segmentation"  # task of models that learned from masks: they have no threshold
_NOT_OF_RESULT = ("model", "device")  # the same mask comes of any place and device


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """An image of a set with its mask.

    Attributes
    ----------
    image
        Name of the image.
    model, made_with
        Name of the model, "" for a person alone, and the text of `made_with`; "" if not known.
    is_edited
        Whether a person changed it.
    classes
        Names by number.
    spacing_mm
        Distance of pixels `(x, y)`, None where it is not known.
    """

    image: str
    model: str
    made_with: str
    is_edited: bool
    classes: Mapping[int, str] = field(default_factory=dict)
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class MaskRun:
    """Masks that one model made with the same settings.

    Attributes
    ----------
    model, place
        Its name, and the name or file by which it was chosen.
    sha256, program
        Of its weights, and the version of this program; "" if not known.
    settings
        Of `SegmentConfig`, without the model and the device; None if not known.
    images, edited
        Names of the images, and of those of them whose masks a person changed afterwards.
    task
        Of the model, "" if not known; its card may be gone.
    """

    model: str
    place: str
    sha256: str
    program: str
    settings: Mapping[str, Any] | None
    images: tuple[str, ...]
    edited: tuple[str, ...]
    task: str = ""


def made_with(config: SegmentConfig) -> str:
    """Return how a mask is made now as JSON text, to be kept with it.

    Raises
    ------
    UserError
        If the model or its card cannot be read.
    """
    settings = {k: v for k, v in to_json(config).items() if k not in _NOT_OF_RESULT}
    known = {
        "place": config.model,
        "sha256": weights_sha256(config.model),
        "program": __version__,
        "settings": settings,
        "task": load_card(config.model).task,
    }
    return json.dumps(known, sort_keys=True)


def weights_sha256(model: str) -> str:
    """Return the SHA-256 of the weights of a model: that of its card, which is checked on reading.

    Raises
    ------
    UserError
        If there is no such model, or its file cannot be read.
    """
    return load_card(model).sha256 or file_sha256(find_weights(model))


def runs_of(records: Iterable[MaskRecord]) -> tuple[MaskRun, ...]:
    """Return what models made, by model, sum and settings, in the order of the images."""
    found: dict[tuple[str, str], list[MaskRecord]] = {}
    for record in records:
        if record.model:
            found.setdefault((record.model, record.made_with), []).append(record)
    runs = []
    for (model, text), made in found.items():
        known = _known(text)
        runs.append(
            MaskRun(
                model,
                str(known.get("place", model)),
                str(known.get("sha256", "")),
                str(known.get("program", "")),
                known.get("settings"),
                tuple(record.image for record in made),
                tuple(record.image for record in made if record.is_edited),
                str(known.get("task", "")),
            )
        )
    return tuple(runs)


def card_of(run: MaskRun) -> ModelCard | None:
    """Return the card of the model of a run; None if it is gone or was trained anew since."""
    try:
        card = load_card(run.place)
        is_same = not run.sha256 or weights_sha256(run.place) == run.sha256
    except UserError:
        return None
    return card if is_same else None


def shown_model(run: MaskRun) -> str:
    """Return the model of a run for a file that may be passed on: its name, no folder."""
    return run.model if run.place == run.model else Path(run.place).name


def _known(text: str) -> dict[str, Any]:
    try:
        known = json.loads(text) if text else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
