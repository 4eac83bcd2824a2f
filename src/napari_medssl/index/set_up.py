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
"""Version of how tiles are found and read; a change makes other embeddings."""
STAIN_RECIPE = 2
"""The same where tiles are normalised, too; 1 took pale tissue for glass where there was none."""

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
        `recipe_of` its stain when it was made.
    preprocessing
        What is done to pixels besides, where a file of the user's says so (the mean and standard
        deviation beside an ONNX file); "" where the program does, and in libraries that were made
        before it was noted.
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
    preprocessing: str = ""

    @property
    def name(self) -> str:
        """Name of its collection: readable, fit for a folder, another for each set-up."""
        encoder = re.sub(r"[^A-Za-z0-9._-]+", "-", self.encoder)[:40].strip(".-") or "encoder"
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=True)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{encoder}-{self.mpp:g}um-{self.size}px-{digest}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; without preprocessing as before that was noted."""
        values = asdict(self)
        if not self.preprocessing:
            del values["preprocessing"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SetUp:
        """Return what `to_json` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            noted = {"preprocessing": "", **values}
            due = {one.name: _KINDS[str(one.type)](noted[one.name]) for one in fields(cls)}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no set-up: {error}") from None
        if not 1 <= due["dim"] <= _MOST_DIM:
            raise ValueError(f"no set-up: {due['dim']} dimensions")
        return cls(**due)


def recipe_of(stain: str) -> int:
    """Return the version of how tiles come to be with that stain reference, "" for none."""
    return STAIN_RECIPE if stain else RECIPE


def check_encoder(set_up: SetUp, name: str, sha256: str, preprocessing: str = "") -> None:
    """Raise `UserError` unless the encoder is the one of the set-up.

    Where the set-up does not say its preprocessing, any will do: see `is_noted`.
    """
    if sha256 != set_up.sha256:
        raise UserError(
            f"Encoder {name!r} has other weights (sha256 {sha256[:12] or 'none'}) than the ones "
            f"that the library was made with ({set_up.sha256[:12] or 'none'}), so their embeddings "
            "do not compare. Give the encoder's file with --encoder, or index the slides again."
        )
    if set_up.preprocessing and preprocessing != set_up.preprocessing:
        raise UserError(
            f"Encoder {name!r} has the weights that the library was made with, but the file beside "
            f"them says {preprocessing or 'nothing'} where it said {set_up.preprocessing}, so "
            f"their embeddings do not compare. Put {name + '.json'!r} back, or index the slides "
            "again."
        )


def is_noted(set_up: SetUp, preprocessing: str) -> bool:
    """Say whether a set-up tells the preprocessing of an encoder that has one of its own."""
    return bool(set_up.preprocessing) or not preprocessing
