"""What a collection's embeddings are made by: only those of one set-up compare."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from napari_medssl._errors import UserError

RECIPE = 1
"""Version of how tiles are found, read and normalised; a change makes other embeddings."""

_KINDS = {"str": str, "int": int, "float": float}
_MOST_DIM = 65_536


@dataclass(frozen=True, slots=True)
class SetUp:
    """An encoder and the tiles that it was shown.

    Attributes
    ----------
    encoder
        Its name.
    sha256
        Of its weights, "" where there are none.
    dim
        Dimensions of an embedding, D.
    pixels
        Side of a tile as the encoder sees it.
    mpp
        Microns per pixel that tiles are cut at.
    size
        Side of a tile in pixels of `mpp`.
    stain
        Stain reference that slides are normalised to, "" for none.
    overlap
        Part of a tile's side that the next one shares.
    min_tissue
        Least part of a tile that is tissue.
    recipe
        `RECIPE` when it was made.
    """

    encoder: str
    sha256: str
    dim: int
    pixels: int
    mpp: float
    size: int
    stain: str = ""
    overlap: float = 0.0
    min_tissue: float = 0.5
    recipe: int = RECIPE

    @property
    def name(self) -> str:
        """Name of its collection: readable, fit for a folder, another for each set-up."""
        encoder = re.sub(r"[^A-Za-z0-9._-]+", "-", self.encoder)[:40].strip(".-") or "encoder"
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=True)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{encoder}-{self.mpp:g}um-{self.size}px-{digest}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SetUp:
        """Return what `to_json` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            due = {one.name: _KINDS[str(one.type)](values[one.name]) for one in fields(cls)}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no set-up: {error}") from None
        if not 1 <= due["dim"] <= _MOST_DIM:
            raise ValueError(f"no set-up: {due['dim']} dimensions")
        return cls(**due)


def check_encoder(set_up: SetUp, name: str, sha256: str) -> None:
    """Raise `UserError` unless the encoder is the one of the set-up."""
    if sha256 != set_up.sha256:
        raise UserError(
            f"Encoder {name!r} has other weights (sha256 {sha256[:12] or 'none'}) than the ones "
            f"that the library was made with ({set_up.sha256[:12] or 'none'}), so their embeddings "
            "do not compare. Give the encoder's file with --encoder, or index the slides again."
        )
