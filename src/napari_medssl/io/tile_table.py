"""Tables of tiles as Parquet files: one row a tile, and in the schema what they are tiles of."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.files import replace_whole
from napari_medssl.io.limits import one_line

FORMAT = 1
_KEY = b"napari-medssl"
_COLUMNS = {"x": "int64", "y": "int64", "size": "int32", "tissue": "float32", "blur": "float32"}
_MOST_ROWS = 100_000_000


@dataclass(frozen=True, slots=True)
class TileSource:
    """What a table's tiles are tiles of.

    Attributes
    ----------
    slide
        Fingerprint of the slide; its name is not kept, since it may name a patient.
    slide_mpp
        Microns per level-0 pixel.
    mpp
        Microns per pixel of a tile: that of whole level-0 pixels nearest to what was asked for.
    pixels
        Side of a tile in its own pixels.
    overlap
        Part of a tile's side that the next one shares.
    min_tissue
        Least part of tissue of a tile that is in the table.
    """

    slide: str
    slide_mpp: float
    mpp: float
    pixels: int
    overlap: float = 0.0
    min_tissue: float = 0.0


@dataclass(frozen=True, slots=True)
class TileTable:
    """Tiles of a slide, in rows from the top left.

    Attributes
    ----------
    locations
        Corners `(x, y)` at level 0, int64, shape (N, 2).
    size
        Side in level-0 pixels.
    tissue
        Part that is tissue, float32, shape (N,).
    blur
        Sigma in microns, float32, shape (N,); NaN where it was not measured or nothing is there.
    source
        What they are tiles of.
    """

    locations: NDArray[np.int64]
    size: int
    tissue: NDArray[np.float32]
    blur: NDArray[np.float32]
    source: TileSource

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.locations)


def write_tiles(table: TileTable, path: str | os.PathLike[str]) -> None:
    """Write a table, whole or not at all.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    values = {
        "x": table.locations[:, 0],
        "y": table.locations[:, 1],
        "size": np.full(len(table), table.size),
        "tissue": table.tissue,
        "blur": table.blur,
    }
    about = json.dumps({"format": FORMAT, **asdict(table.source), "size": table.size})
    schema = arrow.schema(
        [arrow.field(name, getattr(arrow, kind)(), False) for name, kind in _COLUMNS.items()],
        metadata={_KEY: about.encode()},
    )
    columns = [arrow.array(values[name].astype(kind)) for name, kind in _COLUMNS.items()]
    with replace_whole(path) as temporary:
        parquet.write_table(
            arrow.Table.from_arrays(columns, schema=schema), temporary, compression="zstd"
        )


def read_tiles(path: str | os.PathLike[str]) -> TileTable:
    """Read a table that `write_tiles` wrote.

    Raises
    ------
    UserError
        If the file is missing, damaged or no table of tiles.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    name = Path(path).name
    try:
        with parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise UserError(f"{name!r} has {file.metadata.num_rows} rows: too many for tiles.")
            missing = [column for column in _COLUMNS if column not in file.schema_arrow.names]
            if missing:
                raise UserError(
                    f"{name!r} has no column {missing[0]!r}, so it is no table of tiles. "
                    "Make one with `medssl tiles`."
                )
            size, source = _source(name, file.schema_arrow.metadata or {})
            read = file.read(columns=list(_COLUMNS))
            values = {column: read[column].to_numpy() for column in _COLUMNS}
    except FileNotFoundError as error:
        raise UserError(f"Cannot read {str(path)!r}: there is no such file.") from error
    except (arrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"Cannot read {name!r} as a table of tiles: it is damaged or no Parquet file "
            f"({one_line(error)})."
        ) from error
    return _checked(name, values, size, source)


def _source(name: str, metadata: dict[bytes, bytes]) -> tuple[int, TileSource]:
    """Return the size and the source that the schema tells of."""
    try:
        about: dict[str, Any] = json.loads(metadata[_KEY])
        if about["format"] != FORMAT:
            raise UserError(
                f"{name!r} is of format {about['format']!r}; due is {FORMAT}. "
                "Update napari-medssl, or make the table again with `medssl tiles`."
            )
        kinds = {"str": str, "int": int, "float": float}
        values = {f.name: kinds[str(f.type)](about[f.name]) for f in fields(TileSource)}
        return int(about["size"]), TileSource(**values)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{name!r} does not say of which slide its tiles are. Make it with `medssl tiles`."
        ) from error


def _checked(name: str, values: dict[str, Any], size: int, source: TileSource) -> TileTable:
    for column, kind in _COLUMNS.items():
        if values[column].dtype.kind not in ("i" if kind.startswith("i") else "f"):
            raise UserError(
                f"Column {column!r} of {name!r} is of type {values[column].dtype} or has gaps; "
                f"due is {kind}. Make the table with `medssl tiles`."
            )
    if size < 1 or (values["size"] != size).any():
        raise UserError(f"The tiles of {name!r} are of several sizes; due is one.")
    return TileTable(
        np.stack([values["x"], values["y"]], axis=1).astype(np.int64),
        size,
        values["tissue"].astype(np.float32),
        values["blur"].astype(np.float32),
        source,
    )
