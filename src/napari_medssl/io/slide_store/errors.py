"""What can stand in the way of a store, for callers that treat it apart."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medssl._errors import UserError


class StoreTakenError(UserError):
    """The place of the store holds something else; it was not touched."""


class DiskFullError(UserError):
    """The disk is full; what is written so far can be gone on with."""


class ConversionStopped(Exception):  # noqa: N818 - somebody asked for it, nothing went wrong
    """Raised when a conversion was asked to stop, with its unfinished store in order."""


@contextmanager
def disk_errors_told(out: Path) -> Iterator[None]:
    """Turn errors of a full or lost disk into one line that says how to go on."""
    try:
        yield
    except (UserError, OSError) as error:
        cause = error.__cause__ if isinstance(error, UserError) else error
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: {out.name!r} is not finished. Make room and give the same "
                "command again; it goes on where it was."
            ) from error
        if isinstance(error, OSError):
            raise UserError(f"Cannot write {str(out)!r}: {error.strerror or error}.") from error
        raise
