"""`medssl why`: which patches of a query and of a hit make them alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.explain_files import ExplainConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_output


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("why", epilog="Example: medssl why --hits hits.json --rank 3 --out why.png")(why)


@with_config(ExplainConfig)
def why(
    out: Annotated[
        Path, typer.Option(help="A picture .png, or the values as .json.", metavar="WHY.png")
    ],
    config: ExplainConfig,
    hits: Annotated[
        Path | None, typer.Option(help="What `medssl search` found.", metavar="HITS.json")
    ] = None,
    rank: Annotated[int, typer.Option(help="Which of the hits, from 1.")] = 1,
    query: Annotated[
        Path | None, typer.Option(help="Picture of a tile, instead of hits.", metavar="A.png")
    ] = None,
    hit: Annotated[
        Path | None, typer.Option(help="Picture to compare it with.", metavar="B.png")
    ] = None,
) -> None:
    """Show why two tiles are alike: patches that correspond, numbered on both.

    Each pair has the cosine of its patches and what they bring to the similarity of the tiles;
    over all patches of a tile this sums up to the similarity.
    """
    from napari_medssl.backend.explain_files import explain_pictures, explain_search
    from napari_medssl.backend.match_pictures import summary

    check_output(out, "--out", [one for one in (hits, query, hit) if one is not None])
    if hits is not None and query is None and hit is None:
        made = explain_search(hits, rank, config, out=out)
    elif hits is None and query is not None and hit is not None:
        made = explain_pictures(query, hit, config, out=out)
    else:
        raise UserError("Give either --hits HITS.json, or two pictures with --query and --hit.")
    _console.note(f"{summary(made)}; written to {_console.escape_name(str(out))}")
