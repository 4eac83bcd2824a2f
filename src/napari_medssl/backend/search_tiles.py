"""Search a library for tiles that look like a tile of a slide, or like a picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check
from napari_medssl.backend.search_query import Query, QueryVector, SearchConfig
from napari_medssl.index.collection import SearchCollection, open_collection
from napari_medssl.index.results import Hit
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.io.files import check_writable, write_whole

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
    """

    hits: tuple[Hit, ...]
    slides: dict[str, SlideRecord]
    recall: float
    collection: str
    remarks: tuple[str, ...] = ()


def search_tiles(
    library: Path, query: Query, config: SearchConfig, *, out: Path | None = None
) -> SearchReport:
    """Find the tiles of a library that are most similar to a query, and write them.

    A place inside an indexed tile asks with that tile's embedding, and does not find that tile; any
    other place, and a picture, is embedded now, which needs the library's encoder.

    Parameters
    ----------
    library
        Folder of the library.
    query
        What to search for.
    config
        How.
    out
        JSON file for the hits, written whole or not at all.

    Raises
    ------
    UserError
        If there is no library, the query cannot be read or does not fit it, or `out` cannot be
        written.
    """
    check(config)
    _check_query(query, config)
    if out is not None:
        check_writable(out)
    collection = open_collection(library, config.encoder)
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
    remarks = [*asked.remarks, *(reason for _, reason in collection.problems)]
    report = SearchReport(
        result.hits[0], records, result.recall, collection.set_up.name, tuple(remarks)
    )
    if out is not None:
        write_whole(out, json.dumps(_document(report, query, collection), indent=1))
    return report


def _check_query(query: Query, config: SearchConfig) -> None:
    if (query.image is None) == (query.at is None):
        raise UserError("Give either --slide with --at X,Y, or --image.")
    if query.at is not None and not query.slide:
        raise UserError("--at says where on a slide: give the slide with --slide.")
    if query.image is not None and (query.slide or config.exclude_slide or config.exclude_patient):
        raise UserError(
            "A picture has no slide: leave out --slide, --exclude-slide and --exclude-patient."
        )


def _document(report: SearchReport, query: Query, collection: SearchCollection) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "query": {
            "slide": query.slide or None,
            "at": None if query.at is None else list(query.at),
            "image": None if query.image is None else str(query.image),
        },
        "encoder": collection.set_up.encoder,
        "collection": asdict(collection.set_up),
        "recall": report.recall,
        "hits": [hit_values(hit, report.slides) for hit in report.hits],
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
