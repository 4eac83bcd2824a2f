"""The rows of a map from files of features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.feature_rows import unit_features
from napari_medssl.backend.map_pictures import (
    NamedPictures,
    RowPictures,
    SlidePlace,
    TilePictures,
)
from napari_medssl.backend.map_rows import FOLDER_COLUMN, MapSource, check_rows, folder_column
from napari_medssl.io.feature_table import FeatureTable, read_features
from napari_medssl.io.sniff import PICTURE_SUFFIXES

_TRIED = 50  # names that a folder is tried with


def feature_files(folder: Path) -> list[Path]:
    """Return the h5 files of a folder that has no pictures, one for each slide."""
    entries = sorted(folder.iterdir())
    if any(path.suffix.lower() in PICTURE_SUFFIXES for path in entries):
        return []
    return [path for path in entries if path.suffix.lower() in (".h5", ".hdf5")]


def source_of_features(
    files: Sequence[Path], pictures: Path | None = None, slides: Path | None = None
) -> MapSource:
    """Return the rows of files of features.

    Parameters
    ----------
    files
        One file, or several h5 files of one encoder.
    pictures
        Folder of the pictures that are named; by default looked for beside the file.
    slides
        Folder of the slides that h5 files are of.

    Raises
    ------
    UserError
        As `read_features`, `unit_features` and `check_rows` do, or if the files do not fit.
    """
    place = str(files[0] if len(files) == 1 else files[0].parent)
    tables = [read_features(path) for path in files]
    table = unit_features(_joined(tables, files), place)
    columns = dict(table.columns)
    found: RowPictures
    if tables[0].tiles is not None:
        found = _tiles(tables, files, slides)
    else:
        found = NamedPictures(table.names, pictures or _folder_of(table.names, files[0]))
        if any("/" in name for name in table.names):
            columns.setdefault(FOLDER_COLUMN, folder_column(table.names, ""))
    return check_rows(MapSource(table.names, table.features, columns, found, table.by), place)


def _joined(tables: Sequence[FeatureTable], files: Sequence[Path]) -> FeatureTable:
    first = tables[0]
    if len(tables) == 1:
        return first
    for table, path in zip(tables, files, strict=True):
        if table.features.shape[1] != first.features.shape[1]:
            raise UserError(
                f"{path.name!r} has {table.features.shape[1]} dimensions, {files[0].name!r} has "
                f"{first.features.shape[1]}. Give files of one encoder."
            )
    shared = [name for name in first.columns if all(name in table.columns for table in tables)]
    return FeatureTable(
        tuple(name for table in tables for name in table.names),
        np.concatenate([table.features for table in tables]),
        first.by,
        {name: np.concatenate([table.columns[name] for table in tables]) for name in shared},
    )


def _tiles(
    tables: Sequence[FeatureTable], files: Sequence[Path], slides: Path | None
) -> TilePictures:
    found: dict[str, str] = {}
    if slides is not None:
        from napari_medssl.io.slides.finding import find_slides

        for path in find_slides(slides):
            found.setdefault(Path(path).stem, path)
            found.setdefault(Path(path).name, path)
    tiles = [table.tiles for table in tables if table.tiles is not None]
    counts = [len(one.locations) for one in tiles]
    places = [
        SlidePlace(found.get(path.stem, found.get(one.slide, "")), "", path.stem)
        for path, one in zip(files, tiles, strict=True)
    ]
    return TilePictures(
        places,
        np.repeat(np.arange(len(tiles), dtype=np.int32), counts),
        np.concatenate([one.locations for one in tiles]),
        np.repeat(np.array([one.size or 0 for one in tiles], np.int64), counts),
    )


def _folder_of(names: Sequence[str], path: Path) -> Path | None:
    """Return the folder beside a file in which the pictures are that it names, None for none."""
    tried = names[:: max(1, len(names) // _TRIED)]
    for folder in (path.parent, path.with_suffix(""), path.parent.parent):
        if any(NamedPictures(tried, folder).is_there(row) for row in range(len(tried))):
            return folder
    return None
