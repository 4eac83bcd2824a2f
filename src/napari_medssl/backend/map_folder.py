"""Embeddings of a folder of pictures, kept on the disk so that it opens at once the next time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_folder import (
    VIEWS,
    ClusterConfig,
    EmbeddedPictures,
    embed_pictures,
)
from napari_medssl.backend.disk_cache import DiskCache, file_key
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.kept_batches import KeptBatches
from napari_medssl.io.images import ImageListing, ImageRef, name_below, scan_images

_RECIPE = 1  # another one, once pictures are embedded in another way


def embed_folder(
    inputs: Sequence[Path],
    config: ClusterConfig,
    *,
    cache: DiskCache | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> EmbeddedPictures:
    """Return embeddings of pictures as `embed_pictures` does, from the cache where they are there.

    They are as long as names, sizes and times of the files, the encoder and the seed stay. If it is
    stopped, what was seen until then is kept for the next time.
    Parameters and errors as of `embed_pictures`.

    Parameters
    ----------
    cache
        Where they are kept; None for nowhere.
    """
    if cache is None:
        return embed_pictures(inputs, config, on_progress=on_progress, should_stop=should_stop)
    listing = scan_images(inputs, recursive=config.recursive)
    key = _key(listing, inputs, config)
    kept = cache.get(key)
    found = None if kept is None else _unpacked(kept, listing, inputs)
    if found is None:
        batches = KeptBatches(cache)
        found = embed_pictures(
            inputs, config, kept=batches, on_progress=on_progress, should_stop=should_stop
        )
        cache.put(key, _packed(found))
        batches.clear()
    return found


def _key(listing: ImageListing, inputs: Sequence[Path], config: ClusterConfig) -> str:
    """Return what the embeddings depend on; where the folder lies is nothing of that."""
    lines = [f"map folder {_RECIPE}", _encoder_mark(config.encoder), str(config.seed)]
    for ref in listing.refs:
        with suppress(OSError):  # removed a moment ago: it will be told when it cannot be read
            about = ref.path.stat()
            lines.append(f"{name_below(ref, inputs)}|{about.st_size}|{about.st_mtime_ns}")
    return "\n".join([*lines, *(f"{name}|{reason}" for name, reason in listing.failures)])


def _encoder_mark(encoder: str) -> str:
    """Return what tells an encoder from others of that name."""
    from napari_medssl.backend.autoencoder_config import split_head
    from napari_medssl.backend.models import file_sha256, find_weights
    from napari_medssl.backend.trunks import IMAGENET_TRUNK

    name = IMAGENET_TRUNK if encoder in (VIEWS, "imagenet") else split_head(encoder)[0]
    try:
        return f"{encoder}|{file_sha256(find_weights(name))}"
    except UserError:  # one without weights, or a file of another kind
        path = Path(name)
        return f"{encoder}|{file_key(path) if path.is_file() else ''}"


def _packed(found: EmbeddedPictures) -> bytes:
    head = {
        "names": found.names,
        "dim": found.embeddings.shape[1],
        "by": found.by,
        "failures": found.failures,
    }
    values = np.ascontiguousarray(found.embeddings, "<f4")
    return json.dumps(head).encode() + b"\n" + values.tobytes()


def _unpacked(
    body: bytes, listing: ImageListing, inputs: Sequence[Path]
) -> EmbeddedPictures | None:
    """Return what `_packed` was given, None if it is something else."""
    by_name = {name_below(ref, inputs): ref for ref in listing.refs}
    try:
        end = body.index(b"\n")
        head = json.loads(body[:end])
        names = tuple(str(name) for name in head["names"])
        values = np.frombuffer(body, "<f4", offset=end + 1).reshape(len(names), int(head["dim"]))
        failures = tuple((str(name), str(reason)) for name, reason in head["failures"])
        refs: tuple[ImageRef, ...] = tuple(by_name[name] for name in names)
    except (ValueError, KeyError, TypeError):
        return None
    return EmbeddedPictures(names, values.astype(np.float32), str(head["by"]), failures, refs)
