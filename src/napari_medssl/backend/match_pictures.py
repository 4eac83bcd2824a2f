"""Draw the patches of two tiles that correspond: numbers in the same colours on both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.explain_hit import Explanation

COLORS = ("#ffd60a", "#00c2d7", "#e93d82", "#46a758", "#f76b15", "#8e4ec6", "#ffffff", "#0091ff")
"""Of the first pair, the second and so on; told apart by their numbers beyond."""

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]
_SIDE = 448  # of a drawn tile: small ones are enlarged so that the numbers can be read
_MARGIN, _LINE = 10, 18


def patch_box(place: tuple[int, int], explanation: Explanation, side: float) -> Box:
    """Return `(x0, y0, x1, y1)` of a patch on a square picture of a tile."""
    row, column = place
    height, width = side / explanation.grid[0], side / explanation.grid[1]
    last = explanation.side
    return column * width, row * height, (column + last) * width, (row + last) * height


def summary(explanation: Explanation) -> str:
    """Return how much of the similarity the marked patches bring, in words."""
    count = len(explanation.matches)
    if not count:
        return "No patches of the two correspond."
    brought = sum(match.contribution for match in explanation.matches)
    part = count * explanation.side**2 / (explanation.grid[0] * explanation.grid[1])
    return (
        f"{count} pair{'s' * (count != 1)} of patches, {part:.0%} of the tile, "
        f"bring{'s' * (count == 1)} {brought:.3f} of the similarity {explanation.similarity:.3f}"
    )


def draw_matches(explanation: Explanation, side: int = _SIDE) -> NDArray[np.uint8]:
    """Return both tiles side by side with their marks and what they bring, uint8 RGB (Y, X, 3)."""
    from PIL import Image, ImageDraw, ImageFont

    lines = [
        f"{number}: patches alike by {match.similarity:.2f}, bring {match.contribution:+.4f}"
        for number, match in enumerate(explanation.matches, start=1)
    ]
    words = [summary(explanation), *lines]
    size = (2 * side + 3 * _MARGIN, side + 3 * _MARGIN + _LINE * (len(words) + 1))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    tiles = marked_tiles(explanation, side)
    for number, (tile, name) in enumerate(zip(tiles, ("query", "hit"), strict=True)):
        left = _MARGIN + number * (side + _MARGIN)
        draw.text((left, _MARGIN), name, fill="black", font=font)
        sheet.paste(Image.fromarray(tile), (left, _MARGIN + _LINE))
    top = side + 2 * _MARGIN + _LINE
    for line, text in enumerate(words):
        draw.text((_MARGIN, top + line * _LINE), text, fill="black", font=font)
    return np.asarray(sheet)


def marked_tiles(explanation: Explanation, side: int) -> tuple[Picture, Picture]:
    """Return query and hit with frames and numbers, uint8 RGB (side, side, 3)."""
    from PIL import Image, ImageDraw

    found = []
    for number, tile in enumerate((explanation.query, explanation.hit)):
        picture = Image.fromarray(tile).resize((side, side), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for place, match in enumerate(explanation.matches):
            patch = match.hit if number else match.query
            _mark(draw, patch_box(patch, explanation, side), place)
        found.append(np.asarray(picture))
    return found[0], found[1]


def _mark(draw: Any, box: Box, place: int) -> None:
    """Draw the frame of a patch and its number."""
    from PIL import ImageFont

    color = COLORS[place % len(COLORS)]
    frame = (box[0], box[1], box[2] - 1, box[3] - 1)
    draw.rectangle(frame, outline="black", width=4)
    draw.rectangle(frame, outline=color, width=2)
    chip = (frame[0], frame[1], frame[0] + 15, frame[1] + 17)
    draw.rectangle(chip, fill=color)
    draw.text(
        ((chip[0] + chip[2]) / 2, (chip[1] + chip[3]) / 2),
        str(place + 1),
        fill="black",
        font=ImageFont.load_default(14),
        anchor="mm",
    )
