"""Turn the pixels of a shard into the bytes of its file, and back (zarr v3 `sharding_indexed`).

The chunks of a shard are compressed one by one and lie behind each other; an index of their
offsets and lengths, with its CRC-32C, is at the end. Source: Zarr v3 specification, codec
"sharding_indexed" 1.0. zarr itself writes the same form; we pack the bytes here because its
scheduling of each chunk costs as much as the compression, and because the bytes are hashed before
they are on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store.plan import FILL, SHARD, Codec
from napari_medssl.io.slides.protocol import Pixels

ZSTD_LEVEL = 3
JPEG_QUALITY = 90

_NOTHING = 2**64 - 1  # offset and length of a chunk that is not there, by the specification
_CRC_BYTES = 4


def check_codec(codec: Codec) -> None:
    """Raise `UserError` if the codec cannot be written and read here."""
    if codec == "lossless":
        return
    try:
        import imagecodecs.zarr  # noqa: F401 - whether it is there is the question
    except ImportError as error:
        raise UserError(
            "JPEG in zarr needs Python 3.12 or newer with imagecodecs 2026.10 or newer: this "
            "imagecodecs has no codec for it. Leave out --codec jpeg to write without loss."
        ) from error


def encode_shard(pixels: Pixels, codec: Codec, chunk: int) -> bytes:
    """Return the file of a shard.

    Parameters
    ----------
    pixels
        uint8, shape (Y, X, 3), at most 2048 a side. What is missing to whole chunks is white;
        chunks that are white throughout are left out, which reads as white.
    codec
        How chunks are compressed.
    chunk
        Pixels of their side.
    """
    compress = _compressor(codec)
    across = SHARD // chunk
    index = np.full((across, across, 2), _NOTHING, "<u8")
    parts: list[bytes] = []
    offset = 0
    for row in range(-(-pixels.shape[0] // chunk)):
        for column in range(-(-pixels.shape[1] // chunk)):
            part = pixels[row * chunk : (row + 1) * chunk, column * chunk : (column + 1) * chunk]
            if part.min() == FILL:
                continue
            data = compress(_whole(part, chunk))
            parts.append(data)
            index[row, column] = offset, len(data)
            offset += len(data)
    table = index.tobytes()
    return b"".join((*parts, table, _checksum(table)))


def decode_shard(data: bytes, shape: tuple[int, int], codec: Codec, chunk: int) -> Pixels:
    """Return the pixels of a shard that `encode_shard` made, shape (Y, X, 3).

    Raises
    ------
    ValueError
        If the bytes are no such shard.
    """
    across = SHARD // chunk
    table_bytes = across * across * 16
    table, checksum = data[-table_bytes - _CRC_BYTES : -_CRC_BYTES], data[-_CRC_BYTES:]
    if _checksum(table) != checksum:
        raise ValueError("the index of the shard is damaged")
    index = np.frombuffer(table, "<u8").reshape(across, across, 2)
    decompress = _decompressor(codec, chunk)
    pixels = np.full((*shape, 3), FILL, np.uint8)
    for row in range(-(-shape[0] // chunk)):
        for column in range(-(-shape[1] // chunk)):
            offset, length = (int(number) for number in index[row, column])
            if length == _NOTHING:
                continue
            target = pixels[row * chunk : (row + 1) * chunk, column * chunk : (column + 1) * chunk]
            whole = decompress(data[offset : offset + length])
            target[:] = whole[: target.shape[0], : target.shape[1]]
    return pixels


def _checksum(table: bytes) -> bytes:
    import google_crc32c

    return int(google_crc32c.value(table)).to_bytes(_CRC_BYTES, "little")


def _whole(part: Pixels, chunk: int) -> Pixels:
    """Return a chunk in one piece of memory, filled up with white at the edges of the slide."""
    if part.shape[:2] == (chunk, chunk):
        return np.ascontiguousarray(part)
    whole = np.full((chunk, chunk, 3), FILL, np.uint8)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def _compressor(codec: Codec) -> Callable[[Pixels], bytes]:
    if codec == "jpeg":
        import imagecodecs

        return lambda chunk: cast(bytes, imagecodecs.jpeg8_encode(chunk, level=JPEG_QUALITY))
    from numcodecs.zstd import Zstd  # 40 ms that `medssl --help` need not wait

    zstd = Zstd(level=ZSTD_LEVEL, checksum=True)
    return lambda chunk: bytes(zstd.encode(chunk))


def _decompressor(codec: Codec, chunk: int) -> Callable[[bytes], Pixels]:
    shape = (chunk, chunk, 3)
    if codec == "jpeg":
        import imagecodecs

        return lambda data: _shaped(imagecodecs.jpeg8_decode(data), shape)
    from numcodecs.zstd import Zstd

    zstd = Zstd()
    return lambda data: _shaped(np.frombuffer(zstd.decode(data), np.uint8), shape)


def _shaped(values: Any, shape: tuple[int, int, int]) -> Pixels:
    pixels: Pixels = np.asarray(values, np.uint8).reshape(shape)
    return pixels
