"""`medssl train ...`: train a model; the run can be stopped and resumed."""

from __future__ import annotations

import typer

from napari_medssl.backend import (
    action_config,
    autoencoder_config,
    contrastive_config,
    local_discrimination_config,
    shape_guided_config,
)
from napari_medssl.backend.action_config import TrainActionConfig
from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig
from napari_medssl.backend.contrastive_config import TrainContrastiveConfig
from napari_medssl.backend.local_discrimination_config import TrainLocalDiscriminationConfig
from napari_medssl.backend.shape_guided_config import TrainShapeGuidedConfig
from napari_medssl.backend.siamese_config import TrainSiameseConfig, check_trainable
from napari_medssl.backend.train_figures import TrainFiguresConfig
from napari_medssl.cli import _console, new_app
from napari_medssl.cli._options import with_config


def register(app: typer.Typer) -> None:
    """Add `train` with its sub-verbs to the command line."""
    verbs = new_app(
        name="train",
        help="Train a model.",
        epilog="Example: medssl train figures --pool images --out mine.safetensors",
    )
    verbs.callback()(_group)
    verbs.command(
        "figures", epilog="Example: medssl train figures --pool images --out mine.safetensors"
    )(train_figures)
    verbs.command(
        "siamese", epilog="Example: medssl train siamese --slides slides --out mine.safetensors"
    )(train_siamese)
    verbs.command(
        "local-discrimination",
        epilog="Example: medssl train local-discrimination --data images --out mine.safetensors",
    )(train_local_discrimination)
    verbs.command(
        "shape-guided",
        epilog="Example: medssl train shape-guided --data eyes --shapes vessels "
        "--out mine.safetensors",
    )(train_shape_guided)
    verbs.command(
        "autoencoder",
        epilog="Example: medssl train autoencoder --data cells --out cells.safetensors",
    )(train_autoencoder)
    verbs.command(
        "contrastive",
        epilog="Example: medssl train contrastive --data panels --out panels.safetensors",
    )(train_contrastive)
    verbs.command(
        "action",
        epilog="Example: medssl train action --labelled painted --unlabelled images "
        "--out mine.safetensors",
    )(train_action)
    app.add_typer(verbs)


def _group() -> None:
    """Train a model."""


@with_config(TrainFiguresConfig)
def train_figures(config: TrainFiguresConfig) -> None:
    """Train the panel detector on simulated figures, in a process of its own.

    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_figures as work
    from napari_medssl.backend.training import run_in_child

    work.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        card = run_in_child(
            work.train_figures, config, on_progress=on_progress, should_stop=should_stop
        )
    _console.note(f"Model {card.name!r} written to {config.out}")


@with_config(TrainSiameseConfig)
def train_siamese(config: TrainSiameseConfig) -> None:
    """Train an encoder of tiles on pairs that are near or far on their slides.

    With --devices several GPUs share out each batch; --objective npid trains the paper's rival.
    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_siamese as work
    from napari_medssl.backend.training import run_in_child

    check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        card = run_in_child(
            work.train_siamese, config, on_progress=on_progress, should_stop=should_stop
        )
    for line in card.recipe.config["remarks"]:
        _console.warn(line)
    _console.note(f"Encoder {card.name!r} written to {config.out}")


@with_config(TrainLocalDiscriminationConfig)
def train_local_discrimination(config: TrainLocalDiscriminationConfig) -> None:
    """Train embeddings of pixels, and regions, from unlabelled images of one modality.

    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_local_discrimination as work
    from napari_medssl.backend.training import run_in_child

    local_discrimination_config.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        report = run_in_child(
            work.train_local_discrimination,
            config,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    for line in report.remarks:
        _console.warn(line)
    _console.note(f"Model {report.card.name!r} written to {config.out}")


@with_config(TrainShapeGuidedConfig)
def train_shape_guided(config: TrainShapeGuidedConfig) -> None:
    """Train a segmentation without labels, guided by binary shapes of another modality.

    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_shape_guided as work
    from napari_medssl.backend.training import run_in_child

    shape_guided_config.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        report = run_in_child(
            work.train_shape_guided, config, on_progress=on_progress, should_stop=should_stop
        )
    for line in report.remarks:
        _console.warn(line)
    _console.note(f"Model {report.card.name!r} written to {config.out}")


@with_config(TrainAutoencoderConfig)
def train_autoencoder(config: TrainAutoencoderConfig) -> None:
    """Train embeddings, clusters, reconstruction and sampling from unlabelled images.

    Images may be of any size and lie in any subfolders, whose names are not looked at. Ctrl+C
    stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_autoencoder as work
    from napari_medssl.backend.training import run_in_child

    autoencoder_config.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        report = run_in_child(
            work.train_autoencoder, config, on_progress=on_progress, should_stop=should_stop
        )
    for line in report.remarks:
        _console.warn(line)
    _console.note(f"Model {report.card.name!r} written to {config.out}")


@with_config(TrainContrastiveConfig)
def train_contrastive(config: TrainContrastiveConfig) -> None:
    """Train an encoder by SimSiam on unlabelled images, such as panels of `medssl harvest`.

    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it.
    """
    from napari_medssl.backend import train_contrastive as work
    from napari_medssl.backend.training import run_in_child

    contrastive_config.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        report = run_in_child(
            work.train_contrastive, config, on_progress=on_progress, should_stop=should_stop
        )
    for line in report.remarks:
        _console.warn(line)
    _console.note(f"Encoder {report.card.name!r} written to {config.out}")


@with_config(TrainActionConfig)
def train_action(config: TrainActionConfig) -> None:
    """Train a segmentation from a few masks, and unlabelled images like them.

    Ctrl+C stops after the step at hand and keeps a checkpoint; --resume goes on from it, and
    --resume --finish writes the model as it is.
    """
    from napari_medssl.backend import train_action as work
    from napari_medssl.backend.training import run_in_child

    action_config.check_trainable(config)
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Training") as on_progress,
    ):
        report = run_in_child(
            work.train_action, config, on_progress=on_progress, should_stop=should_stop
        )
    for line in report.remarks:
        _console.warn(line)
    _console.note(f"Model {report.card.name!r} written to {config.out}")
