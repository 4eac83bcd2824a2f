"""The weights that a comparison by transfer starts from: a model's, or trained for each set."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop
from napari_medssl.backend.models import load_card
from napari_medssl.backend.pixel_embedding import load_pixel_network
from napari_medssl.backend.train_local_discrimination import train_local_discrimination
from napari_medssl.backend.train_steps import checkpoint_of, comparable
from napari_medssl.backend.transfer_config import EvaluateTransferConfig, pretraining
from napari_medssl.backend.transfer_data import LabelledSet
from napari_medssl.backend.transfer_run import Network


def load_network(name_or_file: str | Path) -> tuple[Network, dict[str, Any]]:
    """Return the network of a model with its weights, and what a report says of it.

    Raises
    ------
    UserError
        If it is no model of local discrimination, or cannot be read.
    """
    info, network = load_pixel_network(name_or_file)
    recipe = load_card(name_or_file).recipe
    about = {
        "name": info.name,
        "sha256": info.sha256,
        "channels": info.channels,
        "stride": info.stride,
        "equalised": info.equalised,
        "width": network.config.width,
        "pretraining_steps": recipe.steps,
        "pretraining_s": recipe.duration_s,
    }
    return Network(network.config, info.equalised, network.state_dict()), about


def train_weights(
    config: EvaluateTransferConfig,
    known: LabelledSet,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Path:
    """Return a model of the images of a set that are trained on, whose masks it does not see.

    It lies beside the report, under a name that tells the images and settings; one that is there is
    taken as it is, and one that was begun is gone on with.

    Raises
    ------
    UserError
        If the set has but one such image, or the settings cannot be used.
    Cancelled
        If `should_stop` said so, after writing a checkpoint.
    """
    if len(known.train) < 2:
        raise UserError(
            f"Set {known.name!r} has {len(known.train)} image to train on; due are 2 at least for "
            "--model train. Give a model, or a smaller --test-share."
        )
    with _as_folder(known) as folder:
        out = _place(config, known, folder)
        if out.is_file():
            return out
        training = pretraining(config, folder, out)
        training = replace(training, resume=checkpoint_of(training.out).is_file())

        def tell(progress: Progress) -> None:
            words = f"{known.name}: pre-training, {progress.message}"
            on_progress(replace(progress, message=words))

        try:
            train_local_discrimination(training, on_progress=tell, should_stop=should_stop)
        except Cancelled:
            raise Cancelled(
                f"Stopped while the weights of {known.name!r} were trained; what is done is kept "
                "beside --out. The same command goes on from it."
            ) from None
    return out


@contextmanager
def _as_folder(known: LabelledSet) -> Iterator[Path]:
    """Give a folder, named as the set, with the images to train on and no others."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / _plain(known.name)
        folder.mkdir()
        for number, image in enumerate(known.train):
            Image.fromarray(image.pixels).save(folder / f"{number:05d}.png", compress_level=1)
        yield folder


def _place(config: EvaluateTransferConfig, known: LabelledSet, folder: Path) -> Path:
    """Return where the weights lie: other images or settings have another name."""
    found = hashlib.sha256()
    settings = comparable(pretraining(config, folder, config.out))
    found.update(json.dumps(settings, sort_keys=True).encode())
    for image in known.train:
        found.update(repr(image.pixels.shape).encode())
        found.update(image.pixels.tobytes())
    name = f"{config.out.stem}.{_plain(known.name)}.{found.hexdigest()[:8]}.safetensors"
    return config.out.with_name(name)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "set"
