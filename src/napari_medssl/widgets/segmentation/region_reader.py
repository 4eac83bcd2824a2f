"""Read regions of slides into the set off the GUI thread, with progress and Cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Job, OnProgress, ShouldStop
from napari_medssl.backend.slide_regions import SlideRegion, write_regions
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._image_sets import Make
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_files import SetFiles


@dataclass(frozen=True)
class _Asked:
    """The set that regions are read for, how many they are, and what is called at the end."""

    folder: MaskFolder | None
    count: int
    done: Callable[[Sequence[MaskImage]], object]
    refuse: Callable[[BaseException], object]


class RegionReader(Part):
    """Writes regions into the set as pictures; cancelled, it adds those that are finished.

    Parameters
    ----------
    session, files
        The set, and what adds to it.
    parent
        Of the panel.
    """

    def __init__(self, session: MaskSession, files: SetFiles, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._files = session, files
        self._asked: _Asked | None = None
        self.jobs = JobPanel(parent, has_error_line=False)
        self.jobs.ended.connect(self._on_ended)
        self.jobs.hide()  # idle it would still take the space between two parts
        session.set_changed.connect(self._on_set)

    def add(
        self,
        regions: Sequence[SlideRegion],
        um: float,
        then: Callable[[Sequence[MaskImage]], object],
    ) -> None:
        """Read regions with pixels of a size, and call `then` with those that are in the set."""
        self.told.emit("", False)
        make = partial(_images_of, tuple(regions), um)
        self._files.add_made("regions", make, then, partial(self._read, len(regions)))

    def close(self) -> None:
        """Stop reading; nothing is added any more."""
        self._asked = None
        self.jobs.cancel()

    # -- inside ----------------------------------------------------------------------------------

    def _read(
        self,
        count: int,
        make: Make,
        folder: Path,
        done: Callable[[Sequence[MaskImage]], object],
        refuse: Callable[[BaseException], object],
    ) -> None:
        """Read `count` regions in a job, as `_image_sets.Run` says."""
        self._asked = _Asked(self._session.folder, count, done, refuse)
        self.jobs.start(make, folder, title="Reading the slide")
        self.jobs.show()

    def _on_ended(self, job: Job) -> None:
        self.jobs.hide()
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if job.state == "failed":
            asked.refuse(UserError(job.error))
            return
        images = job.result or ()
        asked.done(images)
        if len(images) < asked.count and self._session.folder is asked.folder:
            self.told.emit(_told_of_stop(len(images), asked.count), False)

    def _on_set(self) -> None:
        if self._asked is not None and self._session.folder is not self._asked.folder:
            self.jobs.cancel()


def _images_of(
    regions: Sequence[SlideRegion],
    um: float,
    folder: Path,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> list[MaskImage]:
    pictures = write_regions(regions, um, folder, on_progress=on_progress, should_stop=should_stop)
    return [
        MaskImage(
            made.name,
            str(made.path),
            spacing_mm=made.record.spacing_mm,
            scale=made.record.scale,
            translate=made.record.translate,
        )
        for made in pictures
    ]


def _told_of_stop(done: int, count: int) -> str:
    if not done:
        return "Stopped; no region was added."
    return f"Stopped. {done} of {count} regions {'is' if done == 1 else 'are'} in the set."
