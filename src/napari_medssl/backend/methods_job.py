"""Write the methods of a set of masks for a window: called in the compute process.

The versions of what it computes with are read from long files, which would hold the window up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.methods_record import MaskRecord
from napari_medssl.backend.methods_text import methods_of, write_methods


@dataclass(frozen=True, slots=True)
class MethodsJob:
    """Masks to tell of, how many images have none, and the text to write."""

    records: tuple[MaskRecord, ...]
    lacking: int
    out: Path


def tell_methods(
    job: MethodsJob, *, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
) -> None:
    """Write the paragraph and its config.

    Raises
    ------
    UserError
        If there is no mask, or one of the two cannot be written.
    """
    on_progress(Progress(0, None, "reading the cards of the models"))
    write_methods(job.out, methods_of(job.records, lacking=job.lacking))
