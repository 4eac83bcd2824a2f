"""`medssl why`: explain a hit of `medssl search`, or the likeness of two pictures, in a file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.encoders import DEFAULT_ENCODER, make_encoder
from napari_medssl.backend.explain_hit import Explanation, explain_hit, explain_tiles
from napari_medssl.backend.match_pictures import draw_matches, patch_box
from napari_medssl.backend.place_tiles import TilePlace
from napari_medssl.backend.search_tiles import FORMAT as HITS_FORMAT
from napari_medssl.backend.tile_pictures import read_tile
from napari_medssl.index.set_up import SetUp
from napari_medssl.io.files import check_writable, write_whole
from napari_medssl.io.images import ImageRef

FORMAT = "napari-medssl correspondence"
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ExplainConfig:
    """Say which patches of two tiles make them alike."""

    encoder: str = option(
        "", help="Encoder, by name or file; by default that of the search, else the shipped one."
    )
    count: int = option(6, help="Pairs of patches at most.", min=1, max=100)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


def explain_search(hits: Path, rank: int, config: ExplainConfig, *, out: Path) -> Explanation:
    """Explain one hit of a file that `medssl search` wrote.

    Parameters
    ----------
    hits
        The file.
    rank
        Which hit, from 1.
    config
        How.
    out
        A picture NAME.png or values NAME.json, written whole or not at all.

    Raises
    ------
    UserError
        If the file is none of hits, has no such hit, a tile cannot be read, the encoder is not to
        be had or gives no maps, or `out` cannot be written.
    """
    check(config)
    _check_out(out)
    document = _read_hits(hits)
    found = document["hits"]
    if not 1 <= rank <= len(found):
        raise UserError(
            f"--rank is {rank}, but {hits.name!r} holds {len(found)} hits. Give 1 to {len(found)}."
        )
    try:
        set_up = SetUp.from_json(document["collection"])
        query, hit = _query_place(document["query"]), _hit_place(found[rank - 1])
        encoder = config.encoder or str(document.get("encoder_given") or set_up.encoder)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"{hits.name!r} does not say what was searched for ({type(error).__name__}). Write it "
            "anew with `medssl search`."
        ) from None
    made = explain_hit(set_up, encoder, [query], hit, config.device, count=config.count)
    _write(made, out)
    return made


def explain_pictures(query: Path, hit: Path, config: ExplainConfig, *, out: Path) -> Explanation:
    """Explain why two pictures of tiles are alike; their middle squares are compared.

    Raises
    ------
    UserError
        As `explain_search`.
    """
    check(config)
    _check_out(out)
    encoder = make_encoder(config.encoder or DEFAULT_ENCODER, config.device)
    one, other = (read_tile(ImageRef(path), encoder.info.pixels) for path in (query, hit))
    made = explain_tiles(encoder, (one, other), count=config.count)
    _write(made, out)
    return made


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in (".png", ".json"):
        raise UserError(f"--out is {out.name!r}; due is a name that ends in .png or .json.")
    check_writable(out)


def _read_hits(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        document = json.loads(path.read_bytes())
        if document["format"] != HITS_FORMAT or not isinstance(document["hits"], list):
            raise ValueError("another format")
    except OSError as error:
        raise UserError(
            f"{str(path)!r} cannot be read: {error.strerror or error}. Give the file that "
            "`medssl search --out` wrote."
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"{path.name!r} holds no hits. Give the file that `medssl search --out` wrote."
        ) from None
    return dict(document)


def _query_place(query: Mapping[str, Any]) -> TilePlace:
    if query.get("image"):
        return TilePlace("", (str(query["image"]),))
    x, y, size = map(int, query["tile"])
    mpp = query.get("slide_mpp")
    return TilePlace(
        str(query["fingerprint"]),
        (str(query["slide"]),),
        (x, y, size, size),
        size,
        None if mpp is None else float(mpp),
    )


def _hit_place(hit: Mapping[str, Any]) -> TilePlace:
    x, y, size = (int(hit[key]) for key in ("x", "y", "size"))
    return TilePlace(str(hit["fingerprint"]), (str(hit["slide"]),), (x, y, size, size), size)


def _write(made: Explanation, out: Path) -> None:
    if out.suffix.lower() == ".png":
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(draw_matches(made)).save(stream, "PNG")
        write_whole(out, stream.getvalue())
    else:
        write_whole(out, json.dumps(_document(made), indent=1))


def _document(made: Explanation) -> dict[str, Any]:
    side = made.query.shape[0]

    def box(place: tuple[int, int]) -> list[float]:
        return [round(value, 3) for value in patch_box(place, made, side)]

    return {
        "format": FORMAT,
        "similarity": round(made.similarity, 6),
        "pixels": side,
        "grid": list(made.grid),
        "matches": [
            {
                "query": box(match.query),
                "hit": box(match.hit),
                "similarity": round(match.similarity, 6),
                "contribution": round(match.contribution, 6),
            }
            for match in made.matches
        ],
    }
