"""The zarr v3 arrays of a slide's embeddings and tiles: written by shards, read after a check.

A group holds `embeddings`, float16 (N, D) in shards of `SHARD_ROWS` rows, and the columns of the
tile table `x`, `y`, `size` (int32) and `tissue` (float32), shape (N,). Values lie as they are, with
a CRC-32C on each chunk: embeddings hardly compress, and nothing can inflate when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARD_ROWS = 1024
"""Tiles of a shard: what a kill can cost."""

TILE = np.dtype([("x", "<i4"), ("y", "<i4"), ("size", "<i4"), ("tissue", "<f4")])
"""A row of the tile table: corner at level 0, side in level-0 pixels, part that is tissue."""

TileRows = NDArray[np.void]
"""Rows of `TILE`, shape (N,)."""

Half = NDArray[np.float16]

_CHUNK_ROWS = 256
_COLUMN_ROWS = 65_536
_CODECS = frozenset(("sharding_indexed", "bytes", "crc32c"))
_TYPES = {"embeddings": "float16", "x": "int32", "y": "int32", "size": "int32", "tissue": "float32"}
_MOST_DOCUMENT = 1_000_000  # bytes of a zarr.json; ours have 1000


def shard_count(rows: int) -> int:
    """Return the number of shards of so many rows."""
    return -(-rows // SHARD_ROWS)


def shard_rows(shard: int, rows: int) -> slice:
    """Return the rows of a shard, of `rows` in all."""
    return slice(shard * SHARD_ROWS, min((shard + 1) * SHARD_ROWS, rows))


def shard_key(shard: int) -> str:
    """Return the place of a shard's file below the group."""
    return f"embeddings/c.{shard}.0"


class GroupBytes:
    """Makes the files of a slide's group in memory, by zarr itself.

    Parameters
    ----------
    rows
        Tiles of the slide, N.
    dim
        Dimensions of an embedding, D.
    """

    def __init__(self, rows: int, dim: int) -> None:
        import zarr
        from zarr.codecs import BytesCodec, Crc32cCodec

        self.rows, self.dim = rows, dim
        self._files: dict[str, Any] = {}
        self._group = zarr.create_group(zarr.storage.MemoryStore(self._files))
        plain: dict[str, Any] = {
            "serializer": BytesCodec(endian="little"),
            "compressors": [Crc32cCodec()],
            # c.7.0 rather than c/7/0: no folder for each shard.
            "chunk_key_encoding": {"name": "default", "separator": "."},
            "config": {"write_empty_chunks": True},
        }
        self._group.create_array(
            "embeddings",
            shape=(rows, dim),
            chunks=(_CHUNK_ROWS, dim),
            shards=(SHARD_ROWS, dim),
            dtype=_TYPES["embeddings"],
            # So zeros, of tiles that could not be read, are written, and what is lost is no vector.
            fill_value=float("nan"),
            **plain,
        )
        for name in TILE.names or ():
            chunk = min(max(rows, 1), _COLUMN_ROWS)
            self._group.create_array(
                name, shape=(rows,), chunks=(chunk,), dtype=_TYPES[name], fill_value=0, **plain
            )

    def documents(self) -> dict[str, bytes]:
        """Return every `zarr.json`, by place."""
        return {
            place: bytes(self._files[place].to_bytes())
            for place in sorted(self._files)
            if place.endswith("zarr.json")
        }

    def table(self, tiles: TileRows) -> dict[str, bytes]:
        """Return the files of the tile table, by place."""
        if len(tiles) != self.rows:
            raise ValueError(f"{len(tiles)} tiles came for {self.rows} rows.")
        for name in TILE.names or ():
            self._array(name)[:] = tiles[name]
        return {
            place: bytes(self._files.pop(place).to_bytes())
            for place in sorted(self._files)
            if "/c." in place
        }

    def shard(self, shard: int, embeddings: Half) -> bytes:
        """Return the file of a shard.

        Parameters
        ----------
        shard
            Its number.
        embeddings
            Those of its rows, float16 (rows, D).
        """
        rows = shard_rows(shard, self.rows)
        if embeddings.shape != (rows.stop - rows.start, self.dim):
            raise ValueError(f"Embeddings {embeddings.shape} came for rows {rows}.")
        self._array("embeddings")[rows] = embeddings
        return bytes(self._files.pop(shard_key(shard)).to_bytes())

    def _array(self, name: str) -> Any:
        return self._group[name]


def read_tile_rows(group: Path, rows: int) -> TileRows:
    """Return the tile table of a group.

    Raises
    ------
    ValueError
        If it is no such table of so many rows. Files that are missing read as zeros: compare them
        with their receipts before.
    """
    tiles = np.zeros(rows, TILE)
    for name in TILE.names or ():
        tiles[name] = _open(group, name, (rows,))[:]
    if rows and tiles["size"].min() < 1:
        raise ValueError("tiles without a size")
    return tiles


def read_embedding_rows(group: Path, rows: slice, shape: tuple[int, int]) -> Half:
    """Return embeddings of a group, float16 (rows, D), of `shape` (N, D) in all.

    Raises
    ------
    ValueError
        As `read_tile_rows`; or if a value is not finite, or a row neither zero nor of unit length.
    """
    values: Half = np.asarray(_open(group, "embeddings", shape)[rows], np.float16)
    lengths = np.linalg.norm(values.astype(np.float32), axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError("embeddings that are not finite")
    if (np.abs(lengths[lengths > 0] - 1) > 0.02).any():
        raise ValueError("embeddings that are not of unit length")
    return values


def _open(group: Path, name: str, shape: tuple[int, ...]) -> Any:
    """Return an array whose document says what is due: zarr would believe anything in it."""
    path = group / name / "zarr.json"
    try:
        if path.stat().st_size > _MOST_DOCUMENT:
            raise ValueError(f"{name}/zarr.json is too large")
        document = json.loads(path.read_bytes())
        _check_document(name, document, shape)
    except (OSError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{name}/zarr.json is damaged ({type(error).__name__})") from error
    import zarr

    try:
        store = zarr.storage.LocalStore(group / name, read_only=True)
        return zarr.open_array(store, mode="r", zarr_format=3)
    except Exception as error:  # zarr raises classes of several kinds for a bad document
        raise ValueError(f"{name} cannot be opened ({type(error).__name__})") from error


def _check_document(name: str, document: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    if document["zarr_format"] != 3 or document["node_type"] != "array":
        raise ValueError(f"{name} is no zarr v3 array")
    if tuple(document["shape"]) != shape or document["data_type"] != _TYPES[name]:
        raise ValueError(f"{name} is {document['data_type']} {document['shape']}, not {shape}")
    used = set(_codec_names(document["codecs"]))
    if not used <= _CODECS:
        raise ValueError(f"{name} has codecs that are not ours: {sorted(used - _CODECS)}")


def _codec_names(codecs: Any) -> list[str]:
    """Return the names of codecs and of those inside a sharding codec."""
    names = []
    for codec in codecs:
        names.append(str(codec["name"]))
        inner = codec.get("configuration", {})
        for key in ("codecs", "index_codecs"):
            names += _codec_names(inner.get(key, ()))
    return names
