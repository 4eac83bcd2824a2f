"""Open a zarr store that somebody else wrote, without trusting it.

Links and names never lead out of the folder, metadata has a size limit, an empty chunk file is an
error (zarr would return the fill value), and a chunk that would inflate beyond all measure is not
decoded.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from zarr.storage import FsspecStore, LocalStore, WrapperStore, ZipStore

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line, without_secrets
from napari_medssl.io.slides.places import is_inside, is_url

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

MAX_METADATA_BYTES = 4 * 2**20
MAX_CHUNK_BYTES = 2**28
"""Size of the largest decoded chunk: 9,000 x 9,000 RGB."""

JPEG = "imagecodecs_jpeg"
"""Name of the codec of JPEG chunks: that of imagecodecs, which zarr knows once it is told."""

_METADATA = frozenset(("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"))
_MOST_INFLATION = 200  # of zip members over a megabyte; zarr chunks are compressed already
_HTTP_TIMEOUT_S = 30
_MOST_JPEG_HEADER = 2**16
_LEAST_SUSPECT_BYTES = MAX_CHUNK_BYTES // 1032  # deflate makes at most 1032 bytes of one


class StoreError(ValueError):
    """Part of a store that is damaged or forbidden; the text is one line."""


class CheckedStore(WrapperStore[Any]):
    """A read-only store that refuses what an honest one does not hold.

    Attributes
    ----------
    compressor
        Name of the codec of the array that is read through it, so that the size a chunk claims
        can be looked at; empty: none is known.
    """

    def __init__(self, store: Store, root: Path | None = None) -> None:
        super().__init__(store)
        self.root = None if root is None else os.path.realpath(root)
        self.compressor = ""

    def _with_store(self, store: Any) -> CheckedStore:
        made = CheckedStore(store, None if self.root is None else Path(self.root))
        made.compressor = self.compressor
        return made

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored under `key`, None if nothing is."""
        self._check_key(key)
        value: Buffer | None = await self._store.get(key, prototype, byte_range)
        if value is None:
            if self.root is not None and not os.path.isdir(self.root):
                # zarr takes a missing chunk for background: an unplugged disk would look empty
                raise StoreError("its folder is not there any more")
            return None
        name = PurePosixPath(key).name
        if name in _METADATA:
            if len(value) > MAX_METADATA_BYTES:
                raise StoreError(f"its {name} has {len(value)} bytes")
        elif not len(value):
            raise StoreError(f"its chunk {key!r} is empty")
        else:
            self._check_chunk(key, value, is_whole=byte_range is None)
        return value

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return parts of what is stored, as `get` does."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, part in requests:
            yield key, await self.get(key, prototype, part)

    def _check_key(self, key: str) -> None:
        if not is_inside(key):
            raise StoreError(f"it names {key!r}, which lies outside it")
        if self.root is not None:
            path = os.path.join(self.root, key)
            if os.path.commonpath((self.root, os.path.realpath(path))) != self.root:
                raise StoreError(f"its part {key!r} is a link that leads outside it")
            if PurePosixPath(key).name in _METADATA and _file_size(path) > MAX_METADATA_BYTES:
                raise StoreError(f"its {key} has {_file_size(path)} bytes")

    def _check_chunk(self, key: str, value: Buffer, *, is_whole: bool) -> None:
        size = _claimed_size(self.compressor, value, is_whole=is_whole)
        if size > MAX_CHUNK_BYTES:
            raise StoreError(f"its chunk {key!r} would inflate to {size} bytes")


@cache
def learn_jpeg() -> None:
    """Tell zarr about JPEG chunks, if imagecodecs has the codec. Takes half a second once."""
    with suppress(ImportError):
        from imagecodecs import zarr as codecs

        codecs.register_codecs(("jpeg",))


def open_store(path_or_url: str | Path) -> CheckedStore:
    """Open a folder, a zip file or a URL that fsspec knows for reading.

    Raises
    ------
    UserError
        If it cannot be reached, or the zip file is damaged or hostile.
    """
    text = str(path_or_url)
    try:
        if is_url(text):
            return CheckedStore(_remote_store(text))
        path = Path(text)
        if path.is_dir():
            return CheckedStore(LocalStore(path, read_only=True), path)
        _check_zip(path)
        return CheckedStore(ZipStore(path, mode="r", read_only=True))
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"Cannot open {_short(text)!r}: this kind of URL needs a package that is not "
            f"installed ({without_secrets(error)})."
        ) from error
    except Exception as error:  # each file system has errors of its own
        raise UserError(f"Cannot open {_short(text)!r}: {without_secrets(error)}.") from error


def _short(text: str) -> str:
    """Return the last part of a URL or path: the rest may hold a password."""
    return text.rstrip("/").rpartition("/")[2] or text


def _remote_store(url: str) -> Store:
    options: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        from aiohttp import ClientTimeout

        options["client_kwargs"] = {"timeout": ClientTimeout(total=_HTTP_TIMEOUT_S)}
    return FsspecStore.from_url(url, storage_options=options, read_only=True)


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, struct.error) as error:
        raise UserError(
            f"Cannot open {path.name!r}: it is no whole zip file ({one_line(error)})."
        ) from error
    for member in members:
        inflation = member.file_size / max(1, member.compress_size)
        too_large = PurePosixPath(member.filename).name in _METADATA and (
            member.file_size > MAX_METADATA_BYTES
        )
        if too_large or (member.file_size > 2**20 and inflation > _MOST_INFLATION):
            raise UserError(
                f"Cannot open {path.name!r}: its part {member.filename[:60]!r} would inflate from "
                f"{member.compress_size} to {member.file_size} bytes. The file is hostile."
            )
        if not is_inside(member.filename):
            raise UserError(
                f"Cannot open {path.name!r}: its part {member.filename[:60]!r} lies outside it. "
                "The file is hostile."
            )


def _file_size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _claimed_size(compressor: str, value: Buffer, *, is_whole: bool) -> int:
    """Return the size that a chunk says it has decoded; 0 where that is not to be seen."""
    head = bytes(value[:32].to_bytes())
    if compressor == "zstd" and head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd_size(head)
    if compressor == JPEG and head.startswith(b"\xff\xd8"):
        return _jpeg_size(value)
    if not is_whole:
        return 0  # part of a shard, maybe of its index
    if compressor == "blosc" and len(head) >= 16:
        return int(struct.unpack("<I", head[4:8])[0])
    if compressor == "lz4" and len(head) >= 4:
        return int(struct.unpack("<I", head[:4])[0])
    if compressor in ("gzip", "zlib") and len(value) > _LEAST_SUSPECT_BYTES:
        return _inflated_size(value.to_bytes())
    return 0


def _zstd_size(head: bytes) -> int:
    """Return the content size of a zstd frame (RFC 8878, 3.1.1.1), 0 if it is not told."""
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    width = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(head[start : start + width], "little")
    return size + 256 if width == 2 else size


def _jpeg_size(value: Buffer) -> int:
    """Return the size of a JPEG picture by its frame header (ITU T.81, B.2.2), 0 if none is met."""
    data, place = value[:_MOST_JPEG_HEADER].to_bytes(), 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        kind, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return int(height) * int(width) * data[place + 9]
        place += 2 + length
    return MAX_CHUNK_BYTES + 1 if place < len(data) else 0


def _inflated_size(data: bytes) -> int:
    """Return how much deflated data becomes, counted up to a little over the limit."""
    inflate = zlib.decompressobj(47)  # zlib and gzip headers
    total = 0
    while data and total <= MAX_CHUNK_BYTES and not inflate.eof:
        try:
            total += len(inflate.decompress(data, 2**22))
        except zlib.error:
            return 0  # the decoder will say so
        data = inflate.unconsumed_tail
    return total
