"""Index one slide into a library, in the compute process, with a config like that of the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.jobs import OnProgress, ShouldStop
from napari_medssl.backend.patients import read_patients
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.widgets.similar.slide_places import file_name

LIVE = "napari_medssl.backend.index_live:"
"""Where the functions of the compute process are."""


@dataclass(frozen=True)
class IndexTask:
    """A slide to be indexed: its path, where to, with what."""

    source: str
    library: Path
    config: IndexConfig


def index_slide(
    task: IndexTask, *, on_progress: OnProgress, should_stop: ShouldStop
) -> IndexReport:
    """Index a slide in the compute process; raises as `backend.index_slides.index_slides`.

    A remark says if nobody told whose the slide is, though a table or a rule was given.
    """
    Library.open(task.library)  # refused where it is gone: it is open, so none is to be made
    table, rule = task.config.patients, task.config.patient_rule
    if table is not None or rule:
        patients = read_patients(table, rule)  # refused before anything is embedded
    report: IndexReport = compute_process().call(
        f"{LIVE}index_in_view",
        [task.source],
        task.library,
        task.config,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    if (table is not None or rule) and not patients.of(task.source):
        said_by = "The rule" if table is None else f"The table {table.name!r}"
        report.remarks.append(f"{said_by} does not say whose {file_name(task.source)!r} is.")
    return report


def has_collection(library: Library) -> bool:
    """Say whether a library holds a collection by now; blocks."""
    return bool(library.collections)


def config_like(folder: CollectionFolder) -> IndexConfig:
    """Return what indexes a slide into a collection."""
    set_up = folder.set_up
    return IndexConfig(
        encoder=folder.encoder_given,
        mpp=set_up.mpp,
        size=set_up.size,
        overlap=set_up.overlap,
        min_tissue=set_up.min_tissue,
    )
