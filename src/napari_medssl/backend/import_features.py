"""Take embeddings that other tools made into a library: h5 files of TRIDENT and CLAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.encoders import list_encoders, unit_length
from napari_medssl.backend.index_slides import bring_up_to_date
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.library_place import Place, WrittenLibrary, written_library
from napari_medssl.backend.patients import Patients, read_patients
from napari_medssl.backend.tiles import TilesConfig, slide_mpp
from napari_medssl.index.arrays import TILE, TileRows, shard_rows
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter
from napari_medssl.index.tile_order import compact_order
from napari_medssl.io.slides import Slide, open_slide
from napari_medssl.io.tile_h5 import TileH5, read_tile_h5

_NOMINAL = 10.0  # microns per pixel at 1x, as tools that speak of magnifications have it


@dataclass(frozen=True)
class ImportFeaturesConfig:
    """Take embeddings of TRIDENT or CLAM into a library."""

    name: str = option(
        "", help="Name of the encoder that made them; by default what the files say."
    )
    size: int | None = option(
        None,
        help="Side of a tile in level-0 pixels, where files do not say (CLAM's features).",
        min=1,
        max=1_000_000,
        unit="px",
    )
    mpp: float | None = option(
        None,
        help="Resolution of the tiles; by default that of the nearest usual magnification.",
        min=0.01,
        max=1000.0,
        unit="um/px",
    )
    slide_mpp: float | None = option(
        None,
        help="Microns per pixel of the slides at full size, where the files do not say.",
        min=0.005,
        max=1000.0,
        unit="um/px",
    )
    patients: Path | None = option(
        None, help="CSV file with the columns slide (file name) and patient."
    )
    patient_rule: str = option(
        "", help="Regular expression whose first group is the patient in a slide's file name."
    )


@dataclass(slots=True)
class ImportReport:
    """What `import_features` did: files taken, tiles, collections, `(file, reason)` of others."""

    taken: list[str] = field(default_factory=list)
    tiles: int = 0
    collections: set[str] = field(default_factory=set)
    failures: list[tuple[str, str]] = field(default_factory=list)


def import_features(
    files: Sequence[Path],
    slides: Sequence[str],
    library: Place,
    config: ImportFeaturesConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ImportReport:
    """Add the tiles of h5 files to a library; a slide that has them already is replaced.

    Parameters
    ----------
    files
        Files of features, one for each slide.
    slides
        Paths or URLs, among which that of a file is found by its name.
    library
        Folder of the library, or URL of one in an object store; made if missing.

    Raises
    ------
    UserError
        If the name is one of our encoders, or the library cannot be written.
    Cancelled
        If it was asked to stop; the slides before are in the library.
    """
    check(config)
    if config.name in list_encoders():
        raise UserError(
            f"--name {config.name!r} is an encoder of this program. Give these embeddings the name "
            "of the encoder that made them."
        )
    patients = read_patients(config.patients, config.patient_rule)
    by_name = {Path(slide).name: slide for slide in slides}
    by_name |= {Path(slide).stem: slide for slide in slides}
    report = ImportReport()
    with written_library(
        library, make=True, on_progress=on_progress, should_stop=should_stop
    ) as held:
        for number, path in enumerate(files):
            on_progress(Progress(number, len(files), path.name))
            if should_stop():
                raise Cancelled(f"Stopped after {number} of {len(files)} files; those are taken.")
            try:
                _add(held, path, by_name, patients, config, report)
            except UserError as error:
                report.failures.append((str(path), str(error)))
        for collection in held.library.collections:
            if collection.set_up.name in report.collections:
                bring_up_to_date(collection, on_progress, should_stop)
    return report


def _add(
    held: WrittenLibrary,
    path: Path,
    by_name: Mapping[str, str],
    patients: Patients,
    config: ImportFeaturesConfig,
    report: ImportReport,
) -> None:
    tiles = read_tile_h5(path)
    if tiles.embeddings is None:
        raise UserError(
            f"{path.name!r} holds places of tiles but no features. Give the files of features."
        )
    slide_path = by_name.get(path.stem) or by_name.get(tiles.slide)
    if slide_path is None:
        raise UserError(
            f"No slide is named {path.stem!r}. Give it with --slides: the library shows its tiles."
        )
    with open_slide(slide_path) as slide:
        set_up, rows, embeddings = _fitted(slide, tiles, path, config)
        mpp = slide_mpp(slide, TilesConfig(slide_mpp=config.slide_mpp))
        place = slide.source or slide_path
        record = SlideRecord(slide.fingerprint, place, patients.of(place), slide.dimensions, mpp)
    collection = held.library.make_collection(set_up, set_up.encoder)
    folder = collection.slide_folder(record.fingerprint)
    with SlideWriter(folder, record, set_up, lambda: rows) as writer:
        # Tiles of an earlier run of another file may have been taken up: write all anew then.
        if not np.array_equal(writer.tiles, rows):
            raise UserError(
                f"Another import of {path.name!r} was broken off with other tiles. Delete "
                f"{folder.name + '.partial'!r} of the library and give the command again."
            )
        for shard in writer.todo:
            writer.write(shard, embeddings[shard_rows(shard, len(rows))])
        writer.finish()
    held.publish(collection, record.fingerprint)
    report.taken.append(str(path))
    report.tiles += len(rows)
    report.collections.add(set_up.name)


def _fitted(
    slide: Slide, tiles: TileH5, path: Path, config: ImportFeaturesConfig
) -> tuple[SetUp, TileRows, NDArray[np.float32]]:
    """Return the set-up, the rows of the table and their unit-length embeddings, checked."""
    size = tiles.size or config.size
    if size is None:
        raise UserError(
            f"{path.name!r} does not say how large its tiles are. Give the side of a tile in "
            "level-0 pixels with --size."
        )
    assert tiles.embeddings is not None
    low, high = tiles.locations.min(axis=0, initial=0), tiles.locations.max(axis=0, initial=0)
    if (low < 0).any() or (high >= slide.dimensions).any():
        raise UserError(
            f"{path.name!r} has tiles up to x {high[0]}, y {high[1]}, outside the slide "
            f"{slide.name!r} of {slide.dimensions[0]} x {slide.dimensions[1]} pixels. "
            "It is of another slide."
        )
    if len(np.unique(tiles.locations, axis=0)) != len(tiles.locations):
        raise UserError(f"{path.name!r} has several tiles at one place. Extract them again.")
    pixels = tiles.pixels or size
    exact = slide_mpp(slide, TilesConfig(slide_mpp=config.slide_mpp)) * size / pixels
    set_up = SetUp(
        encoder=config.name or tiles.encoder or path.parent.name or "imported",
        sha256="",
        dim=tiles.embeddings.shape[1],
        pixels=pixels,
        mpp=config.mpp or _usual_mpp(exact),
        size=pixels,
        min_tissue=0.0,
    )
    order = compact_order(tiles.locations, size)
    rows = np.zeros(len(order), TILE)
    rows["x"], rows["y"] = tiles.locations[order].T
    rows["size"], rows["tissue"] = size, 1.0  # the other tool found them to be tissue
    return set_up, rows, unit_length(tiles.embeddings[order])


def _usual_mpp(mpp: float) -> float:
    """Return that of the nearest usual magnification: slides of one lab differ by a little."""
    power = round(np.log2(_NOMINAL / 40 / mpp))
    return float(_NOMINAL / 40 / 2.0**power)
