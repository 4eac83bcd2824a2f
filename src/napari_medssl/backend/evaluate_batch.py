"""Score how far a table of embeddings tells the slide, scanner or site of a picture."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_folder import ClusterConfig, embed_pictures
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.map_batch import BatchEffect, check_batch
from napari_medssl.io.csv_files import bare_text
from napari_medssl.io.limits import one_line


@dataclass(frozen=True)
class EvaluateBatchConfig:
    """Score how far embeddings tell where a picture comes from."""

    data: Path = option(help="A Parquet file of `medssl embed`.")
    groups: Path = option(help="A CSV file with the columns image and group.")
    column: str = option("group", help="The column of the groups, such as slide or scanner.")
    seed: int = option(0, help="Of the rows and folds that are drawn.", min=0)


def evaluate_batch(
    config: EvaluateBatchConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> BatchEffect:
    """Return the batch effect in the embeddings of a table.

    Raises
    ------
    UserError
        If a file cannot be read, or a picture has no group.
    Cancelled
        If it was asked to stop.
    """
    check(config)
    if config.data.suffix.lower() != ".parquet":
        raise UserError(
            f"--data {str(config.data)!r} is no Parquet file. Make one with `medssl embed`."
        )
    found = embed_pictures([config.data], ClusterConfig(), should_stop=should_stop)
    groups = _groups(config.groups, config.column)
    missing = [name for name in found.names if name not in groups]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(found.names)} pictures have no row in "
            f"{str(config.groups)!r}, the first is {missing[0]!r}. Add them; a group may be empty."
        )
    return check_batch(
        found.embeddings,
        [groups[name] for name in found.names],
        seed=config.seed,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def _groups(path: Path, column: str) -> dict[str, str]:
    """Return the group of each image of a CSV file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            known = rows.fieldnames or []
            if "image" not in known or column not in known:
                raise UserError(
                    f"{str(path)!r} has the columns {', '.join(known) or 'of nothing'}; due are "
                    f"image and {column}. Name the column of the groups with --column."
                )
            return _by_image(rows, column, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"Cannot read the groups in {str(path)!r} ({one_line(error)}). Give a CSV file, UTF-8."
        ) from error


def _by_image(rows: csv.DictReader[str], column: str, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        # A line that is cut short has no value at all.
        image, group = bare_text(row["image"] or ""), bare_text((row[column] or "").strip())
        if found.setdefault(image, group) != group:
            raise UserError(
                f"{str(path)!r} gives {image!r} two groups, {found[image]!r} and {group!r}. Leave "
                "one row of each image."
            )
    return found
