"""Search a library for tiles that look like a tile of a slide, or like a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.library_place import Place, read_library
from napari_medssl.backend.place_tiles import TilePlace
from napari_medssl.backend.search_query import Query, QueryVector, SearchConfig
from napari_medssl.backend.stain_rank import HitStain, ask_stain, check_stain
from napari_medssl.index.collection import SearchCollection, open_collection
from napari_medssl.index.results import Hit, Tile
from napari_medssl.index.searchable import Searchable
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.io.files import check_writable, write_whole
from napari_medssl.io.slides.places import absolute_place

FORMAT = "napari-medssl hits"


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What was found.

    Attributes
    ----------
    hits
        Best first.
    slides
        Records of the slides, by fingerprint.
    recall
        See `index.SearchResult`.
    collection
        Name of the collection that was searched.
    remarks
        Lines for the person.
    stains
        Of each hit what the stain does for it, see `backend.stain_rank`; empty where that was not
        asked for. The hits are in the order without stain then.
    is_stain_driven
        True if more than half of the hits are due to stain.
    """

    hits: tuple[Hit, ...]
    slides: dict[str, SlideRecord]
    recall: float
    collection: str
    remarks: tuple[str, ...] = ()
    stains: tuple[HitStain | None, ...] = ()
    is_stain_driven: bool = False


def search_tiles(
    library: Place | None,
    query: Query,
    config: SearchConfig,
    *,
    engine: str = "",
    out: Path | None = None,
) -> SearchReport:
    """Find the tiles of a library that are most similar to a query, and write them.

    A place inside an indexed tile asks with that tile's embedding, and does not find that tile; any
    other place, and a picture, is embedded now, which needs the library's encoder.

    Parameters
    ----------
    library
        Folder of the library, or URL of one in an object store, whose copy is brought up to date
        first; None to search its mirror in an engine.
    query
        What to search for.
    config
        How.
    engine
        URL of the engine, see `backend.mirror_library`.
    out
        JSON file for the hits, written whole or not at all.

    Raises
    ------
    UserError
        If there is no library or engine, the query cannot be read or does not fit it, or `out`
        cannot be written.
    """
    check(config)
    _check_query(query, config)
    if out is not None:
        check_writable(out)
    collection, problems = _opened(library, engine, config)
    asked = QueryVector(collection, config)
    vector = asked.of_picture(query.image) if query.image else asked.of_place(query)
    records = {record.fingerprint: record for record in collection.slides}
    slides, patients = asked.excluded(records)
    result = collection.search(
        vector,
        config.top,
        exclude_slides=slides,
        exclude_patients=patients,
        exclude_tiles=[] if asked.tile is None else [asked.tile],
    )
    remarks = [*asked.remarks, *problems, *(reason for _, reason in collection.problems)]
    report = SearchReport(
        result.hits[0], records, result.recall, collection.set_up.name, tuple(remarks)
    )
    if config.stain and report.hits and isinstance(collection, SearchCollection):
        report = _without_stain(report, collection, vector, (asked.place(query), config))
    if out is not None:
        write_whole(out, json.dumps(_document(report, asked, query, collection), indent=1))
    return report


def _opened(
    library: Place | None, engine: str, config: SearchConfig
) -> tuple[Searchable, tuple[str, ...]]:
    """Return the library or the engine, and lines for the person."""
    if (library is None) == (not engine):
        raise UserError("Give either --library or --engine: where to search.")
    if library is not None:
        opened, problems = read_library(library)
        return open_collection(opened, config.encoder), problems
    if config.stain:
        raise UserError(
            "--stain asks the library itself, not an engine: give --library, or leave out --stain."
        )
    from napari_medssl.index.engine_search import open_engine

    return open_engine(engine, config.encoder), ()


def _without_stain(
    report: SearchReport,
    collection: SearchCollection,
    vector: NDArray[np.float32],
    asked: tuple[TilePlace, SearchConfig],
) -> SearchReport:
    """Return the report with its hits in the order without stain."""
    place, config = asked

    def place_of(tile: Tile) -> TilePlace:
        path = report.slides[tile.slide].path
        return TilePlace(tile.slide, (path,), (tile.x, tile.y, tile.size, tile.size), tile.size)

    question = ask_stain(collection, vector, [(place, True)], report.hits, place_of)
    given = config.encoder if Path(config.encoder).suffix else collection.encoder_given
    answer = check_stain(collection.set_up, given, question, config.device)
    remarks = list(report.remarks)
    if answer.problem:
        remarks.append(f"Hits that could not be read stand last. {answer.problem}")
    if answer.is_driven:
        remarks.append(
            f"{answer.due} of {len(report.hits)} hits are due to stain: they are in the stain of "
            "the query, and stand out by less than half once that is taken away."
        )
    return replace(
        report,
        hits=tuple(report.hits[number] for number in answer.order),
        stains=tuple(answer.hits[number] for number in answer.order),
        is_stain_driven=answer.is_driven,
        remarks=tuple(remarks),
    )


def _check_query(query: Query, config: SearchConfig) -> None:
    if (query.image is None) == (query.at is None):
        raise UserError("Give either --slide with --at X,Y, or --image.")
    if query.at is not None and not query.slide:
        raise UserError("--at says where on a slide: give the slide with --slide.")
    if query.image is not None and (query.slide or config.exclude_slide or config.exclude_patient):
        raise UserError(
            "A picture has no slide: leave out --slide, --exclude-slide and --exclude-patient."
        )


def _document(
    report: SearchReport, asked: QueryVector, query: Query, collection: Searchable
) -> dict[str, Any]:
    stains = report.stains or (None,) * len(report.hits)
    hits = [
        hit_values(hit, report.slides) | ({} if not report.stains else _stain_values(stain))
        for hit, stain in zip(report.hits, stains, strict=True)
    ]
    return {
        "format": FORMAT,
        "query": {
            "slide": absolute_place(query.slide) if query.slide else None,
            "at": None if query.at is None else list(query.at),
            "image": None if query.image is None else str(query.image.absolute()),
            "fingerprint": asked.slide or None,
            "tile": list(asked.square) if query.slide else None,
            "slide_mpp": asked.slide_mpp,
        },
        "encoder": collection.set_up.encoder,
        "encoder_given": collection.encoder_given,
        "collection": collection.set_up.to_json(),
        "recall": report.recall,
        **({"is_stain_driven": report.is_stain_driven} if report.stains else {}),
        "hits": hits,
    }


def _stain_values(stain: HitStain | None) -> dict[str, Any]:
    """Return similarity without stain, the stain's share and whether that is most of it."""
    if stain is None:
        return {"similarity_without_stain": None, "stain_share": None, "is_due_to_stain": None}
    return {
        "similarity_without_stain": round(stain.similarity, 6),
        "stain_share": round(stain.share, 6),
        "is_due_to_stain": stain.is_due,
    }


def hit_values(hit: Hit, slides: dict[str, SlideRecord]) -> dict[str, Any]:
    """Return a hit as JSON values: slide (its path), x, y, size, similarity, fingerprint."""
    tile = hit.tile
    return {
        "slide": slides[tile.slide].path,
        "x": tile.x,
        "y": tile.y,
        "size": tile.size,
        "similarity": round(hit.similarity, 6),
        "fingerprint": tile.slide,
    }
