"""Make a map of pictures as a table: places, and how far to trust each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_folder import ClusterConfig, EmbeddedPictures, embed_pictures
from napari_medssl.backend.config import check, option, to_json
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.map_layout import (
    GRAPH_NEIGHBOURS,
    LayoutConfig,
    lay_out,
    neighbours_of,
)
from napari_medssl.backend.map_trust import Trust, trust_of
from napari_medssl.io.csv_files import write_table_csv
from napari_medssl.io.files import check_writable, replace_whole

COLUMNS = ("image", "x", "y", "trustworthiness", "continuity", "torn", "false")

_ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class MapConfig(LayoutConfig):
    """Lay pictures out on a map, so that those that look alike are near."""

    encoder: str = option(
        "views",
        help="views fits ImageNet's features to these pictures; or one of `medssl embed`.",
    )
    recursive: bool = option(True, help="Also look into the folders of a folder.")
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class MapReport:
    """What `map_pictures` made: the pictures, their places (N, 2), and the trust of each.

    `recall` is the part of their true neighbours that all of it is made with, 1 for all.
    """

    pictures: EmbeddedPictures
    places: NDArray[np.float32]
    trust: Trust
    recall: float


def map_pictures(
    inputs: Sequence[Path],
    out: Path,
    config: MapConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> MapReport:
    """Lay pictures out and write a table of `COLUMNS`.

    Parameters
    ----------
    inputs
        Pictures and folders, or one Parquet file of `medssl embed`.
    out
        A CSV or Parquet file; written at the end, whole or not at all. In CSV, names that a
        spreadsheet would take for formulas get an apostrophe. Parquet holds the
        settings too, as JSON in its metadata under `napari-medssl-map`.
    config
        How.

    Raises
    ------
    UserError
        If there is nothing to lay out, or nothing can be written.
    Cancelled
        If it was asked to stop; nothing is written then.
    """
    check(config)
    if out.suffix.lower() not in _ENDINGS:
        raise UserError(f"--out {str(out)!r} is neither .csv nor .parquet. Give one of them.")
    check_writable(out)
    embed = ClusterConfig(
        encoder=config.encoder,
        recursive=config.recursive,
        seed=config.seed,
        device=config.device,
    )
    found = embed_pictures(inputs, embed, on_progress=on_progress, should_stop=should_stop)
    k = max(GRAPH_NEIGHBOURS, config.neighbours - 1)
    graph = neighbours_of(found.embeddings, k, on_progress=on_progress, should_stop=should_stop)
    places = lay_out(
        found.embeddings, graph, config, on_progress=on_progress, should_stop=should_stop
    )
    on_progress(Progress(0, None, "comparing the map with the embeddings"))
    trust = trust_of(found.embeddings, graph, places, should_stop=should_stop)
    report = MapReport(found, places, trust, graph.recall)
    _write(out, report, config)
    return report


def _write(out: Path, report: MapReport, config: MapConfig) -> None:
    import json

    import pyarrow as arrow
    from pyarrow import parquet

    trust = report.trust
    values = (
        report.places[:, 0],
        report.places[:, 1],
        trust.trustworthiness,
        trust.continuity,
        trust.torn,
        trust.false,
    )
    # Names of files need not be valid text.
    names = [name.encode("utf-8", "backslashreplace").decode() for name in report.pictures.names]
    columns = [arrow.array(names), *(arrow.array(each.round(5)) for each in values)]
    about = json.dumps({"format": 1, "settings": to_json(config), "by": report.pictures.by})
    if out.suffix.lower() == ".csv":
        write_table_csv(out, dict(zip(COLUMNS, columns, strict=True)))
        return
    table = arrow.Table.from_arrays(
        columns, names=list(COLUMNS), metadata={"napari-medssl-map": about}
    )
    with replace_whole(out) as temporary:
        parquet.write_table(table, temporary, compression="zstd")
