"""The manifest of a finished store: every file that it is due to hold, with size and hash.

zarr reads a shard that is missing as white, without an error; the manifest is what tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store.journal import FORMAT, Receipt
from napari_medssl.io.slide_store.metadata import ICC_FILE
from napari_medssl.io.slide_store.plan import FILL

MANIFEST = "manifest.json"

_MOST_BYTES = 256 * 2**20  # a million shards have 100 MB of lines
_PLACE = re.compile(rf"(?:[0-9]+/)?zarr\.json|[0-9]+/c/0/[0-9]+/[0-9]+|{re.escape(ICC_FILE)}")


@dataclass(frozen=True)
class Manifest:
    """What a finished store is made from and holds.

    Attributes
    ----------
    fingerprint
        That of the slide.
    settings
        `StoreSettings` as JSON.
    left_out
        How many shards of level 0 were left out because no tissue is there; they read as white.
    files
        Receipt of each file by its place below the store.
    """

    fingerprint: str
    settings: Mapping[str, Any]
    left_out: int
    files: Mapping[str, Receipt]

    def to_bytes(self) -> bytes:
        """Return the file, the same for the same store."""
        document = {
            "format": FORMAT,
            "slide": {"fingerprint": self.fingerprint},
            "settings": dict(self.settings),
            "fill_value": FILL,
            "left_out": {"shards": self.left_out, "why": "no tissue" if self.left_out else ""},
            "files": {place: self.files[place].to_json() for place in sorted(self.files)},
        }
        return json.dumps(document, indent=1).encode()


def read_manifest(store: Path) -> Manifest | None:
    """Return the manifest of a store, None if it has none.

    Raises
    ------
    UserError
        If it is damaged, too large, or names places outside the store.
    """
    path = store / MANIFEST
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"The manifest of {store.name!r} is too large to be one of ours.")
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError("another format")
        files = {str(k): Receipt.from_json(v) for k, v in document["files"].items()}
        for place in files:
            if not _PLACE.fullmatch(place):
                raise ValueError(f"it names {place[:60]!r}")
        return Manifest(
            str(document["slide"]["fingerprint"]),
            dict(document["settings"]),
            int(document["left_out"]["shards"]),
            files,
        )
    except FileNotFoundError:
        return None
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"The manifest of {store.name!r} is damaged ({type(error).__name__}). Convert the "
            "slide again to another --out."
        ) from error
