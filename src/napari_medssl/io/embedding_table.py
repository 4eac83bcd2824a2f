"""Tables of embeddings as Parquet files: columns `image` and `embedding`, and what made them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.files import replace_whole
from napari_medssl.io.limits import one_line

FORMAT = 1
_KEY = b"napari-medssl"


def write_embeddings(
    images: Sequence[str],
    embeddings: NDArray[np.float32],
    encoder: dict[str, Any],
    path: str | os.PathLike[str],
) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    images
        Name of each picture, N of them.
    embeddings
        float32, shape (N, D); a list of fixed length D in the file.
    encoder
        What made them, JSON values; see `read_embeddings`.
    path
        The Parquet file.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    count, dim = embeddings.shape
    if count != len(images):
        raise ValueError(f"{len(images)} names came for {count} embeddings.")
    # Names of files need not be valid text.
    names = [name.encode("utf-8", "backslashreplace").decode() for name in images]
    values = arrow.array(np.ascontiguousarray(embeddings, np.float32).ravel())
    columns = [
        arrow.array(names, arrow.string()),
        arrow.FixedSizeListArray.from_arrays(values, dim),
    ]
    about = json.dumps({"format": FORMAT, "encoder": encoder}).encode()
    schema = arrow.schema(
        [
            arrow.field("image", arrow.string(), False),
            arrow.field("embedding", columns[1].type, False),
        ],
        metadata={_KEY: about},
    )
    with replace_whole(path) as temporary:
        table = arrow.Table.from_arrays(columns, schema=schema)
        parquet.write_table(table, temporary, compression="zstd")


def read_embeddings(
    path: str | os.PathLike[str],
) -> tuple[list[str], NDArray[np.float32], dict[str, Any]]:
    """Return names, embeddings (N, D) and what made them, as `write_embeddings` was given them.

    Raises
    ------
    UserError
        If the file is missing, damaged or no table of embeddings.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    name = Path(path).name
    try:
        with parquet.ParquetFile(path) as file:
            about = json.loads((file.schema_arrow.metadata or {})[_KEY])
            encoder = about["encoder"]
            if about["format"] != FORMAT or not isinstance(encoder, dict):
                raise UserError(
                    f"{name!r} is of format {about['format']!r}; due is {FORMAT}. "
                    "Make it again with `medssl embed`."
                )
            table = file.read(columns=["image", "embedding"]).combine_chunks()
            dim = table.schema.field("embedding").type.list_size
            flat = table["embedding"].combine_chunks().flatten()
            values = flat.to_numpy(zero_copy_only=False).astype(np.float32)
            return table["image"].to_pylist(), values.reshape(len(table), dim), encoder
    except FileNotFoundError:
        raise UserError(f"Cannot read {str(path)!r}: there is no such file.") from None
    except UserError:
        raise
    except (
        arrow.ArrowException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise UserError(
            f"Cannot read {name!r} as a table of embeddings: it is damaged or another kind of file "
            f"({one_line(error)}). Make one with `medssl embed`."
        ) from error
