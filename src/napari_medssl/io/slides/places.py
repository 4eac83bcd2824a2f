"""Tell URLs from paths, and names that stay inside a store from those that leave it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]+://")


def is_url(text: str) -> bool:
    """Say whether `text` names a place by protocol, such as https:// or s3://."""
    return _PROTOCOL.match(text) is not None


def local_path(text: str) -> Path | None:
    """Return the path that a text or file:// URL names, None for other URLs."""
    if text.startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    return None if is_url(text) else Path(text)


def absolute_place(text: str) -> str:
    """Return a path or file:// URL as a whole path, so that it is found from any folder.

    Other URLs stay.
    """
    path = local_path(text)
    return text if path is None else str(path.expanduser().absolute())


def absolute_file(name: str) -> str:
    """Return a file by its whole path; a name that is no file's with a suffix stays."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.suffix and path.is_file() else name


def is_inside(key: str) -> bool:
    """Say whether a name inside a store stays there: relative, without "..", on every system."""
    parts = PurePosixPath(key).parts
    return not (key.startswith("/") or ".." in parts or any(c in key for c in ("\\", "\0", ":")))
