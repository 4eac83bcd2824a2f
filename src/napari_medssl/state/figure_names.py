"""Tell figures of one name apart by the folders they lie in, as editors do with tabs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath


def folders_to_show(names: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return for each figure the shortest end of its folder's path that tells it from its likes.

    Parameters
    ----------
    names
        Key of a figure to its name and the path of its file, with slashes.

    Returns
    -------
    dict
        Key to folder, such as "run2" or "run2/raw"; figures whose name is theirs alone are left
        out, and so are those of one folder, which no folder can tell apart.
    """
    alike: dict[str, dict[str, tuple[str, ...]]] = {}
    for key, (name, path) in names.items():
        alike.setdefault(name, {})[key] = PurePosixPath(path).parent.parts
    shown = {}
    for folders in alike.values():
        if len(folders) > 1:
            shown.update(_shortest(folders))
    return shown


def _shortest(folders: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the shortest ends of some paths that no other of them has."""
    found = {}
    left = dict(folders)
    for length in range(1, max(map(len, folders.values())) + 1):
        ends: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for parts in folders.values():
            ends.setdefault(parts[-length:], set()).add(parts)
        for key, parts in list(left.items()):
            end = parts[-length:]
            if len(ends[end]) == 1:
                found[key] = "/".join(end).replace("//", "/")
                del left[key]
    distinct = set(folders.values())
    return found if len(distinct) > 1 else {}
