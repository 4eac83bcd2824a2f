"""How large a picture may be, and the one line that says that it is too large."""

from __future__ import annotations

import re

from napari_medssl._errors import UserError

MAX_PIXELS = 200_000_000
"""Pixels of the largest picture that is decoded: about 1.5 GB of memory at the peak."""

MAX_SIDE = 100_000
"""Longest side in pixels."""


def check_size(name: str, width: int, height: int, limit: int = MAX_PIXELS) -> None:
    """Raise `UserError` if a picture of this size must not be decoded.

    `limit` is lower for kinds whose decoders need several times the memory of the picture.
    """
    if width < 1 or height < 1:
        raise UserError(f"Cannot read {name!r}: it says that it is {width} x {height} pixels.")
    if width * height > limit or max(width, height) > MAX_SIDE:
        raise UserError(
            f"Cannot read {name!r}: it says that it is {width} x {height} pixels; the limit is "
            f"{limit // 1_000_000} megapixels and {MAX_SIDE} pixels a side. "
            "Scale it down or cut it first."
        )


def one_line(error: BaseException) -> str:
    """Return the text of `error` on one line of printable characters, at most 200 of them."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 200 else text[:197] + "..."


def without_secrets(error: BaseException) -> str:
    """Return the text of an error on one line; a URL in it may hold a name and a password."""
    return re.sub(r"\S+@", "", one_line(error))
