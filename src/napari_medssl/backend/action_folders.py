"""The folders that a training of ACTION learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl.backend.labelled_folders import (
    LabelledFolder,
    UnlabelledFolder,
    read_labelled,
    read_unlabelled,
)

if TYPE_CHECKING:
    from napari_medssl.backend.action_config import TrainActionConfig
    from napari_medssl.backend.jobs import OnProgress, ShouldStop


def read_folders(
    config: TrainActionConfig, on_progress: OnProgress, should_stop: ShouldStop
) -> tuple[LabelledFolder, UnlabelledFolder]:
    """Return images with masks, and those without.

    Raises
    ------
    UserError
        If there is nothing to learn from, or more classes than a network can have.
    Cancelled
        If `should_stop` said so.
    """
    from napari_medssl.methods.action.network import MOST_CLASSES

    known = LabelledFolder((), ("any",))
    if config.labelled is not None:
        known = read_labelled(
            config.labelled,
            masks=config.mask_values,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    if len(known.class_names) >= MOST_CLASSES:
        raise UserError(
            f"The masks have {len(known.class_names)} classes; due are {MOST_CLASSES - 1} at most. "
            "Give --mask-values foreground if they number objects."
        )
    if config.unlabelled is None:
        return known, UnlabelledFolder((), (), (), ())
    others = read_unlabelled(
        config.unlabelled,
        labelled=known if known.images else None,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    if not known.images and not others.images:
        raise UserError(
            f"--unlabelled {str(config.unlabelled)!r} holds no readable image. Put images in it."
        )
    return known, others
