"""A folder of an object store, through fsspec: s3://, gs://, az:// and what else it knows.

An object is put whole or not at all, and there are no renames. Whatever a file system raises is
told in one line, without the passwords that a URL may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from napari_medssl._errors import UserError
from napari_medssl.io.limits import without_secrets

T = TypeVar("T")

_AT_ONCE = 64  # objects that are held in memory together


class ObjectStore:
    """Objects below a URL. Places are relative to it, with "/" between their parts.

    Parameters
    ----------
    url
        Where.

    Raises
    ------
    UserError
        If no file system is known or installed for it.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url.rstrip("/")
        try:
            self._files, self._root = url_to_fs(self.url)
        except ImportError as error:
            raise UserError(
                f"A library at {self.name!r} needs a package that is not installed "
                f"({without_secrets(error)})."
            ) from error
        except ValueError as error:
            raise UserError(
                f"{self.name!r} is of a kind that is not known ({without_secrets(error)}); due is "
                "a folder, or a URL such as s3://bucket/name."
            ) from error

    @property
    def name(self) -> str:
        """The URL for people: without a password."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def read(self, place: str) -> bytes | None:
        """Return an object, None if there is none."""
        try:
            return bytes(self._ask(self._files.cat_file, self._path(place)))
        except FileNotFoundError:
            return None

    def read_all(self, places: Sequence[str]) -> dict[str, bytes] | None:
        """Return objects by place, several at a time; None if one is missing."""
        found: dict[str, bytes] = {}
        for start in range(0, len(places), _AT_ONCE):
            paths = {self._path(place): place for place in places[start : start + _AT_ONCE]}
            try:
                came = self._ask(self._files.cat, list(paths))
            except FileNotFoundError:
                return None
            found |= {paths[path]: bytes(data) for path, data in came.items()}
        return found

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put objects, several at a time, in no order."""
        places = list(files)
        for start in range(0, len(places), _AT_ONCE):
            part = {self._path(p): files[p] for p in places[start : start + _AT_ONCE]}
            self._ask(self._files.pipe, part)

    def create(self, place: str, data: bytes) -> bool:
        """Put an object unless there is one; say whether it is this one now."""
        try:
            self._ask(self._files.pipe_file, self._path(place), data, mode="create")
        except FileExistsError:
            return False
        # A store that knows no such condition has put it in the place of another.
        return self.read(place) == data

    def children(self, place: str = "") -> dict[str, str]:
        """Return what lies directly below a place: a stamp by name, another after each change."""
        path = self._path(place)
        self._files.invalidate_cache()
        try:
            found = self._ask(self._files.ls, path, detail=True)
        except FileNotFoundError:
            return {}
        named = {str(one["name"]).rstrip("/"): _stamp(one) for one in found}
        named.pop(path.rstrip("/"), None)  # an empty object that stands for the folder
        return {name.rpartition("/")[2]: stamp for name, stamp in named.items()}

    def stamp(self, place: str) -> str:
        """Return the stamp of one object, as `children` has it; "" if there is none."""
        self._files.invalidate_cache()
        try:
            return _stamp(self._ask(self._files.info, self._path(place)))
        except FileNotFoundError:
            return ""

    def remove(self, place: str) -> None:
        """Remove an object, or all below a place; nothing if there is nothing."""
        self._files.invalidate_cache()
        try:
            self._ask(self._files.rm, self._path(place), recursive=True)
        except FileNotFoundError:
            return

    def _path(self, place: str) -> str:
        return f"{self._root.rstrip('/')}/{place}" if place else self._root

    def _ask(self, function: Callable[..., T], *values: Any, **named: Any) -> T:
        """Call a file system; FileNotFoundError and FileExistsError pass."""
        try:
            return function(*values, **named)
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # each file system has errors of its own
            if _is_refused_condition(error):
                raise FileExistsError from error
            raise UserError(
                f"{self.name!r} cannot be used: {without_secrets(error)}. Look at the place, the "
                "network and your rights there, and give the same command again."
            ) from error


def _stamp(entry: Mapping[str, Any]) -> str:
    """Return what tells one version of an object from the next, listed or asked for by itself."""
    keys = ("ETag", "etag", "generation", "md5Hash", "content_md5", "LastModified", "mtime")
    found = [entry[key] for key in (*keys, "created", "size") if entry.get(key) is not None]
    # Some file systems tell times as seconds in lists, and as dates of single objects.
    return " ".join(str(one.timestamp() if isinstance(one, datetime) else one) for one in found)


def _is_refused_condition(error: Exception) -> bool:
    """Say whether S3 refused to put an object because there is one: HTTP 412 of botocore."""
    response = getattr(error.__cause__ or error, "response", None)
    if not isinstance(response, Mapping):
        return False
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return bool(status == 412)
