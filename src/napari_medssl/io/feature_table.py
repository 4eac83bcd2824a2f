"""Files of features: Parquet of `medssl embed`, .npy with .csv beside it, h5 of TRIDENT and CLAM.

Nothing pickled is looked at, and an array is only read where the file holds all that it claims.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.embedding_table import read_embeddings
from napari_medssl.io.limits import one_line
from napari_medssl.io.name_table import read_name_table
from napari_medssl.io.table_columns import Column, text_column
from napari_medssl.io.tile_h5 import MOST_DIM, MOST_TILES, TileH5, read_tile_h5

SUFFIXES = (".parquet", ".npy", ".h5", ".hdf5")


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Rows of features.

    Attributes
    ----------
    names
        One a row.
    features
        float32, as they stand in the file, shape (N, D).
    columns
        What else is known of each row, see `io.table_columns`.
    by
        What made them, in words.
    tiles
        Where they are on a slide, where the file says so.
    """

    names: tuple[str, ...]
    features: NDArray[np.float32]
    by: str
    columns: dict[str, Column] = field(default_factory=dict)
    tiles: TileH5 | None = None


def is_feature_file(path: Path) -> bool:
    """Say whether a file is one of features, by its name."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (suffix == ".csv" and path.with_suffix(".npy").is_file())


def read_features(path: Path) -> FeatureTable:
    """Return the rows of a file of features; of an array, also where its table is given.

    Raises
    ------
    UserError
        If it is missing, damaged, another kind of file, or its parts do not fit.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _of_parquet(path)
    if suffix in (".npy", ".csv"):
        return _of_array(path.with_suffix(".npy") if suffix == ".csv" else path)
    return _of_tiles(path)


def _of_parquet(path: Path) -> FeatureTable:
    names, features, about = read_embeddings(path)
    columns = read_name_table(path).columns
    by = f"the table's, of encoder {about.get('name', 'unknown')}"
    return FeatureTable(tuple(names), features, by, columns)


def _of_array(path: Path) -> FeatureTable:
    features = read_array(path)
    beside = path.with_suffix(".csv")
    if not beside.is_file():
        raise UserError(
            f"{path.name!r} has no table beside it that names its rows. Put {beside.name!r} there, "
            f"with a line of column names, such as image, and {len(features)} rows."
        )
    table = read_name_table(beside)
    if len(table.names) != len(features):
        raise UserError(
            f"{beside.name!r} has {len(table.names)} rows for the {len(features)} of "
            f"{path.name!r}. Write both again from one run."
        )
    return FeatureTable(table.names, features, f"those of {path.name!r}", table.columns)


def _of_tiles(path: Path) -> FeatureTable:
    tiles = read_tile_h5(path)
    if tiles.embeddings is None:
        raise UserError(
            f"{path.name!r} holds places of tiles but no features. Give the file of features."
        )
    x, y = tiles.locations.T
    columns: dict[str, Column] = {
        "slide": text_column([path.stem] * len(x)),
        "x": x.astype(np.int64),
        "y": y.astype(np.int64),
    }
    if tiles.size is not None:
        columns["size"] = np.full(len(x), tiles.size, np.int64)
    names = tuple(f"{path.stem}#{a},{b}" for a, b in tiles.locations.tolist())
    by = f"of encoder {tiles.encoder}" if tiles.encoder else f"those of {path.name!r}"
    return FeatureTable(names, tiles.embeddings, by, columns, tiles)


def read_array(path: Path) -> NDArray[np.float32]:
    """Return the rows of numbers of an .npy file, float32, shape (N, D).

    Raises
    ------
    UserError
        If it is missing, holds something else, or less than it claims.
    """
    name = path.name
    try:
        with path.open("rb") as stream:
            shape, is_fortran, dtype = _header(stream)
            offset, size = stream.tell(), path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"Cannot read {str(path)!r}: there is no such file.") from None
    except (OSError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise UserError(
            f"Cannot read {name!r} as an array: it is damaged or no .npy file ({one_line(error)})."
        ) from error
    if dtype.hasobject:
        raise UserError(
            f"{name!r} holds pickled Python objects, which can run code when they are read. Write "
            "it again as numbers: numpy.save(file, features.astype('float32'))."
        )
    if dtype.kind not in "fiu" or len(shape) != 2 or not 1 <= shape[1] <= MOST_DIM:
        raise UserError(
            f"{name!r} is {dtype} {tuple(shape)}; due are rows of numbers (N, D), D from 1 to "
            f"{MOST_DIM}."
        )
    if not 0 <= shape[0] <= MOST_TILES or offset + math.prod(shape) * dtype.itemsize > size:
        raise UserError(
            f"{name!r} says that it is {tuple(shape)} of {dtype} but has {size} bytes. It is "
            "damaged."
        )
    if not shape[0]:
        return np.empty(shape, np.float32)
    shape = (int(shape[0]), int(shape[1]))  # a damaged header may say (True, 3)
    order: Literal["F", "C"] = "F" if is_fortran else "C"
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told then
        mapped = np.memmap(path, dtype, "r", offset, shape, order)
        return np.array(mapped, np.float32, order="C")


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"version {version}")
