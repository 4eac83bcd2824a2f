"""What the copy of a library knows of the object store that it is a copy of: `remote.json`.

Of each slide the manifest as it was seen there last. So a slide that is in one place only is known
to have come or to have gone, and one that differs to have changed here or there.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl.io.files import write_whole

_STATE = "remote.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A manifest as it was in the store: its stamp there, its hash, and its slide's content."""

    stamp: str
    digest: str
    content: str


class RemoteState:
    """What is known, by collection and fingerprint.

    Attributes
    ----------
    copy
        Names this copy, in the lock of the store.
    slides
        What is known; change it and `save`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _STATE
        self.copy, self.slides = _read(self._path)
        if not self.copy:
            self.copy = uuid.uuid4().hex
            self.save()

    def of(self, collection: str, fingerprint: str) -> Known | None:
        """Return what is known of a slide."""
        return self.slides.get(collection, {}).get(fingerprint)

    def save(self) -> None:
        """Put it on the disk."""
        known = {
            name: {key: [one.stamp, one.digest, one.content] for key, one in slides.items()}
            for name, slides in self.slides.items()
        }
        write_whole(self._path, json.dumps({"copy": self.copy, "known": known}))


def digest_of(data: bytes) -> str:
    """Return the hash of a manifest's file."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def json_object(data: bytes | None) -> dict[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> tuple[str, dict[str, dict[str, Known]]]:
    """Return what was saved; nothing if that is lost, so that everything is looked at again."""
    try:
        found = json_object(path.read_bytes())
        known = {
            str(name): {str(key): Known(*map(str, one)) for key, one in slides.items()}
            for name, slides in found["known"].items()
        }
        return str(found["copy"]), known
    except (OSError, KeyError, TypeError, AttributeError):
        return "", {}
