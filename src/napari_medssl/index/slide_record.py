"""What a library knows of an indexed slide: its manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.index.set_up import SetUp
from napari_medssl.io.files import write_whole
from napari_medssl.io.slide_store.journal import Receipt

FORMAT = "medssl-index-slide-1"
MANIFEST = "manifest.json"

_MOST_BYTES = 64 * 2**20
_MOST_TILES = 50_000_000
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(
    r"(?:(?:embeddings|x|y|size|tissue)/)?zarr\.json|embeddings/c\.[0-9]+\.0"
    r"|(?:x|y|size|tissue)/c\.[0-9]+"
)


@dataclass(frozen=True, slots=True)
class SlideRecord:
    """An indexed slide.

    Attributes
    ----------
    fingerprint
        `Slide.fingerprint`: its id in the library, the same wherever the file lies.
    path
        Where the slide was when it was indexed; it may name a patient.
    patient
        Whose it is, "" where nobody said.
    dimensions
        `(width, height)` of level 0.
    mpp
        Microns per level-0 pixel.
    tiles
        Rows of its table, N.
    unread
        How many of them could not be read: their embeddings are zeros, and no search finds them.
    """

    fingerprint: str
    path: str
    patient: str = ""
    dimensions: tuple[int, int] = (0, 0)
    mpp: float = 0.0
    tiles: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class SlideManifest:
    """The record of a slide, what it was embedded with, and every file with size and hash."""

    record: SlideRecord
    set_up: SetUp
    files: Mapping[str, Receipt] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Hash of the embeddings and the tiles; the same for the same files."""
        digest = hashlib.blake2b(digest_size=16, person=b"medssl-index")
        for place in sorted(self.files):
            digest.update(f"{place} {self.files[place].blake2b}\n".encode())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Return the file."""
        record = self.record
        document = {
            "format": FORMAT,
            "slide": {
                "fingerprint": record.fingerprint,
                "path": record.path,
                "patient": record.patient,
                "dimensions": list(record.dimensions),
                "mpp": record.mpp,
            },
            "tiles": record.tiles,
            "unread": record.unread,
            "set_up": self.set_up.to_json(),
            "files": {place: self.files[place].to_json() for place in sorted(self.files)},
        }
        return json.dumps(document, indent=1, allow_nan=False).encode()


def is_fingerprint(name: str) -> bool:
    """Say whether `name` is the folder of a finished slide."""
    return _FINGERPRINT.fullmatch(name) is not None


def read_manifest(folder: Path) -> SlideManifest:
    """Return the manifest of an indexed slide.

    Raises
    ------
    UserError
        If there is none, or it is damaged or names places outside its folder.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _damaged(folder.name, error) from error
    return parse_manifest(data, folder.name)


def parse_manifest(data: bytes, name: str) -> SlideManifest:
    """Return the manifest that `SlideManifest.to_bytes` gave.

    Parameters
    ----------
    data
        The file.
    name
        Of the slide's folder, which begins with its fingerprint.

    Raises
    ------
    UserError
        If it is damaged, of another slide, or names places outside its folder.
    """
    try:
        return _parsed(json.loads(data), name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> UserError:
    return UserError(
        f"The manifest of indexed slide {name[:32]} is missing or damaged "
        f"({type(error).__name__}). Index that slide again with --reindex."
    )


def _parsed(document: Mapping[str, Any], name: str) -> SlideManifest:
    if document["format"] != FORMAT:
        raise ValueError("another format")
    files = {str(k): Receipt.from_json(v) for k, v in document["files"].items()}
    if not all(map(_PLACE.fullmatch, files)):
        raise ValueError("a place that is not ours")
    slide = document["slide"]
    width, height = slide["dimensions"]
    record = SlideRecord(
        fingerprint=str(slide["fingerprint"]),
        path=str(slide["path"]),
        patient=str(slide["patient"]),
        dimensions=(int(width), int(height)),
        mpp=float(slide["mpp"]),
        tiles=int(document["tiles"]),
        unread=int(document["unread"]),
    )
    if record.fingerprint != name.partition(".")[0] or not 0 <= record.tiles <= _MOST_TILES:
        raise ValueError("another slide")
    return SlideManifest(record, SetUp.from_json(document["set_up"]), files)


def update_manifest(folder: Path, manifest: SlideManifest, path: str, patient: str) -> bool:
    """Note where the slide lies now and whose it is; say whether that was news."""
    record = replace(manifest.record, path=path, patient=patient)
    if record == manifest.record:
        return False
    write_whole(folder / MANIFEST, replace(manifest, record=record).to_bytes())
    return True
