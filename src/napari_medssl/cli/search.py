"""`medssl search`: the tiles of a library that look like one tile or picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.search_query import Query, SearchConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "search",
        epilog="Example: medssl search --library biopsies --slide a.svs --at 12000,8000 "
        "--exclude-slide --out hits.json",
    )(search)


@with_config(SearchConfig)
def search(
    out: Annotated[Path, typer.Option(help="The hits: a JSON file.", metavar="HITS.json")],
    config: SearchConfig,
    library: Annotated[
        str,
        typer.Option(help="Library: a folder, or s3://, gs:// or az://...", metavar="DIR|URL"),
    ] = "",
    engine: Annotated[
        str,
        typer.Option(help="Instead: where `medssl mirror` has put the library.", metavar="URL"),
    ] = "",
    slide: Annotated[str, typer.Option(help="Slide with the tile to search for.")] = "",
    at: Annotated[
        str, typer.Option(help="Where on it, in pixels of the full size.", metavar="X,Y")
    ] = "",
    image: Annotated[
        Path | None, typer.Option(help="Picture of a tile to search for.", metavar="T.png")
    ] = None,
) -> None:
    """Find the tiles of a library that are most similar to a tile of a slide, or to a picture.

    Each hit has its slide, x, y and size in pixels of the full size, and its similarity, the cosine
    from -1 to 1. The tile that is asked for is not among them.
    """
    from napari_medssl.backend.search_tiles import search_tiles

    inputs = [Path(slide)] if slide else []
    check_output(out, "--out", [*inputs, *([image] if image else [])])
    query = Query(slide, _point(at) if at else None, image)
    report = search_tiles(library or None, query, config, engine=engine, out=out)
    for line in report.remarks:
        _console.warn(line)
    if not report.hits:
        _console.warn("Nothing was found: no other tile is left to search in.")
    how = "exact" if report.recall == 1.0 else f"recall {report.recall:.3f}"
    _console.note(
        f"{_console.counted(len(report.hits), 'hit')} in {report.collection} ({how}) written to "
        f"{_console.escape_name(str(out))}"
    )


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
        if math.isfinite(x) and math.isfinite(y):
            return x, y
    except ValueError:
        pass
    raise UserError(f"--at is {text!r}; due are two numbers, such as 12000,8000.")
