"""Embed pictures with an encoder: one row a picture in a Parquet file.

A run that is stopped or killed goes on where it was, see `backend.embed_parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.embed_parts import EmbeddedParts
from napari_medssl.backend.encoders import DEFAULT_ENCODER, make_encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.tile_pictures import read_batches
from napari_medssl.io.embedding_table import write_embeddings
from napari_medssl.io.files import check_writable
from napari_medssl.io.images import name_below, scan_images


@dataclass(frozen=True)
class EmbedConfig:
    """Embed pictures of tiles."""

    encoder: str = option(
        DEFAULT_ENCODER, help="Name of an encoder, or a file NAME.safetensors or NAME.onnx."
    )
    batch: int = option(32, help="Pictures that are embedded together.", min=1, max=4096)
    recursive: bool = option(True, help="Also look into the folders of a folder.")
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What `embed_images` did.

    Attributes
    ----------
    images
        Names as they are in the table.
    embeddings
        float32, unit length, shape (N, D).
    failures
        `(name, reason)` of what could not be read.
    resumed
        How many of the pictures a former run had embedded.
    """

    images: tuple[str, ...]
    embeddings: NDArray[np.float32]
    failures: tuple[tuple[str, str], ...] = ()
    resumed: int = 0


def embed_images(
    inputs: Sequence[Path],
    out: Path,
    config: EmbedConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> EmbedReport:
    """Embed pictures and write their table.

    Parameters
    ----------
    inputs
        Files and folders.
    out
        The table, see `io.embedding_table`; written at the end, whole or not at all.
    config
        With what.

    Raises
    ------
    UserError
        If there is no picture or encoder, or nothing can be written.
    Cancelled
        If it was asked to stop; the same call goes on from there.
    """
    check(config)
    check_writable(out)
    listing = scan_images(inputs, recursive=config.recursive)
    if not listing.refs and not listing.failures:
        raise UserError("There is no picture in what was given. Give files or folders of tiles.")
    encoder = make_encoder(config.encoder, config.device)
    parts = EmbeddedParts(out, encoder.info, listing.refs)
    left = [ref for ref in listing.refs if ref not in parts]
    total, before = len(listing.refs), len(listing.refs) - len(left)
    failures, embedded = list(listing.failures), before
    on_progress(Progress(before, total, "embedding"))
    for done, refs, tiles in read_batches(left, encoder.info.pixels, config.batch, failures):
        if should_stop():
            parts.save()
            raise Cancelled(_stop_line(embedded, total, parts.folder))
        parts.add(refs, encoder.embed(tiles))
        embedded += len(refs)
        on_progress(Progress(before + done, total, "embedding"))
    kept = [ref for ref in listing.refs if ref in parts]
    names, embeddings = tuple(name_below(ref, inputs) for ref in kept), parts.rows(kept)
    if names:
        write_embeddings(names, embeddings, asdict(encoder.info), out)
    parts.remove()
    return EmbedReport(names, embeddings, tuple(failures), before)


def _stop_line(embedded: int, total: int, folder: Path) -> str:
    """Return what a person reads who has stopped a run."""
    if not embedded:
        return f"Stopped after 0 of {total} pictures; nothing is written."
    return (
        f"Stopped after {embedded} of {total} pictures, which are kept in {str(folder)!r}. "
        "The same command goes on from there."
    )
