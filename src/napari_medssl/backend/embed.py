"""Embed pictures with an encoder: one row a picture in a Parquet file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.encoders import DEFAULT_ENCODER, Encoder, make_encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.io.embedding_table import write_embeddings
from napari_medssl.io.files import check_writable
from napari_medssl.io.images import ImageRef, scan_images


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
    """

    images: tuple[str, ...]
    embeddings: NDArray[np.float32]
    failures: tuple[tuple[str, str], ...] = ()


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
        If it was asked to stop; nothing is written then.
    """
    check(config)
    check_writable(out)
    listing = scan_images(inputs, recursive=config.recursive)
    if not listing.refs and not listing.failures:
        raise UserError("There is no picture in what was given. Give files or folders of tiles.")
    encoder = make_encoder(config.encoder, config.device)
    failures = list(listing.failures)
    names: list[str] = []
    parts = [np.empty((0, encoder.info.dim), np.float32)]
    on_progress(Progress(0, len(listing.refs), "embedding"))
    for done, refs, tiles in read_batches(listing.refs, encoder, config.batch, failures):
        if should_stop():
            raise Cancelled(
                f"Stopped after {done} of {len(listing.refs)} pictures; nothing is written."
            )
        parts.append(encoder.embed(tiles))
        names += [_name(ref, inputs) for ref in refs]
        on_progress(Progress(done, len(listing.refs), "embedding"))
    embeddings = np.concatenate(parts)
    if names:
        write_embeddings(names, embeddings, asdict(encoder.info), out)
    return EmbedReport(tuple(names), embeddings, tuple(failures))


def read_batches(
    refs: Sequence[ImageRef],
    encoder: Encoder,
    batch: int,
    failures: list[tuple[str, str]],
) -> Iterator[tuple[int, list[ImageRef], NDArray[np.uint8]]]:
    """Give how many are read, the pictures of a batch, and their tiles (B, S, S, 3).

    What cannot be read is added to `failures` and left out. The next batch is read meanwhile.
    """
    pixels = encoder.info.pixels

    def read(ref: ImageRef) -> NDArray[np.uint8] | str:
        try:
            return read_tile(ref, pixels)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        starts = range(0, len(refs), batch)
        following = [pool.submit(read, ref) for ref in refs[:batch]]
        for start in starts:
            under_way = following
            ahead = refs[start + batch : start + 2 * batch]
            following = [pool.submit(read, ref) for ref in ahead]
            kept, tiles = [], []
            for ref, future in zip(refs[start : start + batch], under_way, strict=True):
                came = future.result()
                if isinstance(came, str):
                    failures.append((ref.name, came))
                else:
                    kept.append(ref)
                    tiles.append(came)
            if kept:
                yield min(start + batch, len(refs)), kept, np.stack(tiles)


def _name(ref: ImageRef, inputs: Sequence[Path]) -> str:
    """Return the picture's path below the folder that was given, else its name."""
    page = "" if ref.page is None else f"#page={ref.page}"
    for given in inputs:
        if given.is_dir() and ref.path.is_relative_to(given):
            return ref.path.relative_to(given).as_posix() + page
    return ref.name
