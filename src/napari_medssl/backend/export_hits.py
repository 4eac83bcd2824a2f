"""Write the hits of a search: GeoJSON for QuPath, CSV, a contact sheet, or one HTML file.

Names of slides are those that the caller gives, so that masked ones stay masked in every format.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.stain_rank import HitStain
from napari_medssl.index.results import Hit
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.files import write_whole
from napari_medssl.io.geojson import Feature, write_geojson
from napari_medssl.io.geojson.feature import rectangle

Picture = NDArray[np.uint8]
_MARGIN, _LINE = 8, 16
_MOST_ACROSS = 8


@dataclass(frozen=True)
class NamedHit:
    """A hit with what is written of it.

    Attributes
    ----------
    hit
        The hit.
    name
        Name of its slide, as it is to be shown.
    place
        Path of its slide, "" where that must not be shown.
    patient
        Whose it is, "" where nobody said or it must not be shown.
    mark
        How a person marked it, "" for not at all.
    stain
        What the stain does for it, None where that is not known.
    """

    hit: Hit
    name: str
    place: str = ""
    patient: str = ""
    mark: str = ""
    stain: HitStain | None = None


def write_hits_csv(hits: Sequence[NamedHit], out: Path) -> None:
    """Write a table with one row a hit; raise UserError if it cannot be written.

    `without_stain` is the similarity with the stain taken away, `stain_share` the part of how far
    the hit stands out that goes with it; both are empty where the stain was not looked at.
    """
    header = (
        *("rank", "slide", "path", "patient", "x", "y", "size", "similarity", "mark"),
        *("without_stain", "stain_share", "due_to_stain"),
    )
    rows = []
    for rank, one in enumerate(hits, start=1):
        tile, similarity = one.hit.tile, round(one.hit.similarity, 6)
        place = (tile.x, tile.y, tile.size)
        stain: tuple[str | float, ...] = ("", "", "")
        if one.stain is not None:
            numbers = (round(one.stain.similarity, 6), round(one.stain.share, 4))
            stain = (*numbers, "yes" if one.stain.is_due else "no")
        rows.append((rank, one.name, one.place, one.patient, *place, similarity, one.mark, *stain))
    write_csv(out, header, rows)


def write_hits_geojson(hits: Sequence[NamedHit], out: Path) -> None:
    """Write the hits of one slide as detections of QuPath, with their similarity.

    Raises
    ------
    UserError
        If they are of several slides, which one file of QuPath cannot hold, or there is none.
    """
    slides = {one.hit.tile.slide for one in hits}
    if len(slides) != 1:
        raise UserError(
            f"The hits lie on {len(slides)} slides, and a GeoJSON file belongs to one. Open a "
            "slide with hits on it, or export a CSV file."
        )
    features = []
    for one in hits:
        tile = one.hit.tile
        features.append(
            Feature(
                rectangle(tile.x, tile.y, tile.x + tile.size, tile.y + tile.size),
                object_type="detection",
                class_name="Similar",
                class_color=(255, 178, 36),
                measurements=_measurements(one),
            )
        )
    write_geojson(features, out)


def _measurements(one: NamedHit) -> dict[str, float]:
    values = {"similarity": round(one.hit.similarity, 6)}
    if one.stain is not None:
        values["without stain"] = round(one.stain.similarity, 6)
    return values


def write_contact_sheet(
    hits: Sequence[NamedHit], pictures: Sequence[Picture | None], out: Path
) -> None:
    """Write one PNG picture of all hits with similarity and slide below each."""
    from PIL import Image, ImageDraw, ImageFont

    _check_any(hits)
    side = max((max(p.shape[:2]) for p in pictures if p is not None), default=160)
    across = min(_MOST_ACROSS, max(1, math.ceil(math.sqrt(len(hits)))))
    down = math.ceil(len(hits) / across)
    cell = (side + _MARGIN, side + 2 * _LINE + _MARGIN)
    sheet = Image.new("RGB", (across * cell[0] + _MARGIN, down * cell[1] + _MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (one, picture) in enumerate(zip(hits, pictures, strict=True)):
        x, y = number % across * cell[0] + _MARGIN, number // across * cell[1] + _MARGIN
        if picture is None:
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill="#dddddd")
        else:
            sheet.paste(Image.fromarray(picture), (x, y))
        words = (f"{one.hit.similarity:.3f}", _shortened(one.name, side // 7))
        for line, text in enumerate(words):
            draw.text((x, y + side + 1 + line * _LINE), text, fill="black", font=font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    write_whole(out, stream.getvalue())


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def write_hits_html(
    hits: Sequence[NamedHit],
    pictures: Sequence[Picture | None],
    examples: Sequence[tuple[str, bool, Picture | None]],
    out: Path,
    title: str = "Similar tiles",
) -> None:
    """Write one HTML file with all pictures inside: it opens anywhere and loads nothing.

    Parameters
    ----------
    hits, pictures
        The hits, best first, and their pictures, uint8 RGB (Y, X, 3), None where there is none.
    examples
        Name, whether it is wanted, and picture of each example.
    out
        The file.
    title
        Of the page.

    Raises
    ------
    UserError
        If there is no hit, or the file cannot be written.
    """
    _check_any(hits)
    asked = "".join(
        f'<figure class="{"plus" if is_wanted else "minus"}">{_image(picture)}<figcaption>'
        f"{'+' if is_wanted else '−'} {escape(name)}</figcaption></figure>"
        for name, is_wanted, picture in examples
    )
    found = "".join(
        f"<figure>{_image(picture)}<figcaption><b>{one.hit.similarity:.3f}</b> {escape(one.name)}"
        f"<br>x {one.hit.tile.x}, y {one.hit.tile.y}{_stain_words(one)}</figcaption></figure>"
        for one, picture in zip(hits, pictures, strict=True)
    )
    write_whole(
        out,
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><h2>Examples</h2>"
        f"<section>{asked}</section><h2>{len(hits)} hits</h2><section>{found}</section></body>"
        "</html>\n",
    )


_STYLE = (
    "body{font:14px sans-serif;margin:24px;background:#fff;color:#1a1a1a}"
    "section{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;width:160px}"
    "img,.none{width:160px;height:160px;object-fit:cover;background:#ddd;display:block}"
    "figcaption{font-size:12px;overflow-wrap:anywhere}"
    ".plus img{outline:3px solid #30a46c}.minus img{outline:3px solid #e5484d}"
    "@media(prefers-color-scheme:dark){body{background:#1e1e22;color:#eee}}"
)


def _stain_words(one: NamedHit) -> str:
    if one.stain is None:
        return ""
    due = ", due to stain" if one.stain.is_due else ""
    return f"<br>{one.stain.similarity:.3f} without stain{due}"


def _image(picture: Picture | None) -> str:
    from PIL import Image

    if picture is None:
        return '<div class="none"></div>'
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=88)
    packed = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img alt="tile" src="data:image/jpeg;base64,{packed}">'


def _check_any(hits: Sequence[NamedHit]) -> None:
    if not hits:
        raise UserError("There is no hit to export. Search for something first.")
