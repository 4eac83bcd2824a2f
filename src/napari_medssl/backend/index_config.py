"""What to index slides with, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from napari_medssl.backend.config import option
from napari_medssl.backend.encoders import DEFAULT_ENCODER
from napari_medssl.backend.jobs import Cancelled


@dataclass(frozen=True)
class IndexConfig:
    """Index slides for search."""

    encoder: str = option(
        DEFAULT_ENCODER, help="Name of an encoder, or a file NAME.safetensors or NAME.onnx."
    )
    mpp: float | None = option(
        None,
        help="Resolution of the tiles; by default what the encoder is meant for, else 0.5.",
        min=0.05,
        max=100.0,
        unit="um/px",
    )
    size: int | None = option(
        None,
        help="Side of a tile in pixels of that resolution; by default what the encoder sees.",
        min=8,
        max=4096,
        unit="px",
    )
    overlap: float = option(
        0.0, help="Part of a tile's side that the next one shares.", min=0.0, max=0.9
    )
    min_tissue: float = option(
        0.5, help="Least part of a tile that is tissue; 0 takes all.", min=0.0, max=1.0
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
    reindex: bool = option(False, help="Index slides anew that are in the library already.")
    batch: int = option(32, help="Tiles that are embedded together.", min=1, max=4096)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(slots=True)
class IndexReport:
    """What `index_slides` did.

    Attributes
    ----------
    collection
        Name of the collection.
    indexed
        Paths of the slides that were written.
    skipped
        Paths of those that were there already.
    tiles
        Tiles that were embedded now.
    failures
        `(slide, reason)` of what was not indexed, and `(place, reason)` of tiles not read.
    remarks
        Lines for the person.
    recall
        Of the search from now on, see `index.SearchResult`.
    """

    collection: str
    indexed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    tiles: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    recall: float = 1.0


class IndexStopped(Cancelled):
    """Raised when indexing was asked to stop; `report` has what was done until then."""

    def __init__(self, text: str, report: IndexReport) -> None:
        super().__init__(text)
        self.report = report


@dataclass(slots=True)
class RemoveReport:
    """What `remove_slides` did: slides taken out, and `(slide, reason)` of those not there."""

    removed: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
