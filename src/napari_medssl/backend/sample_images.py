"""Sample images from a trained autoencoder: of its whole training set, of a cluster, of a path.

Source: Ferrante et al., arXiv 2209.12005: an embedding is drawn, its cluster computed, and both are
decoded. See `methods.contrastive_autoencoder.latents` for where embeddings are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.embedding_table import read_embeddings, write_embeddings
from napari_medssl.io.files import make_folder, write_all_whole
from napari_medssl.io.images import read_image
from napari_medssl.io.png_files import png_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.autoencoder import Autoencoder

TABLE = "samples.csv"
LATENTS = "samples.parquet"
_CLUSTER = "cluster:"
_AT_ONCE = 64  # images that are decoded and written together


@dataclass(frozen=True)
class SampleConfig:
    """Sample images from a trained autoencoder."""

    model: str = option(help="Autoencoder: a name, or a file NAME.safetensors.")
    count: int = option(16, help="Images, N.", min=1, max=100_000)
    cluster: int | None = option(None, help="Draw from this cluster alone, from 0.", min=0)
    between: tuple[str, ...] = option(
        (), help="Two ends of a path: pictures, cluster:K, or TABLE.parquet#IMAGE."
    )
    seed: int = option(1, help="Seed of the draws.", min=0)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What was sampled.

    Attributes
    ----------
    images
        Names of the files.
    embeddings
        float32, unit length, shape (N, d).
    clusters
        Of each, from 0, shape (N,).
    confidences
        How much each belongs to its cluster, 0 to 1, shape (N,).
    """

    images: tuple[str, ...]
    embeddings: NDArray[np.float32]
    clusters: NDArray[np.int64]
    confidences: NDArray[np.float32]


def sample_images(
    out: Path,
    config: SampleConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SampleReport:
    """Write samples as pictures, a table of them, and their embeddings, to the folder `out`.

    The tables are written last: a folder without them was not finished.

    Raises
    ------
    UserError
        If the model, an end of the path or the folder cannot be used.
    Cancelled
        If `should_stop` said so.
    """
    from napari_medssl.backend.autoencoder import load_autoencoder

    check(config)
    check_asked(config)
    for name in (TABLE, LATENTS):
        if (out / name).exists():
            raise UserError(
                f"--out {str(out)!r} holds samples already ({name}). Name another folder."
            )
    model = load_autoencoder(config.model, config.device)
    embeddings = _embeddings(model, config)
    make_folder(out)
    digits = max(4, len(str(config.count)))
    names = tuple(f"sample-{number:0{digits}}.png" for number in range(1, config.count + 1))
    for start in range(0, config.count, _AT_ONCE):
        if should_stop():
            raise Cancelled(
                f"Stopped after {start} of {config.count} samples, which have no table. Delete "
                f"{str(out)!r} and run the same command again."
            )
        on_progress(Progress(start, config.count, "sampling"))
        rows = slice(start, start + _AT_ONCE)
        decoded = model.decode(embeddings[rows])
        write_all_whole(
            {out / name: png_bytes(image) for name, image in zip(names[rows], decoded, strict=True)}
        )
    clusters, confidences = model.assign(embeddings)
    report = SampleReport(names, embeddings.numpy(), clusters, confidences)
    write_embeddings(names, report.embeddings, {"name": model.name, "sampled": True}, out / LATENTS)
    _write_table(report, config, out / TABLE)
    on_progress(Progress(config.count, config.count, "done"))
    return report


def check_asked(config: SampleConfig) -> None:
    """Raise `UserError` for what cannot be sampled whatever the model is."""
    if not config.between:
        return
    if len(config.between) != 2:
        raise UserError(f"--between has {len(config.between)} ends; due are 2.")
    if config.cluster is not None:
        raise UserError(
            "--cluster and --between exclude each other. For a path from a cluster's centre, give "
            f"--between {_CLUSTER}{config.cluster} END."
        )
    if config.count < 2:
        raise UserError(f"--count {config.count} came for a path; due are at least 2, its ends.")


def _embeddings(model: Autoencoder, config: SampleConfig) -> Tensor:
    import torch

    from napari_medssl.methods.contrastive_autoencoder.latents import path_between

    if config.between:
        first, last = (_end(model, text) for text in config.between)
        return path_between(first, last, config.count)
    generator = torch.Generator().manual_seed(config.seed)
    return model.draw(config.count, generator, config.cluster)


def _end(model: Autoencoder, text: str) -> Tensor:
    """Return the embedding that a person means by one end of a path."""
    number = text.removeprefix(_CLUSTER)
    if number != text and not Path(text).exists():
        if not number.isdecimal():
            raise UserError(f"{text!r} names no cluster: due is {_CLUSTER} and a number from 0.")
        return model.prototype(int(number))
    table, found, image = text.rpartition("#")
    if found and table.endswith(".parquet"):
        return _row(model, Path(table), image)
    return model.embed(model.square(read_image(text))[None])[0]


def _row(model: Autoencoder, table: Path, image: str) -> Tensor:
    """Return the embedding of an image in a table that this model made."""
    import torch

    names, values, encoder = read_embeddings(table)
    if encoder.get("name") != model.name or values.shape[1:] != (model.latents.mean.shape[1],):
        raise UserError(
            f"{table.name!r} holds embeddings of {encoder.get('name')!r}, not of the model "
            f"{model.name!r}, which cannot decode them."
        )
    if image not in names:
        known = repr(names[0]) if names else "none"
        raise UserError(f"{table.name!r} has no image {image!r}; its first is {known}.")
    return torch.from_numpy(values[names.index(image)])


def _write_table(report: SampleReport, config: SampleConfig, path: Path) -> None:
    steps = np.linspace(0, 1, len(report.images)) if config.between else None
    rows = [
        (
            name,
            int(report.clusters[row]),
            round(float(report.confidences[row]), 4),
            "" if steps is None else round(float(steps[row]), 4),
        )
        for row, name in enumerate(report.images)
    ]
    write_csv(path, ("image", "cluster", "confidence", "position"), rows)
