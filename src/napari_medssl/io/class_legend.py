"""Names and colours of the classes of a mask, as a text that files carry beside the numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_KEY = "medssl classes"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST = 1000  # letters of a name that is read: nobody wrote such a one
MOST_BYTES = 2**20
"""Of a text that is looked at: 255 classes with long names have less."""


@dataclass(frozen=True, slots=True)
class ClassLegend:
    """What is known of classes by number: names, and colours as "#rrggbb"."""

    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """Return it as JSON in ASCII, the same for the same legend."""
        return json.dumps(self.as_attributes())

    def as_attributes(self) -> dict[str, Any]:
        """Return what `as_text` writes, as attributes of a store."""
        rows = [
            {"number": number, "name": self.names.get(number, "")}
            | ({"color": self.colors[number]} if number in self.colors else {})
            for number in sorted({*self.names, *self.colors})
            if 0 < number < 256
        ]
        return {_KEY: rows}

    @classmethod
    def of_text(cls, text: str) -> ClassLegend | None:
        """Return the legend that `as_text` wrote, None of another text: files may be damaged."""
        try:
            return cls.of_attributes(json.loads(text))
        except (ValueError, RecursionError):
            return None

    @classmethod
    def of_attributes(cls, attributes: Any) -> ClassLegend | None:
        """Return the legend among the attributes of a store, None if there is none."""
        try:
            found = [_row(row) for row in attributes[_KEY]]
        except (ValueError, KeyError, TypeError):
            return None
        return cls(
            {number: name for number, name, _ in found if name},
            {number: color for number, _, color in found if _COLOR.fullmatch(color)},
        )


NO_LEGEND = ClassLegend()


def _row(row: Any) -> tuple[int, str, str]:
    number, name, color = row["number"], row.get("name", ""), row.get("color", "")
    is_one = isinstance(number, int) and 0 < number < 256
    if not (is_one and isinstance(name, str) and isinstance(color, str)):
        raise ValueError(f"{row!r} is no class")
    return number, name[:_LONGEST], color
