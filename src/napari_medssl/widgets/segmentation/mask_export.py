"""What takes longer to leave the widget: masks in other formats, the whole set, the methods."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.export_masks import ExportJob, ExportReport
from napari_medssl.backend.jobs import Job, OnProgress, ShouldStop
from napari_medssl.backend.mask_summary import SummaryJob
from napari_medssl.backend.methods_job import MethodsJob
from napari_medssl.backend.methods_text import config_place
from napari_medssl.io.files import make_folder
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets._waiting import wait_for
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import (
    ask_place,
    keys_with_mask,
    may_replace,
    record_of,
    to_export,
    to_measure,
)

_FORMATS = (
    ("tiff", "TIFF ...", "Class numbers with the size of a pixel, deflated"),
    (
        "nifti",
        "NIfTI ...",
        "Class numbers as STEM.nii.gz; one file for a volume, in its place",
    ),
    ("geojson", "GeoJSON, objects ...", "Outlines for QuPath, one for each object"),
    ("geojson-classes", "GeoJSON, classes ...", "Outlines for QuPath, one for each class"),
)


class MaskExport(Part):
    """Exports in the background, one thing after the other, with progress and Cancel.

    Parameters
    ----------
    session, layers
        What it works on, and what is painted into.
    parent
        Of questions and of the panel.
    """

    def __init__(self, session: MaskSession, layers: MaskLayers, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._layers = session, layers
        self._words: Callable[[Any], tuple[str, bool]] = _no_words
        self.jobs = JobPanel(parent, has_error_line=False)
        self.jobs.done.connect(self._on_done)
        self.jobs.failed.connect(self._on_failed)
        self.jobs.ended.connect(self._on_ended)

    def fill_menu(self, menu: QMenu) -> None:
        """Add what is exported, the formats in a menu of their own."""
        add_entry(
            menu,
            "Export whole set ...",
            "Write mean and standard deviation of each class over all images as CSV",
            self.ask_summary,
        )
        formats = QMenu("Export masks", menu)
        formats.setToolTip("Write the masks as TIFF, NIfTI or outlines for QuPath")
        self.fill_formats(formats)
        menu.addMenu(formats)
        add_entry(
            menu,
            "Methods ...",
            "Write a methods paragraph, and the config file that repeats the run",
            self.ask_methods,
        )

    def fill_formats(self, menu: QMenu) -> None:
        """Add an entry for each format."""
        for kind, title, tip in _FORMATS:
            add_entry(menu, title, tip, partial(self.ask, kind))

    # -- masks -----------------------------------------------------------------------------------

    def ask(self, kind: str) -> None:
        """Ask for a folder and write the masks there in a format."""
        name = QFileDialog.getExistingDirectory(self._parent, "Folder for the masks")
        if name:
            self.export(Path(name), kind)

    def export(self, out: Path, kind: str) -> None:
        """Write the masks in a format, see `to_export`; ask first if files are there."""
        try:
            self._check_free()
            keys = keys_with_mask(self._session, self._layers)
            masks = to_export(self._session, keys, out, kind)
            if not may_replace(self._parent, [one.place for one in masks], out):
                return
            wait_for(partial(make_folder, out))
        except UserError as error:
            self._refuse(error)
            return
        job = ExportJob(tuple(masks), kind)
        self._start(_export, job, "Exporting masks", partial(_told_of_masks, out))

    # -- the whole set ---------------------------------------------------------------------------

    def ask_summary(self) -> None:
        """Ask for a place and write each class over the whole set there."""
        title, kinds = "Export the whole set", "Table (*.csv)"
        place = ask_place(self._parent, title, "classes.csv", kinds)
        if place is not None:
            self.export_summary(place)

    def export_summary(self, out: Path) -> None:
        """Write each class over the whole set as CSV."""
        try:
            self._check_free()
            keys = keys_with_mask(self._session, self._layers)
        except UserError as error:
            self._refuse(error)
            return
        masks = tuple(to_measure(self._session, key, with_view=False) for key in keys)
        words = partial(_told_of, f"Classes of {_images(len(keys))} written to {out}.")
        self._start(_summarize, SummaryJob(masks, out), "Measuring the set", words)

    # -- methods ---------------------------------------------------------------------------------

    def ask_methods(self) -> None:
        """Ask for a place and write the methods paragraph and its config there."""
        kinds = "Text (*.md *.txt)"
        place = ask_place(self._parent, "Methods paragraph", "methods.md", kinds)
        if place is not None:
            self.write_methods(place)

    def write_methods(self, out: Path) -> None:
        """Write how the masks were made, and the config beside it."""
        try:
            self._check_free()
            config = config_place(out)
            if config == out:
                raise UserError(
                    f"{out.name!r} is to be a text, and its config {config.name!r} lies beside it. "
                    "Give a name that ends in .md."
                )
            keys = keys_with_mask(self._session, self._layers)
            if config.exists() and not may_replace(self._parent, [config], out.parent):
                return
        except UserError as error:
            self._refuse(error)
            return
        records = tuple(record_of(self._session, key) for key in keys)
        job = MethodsJob(records, len(self._session.store) - len(keys), out)
        words = partial(_told_of, f"Methods written to {out}, the config to {config.name}.")
        self._start(_write_methods, job, "Writing the methods", words)

    # -- inside ----------------------------------------------------------------------------------

    def _check_free(self) -> None:
        if self.jobs.is_busy:
            raise UserError("Something is being exported. Wait, or press Cancel.")

    def _start(
        self,
        work: Callable[..., Any],
        job: Any,
        title: str,
        words: Callable[[Any], tuple[str, bool]],
    ) -> None:
        self._words = words
        self.told.emit("", False)
        self.jobs.start(work, job, title=title)

    def _on_done(self, result: Any) -> None:
        self.told.emit(*self._words(result))

    def _on_failed(self, text: str) -> None:
        self.told.emit(text, True)

    def _on_ended(self, job: Job) -> None:
        if job.state == "cancelled":
            self.told.emit("Stopped; nothing was written.", False)


def _export(job: ExportJob, *, on_progress: OnProgress, should_stop: ShouldStop) -> ExportReport:
    """Write masks in the compute process: outlines of millions of corners hold Python's lock."""
    report: ExportReport = compute_process().call(
        "napari_medssl.backend.export_masks:export_masks",
        job,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return report


def _summarize(job: SummaryJob, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    """Measure masks in the compute process; Cancelled writes nothing."""
    compute_process().call(
        "napari_medssl.backend.mask_summary:measure_summary",
        job,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def _write_methods(job: MethodsJob, *, on_progress: OnProgress, should_stop: ShouldStop) -> None:
    """Write the paragraph and its config in the compute process."""
    compute_process().call(
        "napari_medssl.backend.methods_job:tell_methods",
        job,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def _told_of_masks(out: Path, report: ExportReport) -> tuple[str, bool]:
    written = f"{len(report.written)} mask{'s' * (len(report.written) != 1)} written to {out}."
    if report.bare:
        written += f" {report.bare} slice{'s' * (report.bare != 1)} without a mask: empty there."
    words = f"Stopped. {written}" if report.left else written
    if not report.failures:
        return words, False
    return f"{words} {len(report.failures)} failed: {report.failures[0][1]}", True


def _told_of(words: str, _result: object) -> tuple[str, bool]:
    return words, False


def _no_words(_result: object) -> tuple[str, bool]:
    return "", False


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"
