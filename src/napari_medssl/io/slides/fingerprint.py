"""Hash a slide by what it holds, quickly: size, geometry, and samples spread over the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slides.level_slide import Level

_BLOCK = 65_536
_BLOCKS = 32  # with head and tail 2 MiB are read: 10 ms from a disk, 1 s from a slow network


def fingerprint_of(kind: str, levels: Sequence[Level], parts: Iterable[bytes]) -> str:
    """Return 32 hexadecimal digits for a slide of this geometry and these parts.

    Parameters
    ----------
    kind
        Word that keeps the sources apart.
    levels
        Its levels; their sizes are hashed.
    parts
        Content, in an order that does not depend on the machine.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"medssl-slide")
    geometry = ";".join(f"{level.width}x{level.height}" for level in levels)
    for part in (kind.encode(), geometry.encode(), *parts):
        digest.update(len(part).to_bytes(8, "little"))  # or parts could run into each other
        digest.update(part)
    return digest.hexdigest()


def sample_file(path: Path) -> Iterable[bytes]:
    """Give the size of a file and blocks of it: first, last and evenly between."""
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            yield str(size).encode()
            last = max(0, size - _BLOCK)
            for start in sorted({last * step // (_BLOCKS - 1) for step in range(_BLOCKS)}):
                stream.seek(start)
                yield stream.read(_BLOCK)
    except OSError as error:
        raise UserError(f"Cannot read {path.name!r}: {error.strerror or error}.") from error


def sample_array(data: memoryview) -> Iterable[bytes]:
    """Give blocks of bytes in memory as `sample_file` does."""
    size = data.nbytes
    yield str(size).encode()
    last = max(0, size - _BLOCK)
    for start in sorted({last * step // (_BLOCKS - 1) for step in range(_BLOCKS)}):
        yield bytes(data[start : start + _BLOCK])
