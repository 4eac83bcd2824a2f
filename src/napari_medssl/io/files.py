"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_medssl._errors import UserError

TEMPORARY = ".writing-"
"""How the names of files begin that are not in place yet; a kill leaves them."""

_FLUSHES_AT_ONCE = 16  # they wait for the disk, which takes many at a time


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Put `content` at `path`, so that a reader finds the old file or the new one, never a half.

    Text is written as UTF-8 with its line ends as they are. Raises `UserError` where the folder
    is missing or cannot be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replace_whole(path) as temporary:
        temporary.write_bytes(data)


def write_all_whole(files: Mapping[Path, bytes]) -> None:
    """Put many files in place like `write_whole`, several times as fast: they share the flushes.

    Raises `UserError` if one cannot be written; those before it may be in place then.
    """
    temporaries: dict[Path, Path] = {}
    try:
        for target, data in files.items():
            temporaries[target] = _make_temporary(target)
            temporaries[target].write_bytes(data)
        with ThreadPoolExecutor(_FLUSHES_AT_ONCE) as pool:
            list(pool.map(_flush, temporaries.values()))
        for target, temporary in temporaries.items():
            os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"Cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        for temporary in temporaries.values():
            with suppress(FileNotFoundError):
                temporary.unlink()
    for folder in {target.parent for target in files}:
        flush_folder(folder)


@contextmanager
def replace_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path in the folder of `path` to write to; put it in place when the block ends well.

    The file and its folder are flushed to the disk, so that a power cut leaves one of the two
    whole files. On an error in the block the temporary file is removed and `path` is untouched.
    The temporary name keeps the suffix, because many writers choose the format by it.
    """
    target = Path(path)
    temporary = _make_temporary(target)
    mode = temporary.stat().st_mode & 0o777
    try:
        yield temporary
        with suppress(OSError):  # a writer may have put a file of its own in its place
            temporary.chmod(mode)
        _flush(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"Cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    flush_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` if a file cannot be written at `path`: before hours of work, not after."""
    with suppress(FileNotFoundError):
        _make_temporary(Path(path)).unlink()


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder `path` and those above it; `UserError` where that cannot be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot make the folder {os.fspath(path)!r}: {error.strerror or error}."
        ) from error
    return Path(path)


def flush_folder(folder: Path) -> None:
    """Make renames in a folder last; on Windows, which opens no folder, they do by themselves."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _make_temporary(target: Path) -> Path:
    """Create an empty hidden file beside `target`, with the permissions a plain open would give."""
    if target.is_dir():
        raise UserError(f"Cannot write {str(target)!r}: it is a folder. Give a file name.")
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=TEMPORARY, suffix=target.suffix[:16]
        )
    except OSError as error:
        raise UserError(
            f"Cannot write {str(target)!r}: {error.strerror or error}. "
            "Choose a folder that exists and that you may write to."
        ) from error
    os.close(handle)
    with suppress(OSError):  # mkstemp gives 0600: shared folders need the usual mode
        Path(name).chmod(_usual_mode(target))
    return Path(name)


def _usual_mode(target: Path) -> int:
    """Return the mode of the file that is replaced, else what the umask leaves of 0666."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


def _flush(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
