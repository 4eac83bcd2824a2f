"""Index the slide in front into the library that is open, what is in view first."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.jobs import Job
from napari_medssl.index.arrays import SHARD_ROWS
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import PushButton
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.similar.index_task import (
    LIVE,
    IndexTask,
    config_like,
    has_collection,
    index_slide,
)
from napari_medssl.widgets.similar.mpp_box import NO_MPP, MppBox
from napari_medssl.widgets.similar.patient_field import PatientField
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces
from napari_medssl.widgets.slides.camera import viewport

_NEW = "Another set-up ..."
_LOOK_EVERY_MS = 500
_SHOWN = ("encoder", "mpp", "size")
_USUAL_MPP, _USUAL_SIZE = 0.5, 224  # where one begins who chooses them by hand


class IndexPanel(QWidget):
    """Says whether the slide in front is in the library, and indexes it.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    indexed
        A slide came to the library; the argument is the name of its collection.
    growing
        The fingerprint of the slide that is being indexed from now on, "" for none.
    begun
        The library that was empty holds a collection now, whose first slide is being indexed.
    """

    told = Signal(str, bool)
    indexed = Signal(str)
    growing = Signal(str)
    begun = Signal()

    def __init__(self, viewer: Any, session: SimilarSession, places: SlidePlaces) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self._places = places
        self._source = ""
        self._indexing: tuple[ShownSlide, Path] | None = None
        self.background = Background("medssl-similar-look", self)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setToolTip("Whether the slide in front can be searched")
        self.into = QComboBox()
        self.into.setToolTip("With which encoder and which tiles the slide is indexed")
        self.into.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.into.currentIndexChanged.connect(self._on_into)
        skip = tuple(name for name in IndexConfig.__dataclass_fields__ if name not in _SHOWN)
        self.form: ConfigForm[IndexConfig] = ConfigForm(IndexConfig, skip=skip)
        self.mpp = MppBox()
        self.mpp.valueChanged.connect(self._on_mpp)
        self.form.suggest("mpp", _USUAL_MPP)
        self.form.suggest("size", _USUAL_SIZE)
        self.patients = PatientField()
        self.button = PushButton(
            "Index this slide",
            "Embed all tiles with tissue of the slide in front, those in view first",
            self.index_front,
        )
        self.jobs = JobPanel(self, shown=places.masked_text)
        self.jobs.done.connect(self._on_done)
        self.jobs.ended.connect(self._on_ended)
        self._looks = QTimer(self)
        self._looks.setInterval(_LOOK_EVERY_MS)
        self._looks.timeout.connect(self._look)
        self.rows = QFormLayout()
        self.rows.addRow("Slide has", self.mpp)
        self.rows.addRow("Into", self.into)
        self.rows.addRow("Patient", self.patients)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.state)
        layout.addLayout(self.rows)
        layout.addWidget(self.form)
        layout.addStretch(1)
        area = QScrollArea()  # on a low window rows would be laid over each other
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area, 1)
        for below in (self.button, self.jobs):  # never scrolled away: what begins, ends and stops
            whole.addWidget(below)
        session.library_changed.connect(self._fill)
        session.slides_changed.connect(self._fill)
        places.front_changed.connect(self.show_state)
        places.masked_changed.connect(self.show_state)
        self._fill()

    def _fill(self) -> None:
        former = self.into.currentData()
        self.into.clear()
        for folder in self._session.folders:
            set_up = folder.set_up
            words = f"{set_up.encoder} · {set_up.mpp:g} µm/px · {set_up.size} px"
            self.into.addItem(words, set_up.name)
        self.into.addItem(_NEW, "")
        collection = self._session.collection
        wanted = former if collection is None else collection.set_up.name
        self.into.setCurrentIndex(max(0, self.into.findData(wanted)))
        self._on_into()
        self.show_state()

    def _on_into(self, _row: int = 0) -> None:
        self.form.setVisible(not self.into.currentData())

    def show_state(self) -> None:
        """Say whether the slide in front is in the collection."""
        front, library = self._places.front, self._session.library
        self.button.setEnabled(front is not None and not self.jobs.is_busy)
        self._show_mpp()
        if front is None:
            self.state.setText("No slide is in front.")
            self.patients.show_example("")
            return
        self.patients.show_example("" if self._places.is_masked else front.source)
        name = self._places.title(front.fingerprint)
        record = self._session.records.get(front.fingerprint)
        if library is None:
            self.state.setText(f"{name}: no library is open. Begin one with Library > New.")
        elif record is None:
            self.state.setText(f"{name} is not in this collection: nothing of it is found.")
        else:
            words = f"{name} is indexed: {record.tiles} tiles"
            if record.patient and not self._places.is_masked:
                words += f", patient {record.patient}"
            self.state.setText(f"{words}.")

    def index_front(self) -> None:
        """Index the slide in front."""
        front, library = self._places.front, self._session.library
        if front is None:
            self.told.emit("No slide is in front. Open one first.", True)
            return
        if library is None:
            self.told.emit("No library is open. Open one, or begin one with Library > New.", True)
            return
        if self.jobs.is_busy:
            return
        chosen = [f for f in self._session.folders if f.set_up.name == self.into.currentData()]
        config = config_like(chosen[0]) if chosen else self.form.config()
        if self.patients.error:
            self.told.emit(self.patients.error, True)
            return
        config = replace(
            config,
            device=read_settings().device,
            patients=self.patients.table,
            patient_rule=self.patients.rule,
        )
        if front.mpp is None:
            typed = self._session.mpp_of(front.fingerprint)
            if not typed:
                self.told.emit(NO_MPP, True)
                return
            config = replace(config, slide_mpp=typed)
        self._source = front.source
        self._indexing = (front, library.folder)
        self.told.emit("", False)
        task = IndexTask(front.source, library.folder, config)
        self.jobs.start(
            index_slide, task, title=f"Indexing {self._places.title(front.fingerprint)}"
        )
        self._looks.start()
        self.growing.emit(front.fingerprint)
        self._look()
        self.show_state()

    def _look(self) -> None:
        """Tell the compute process where the person looks: those tiles come next."""
        front = self._places.front
        point = None
        if front is not None and front.source == self._source:
            seen = viewport(self._viewer, front.layer)
            point = (seen.x, seen.y)
        work = partial(compute_process().call, f"{LIVE}look_towards", point)
        self.background.submit("look", work, _ignore, _ignore)

        if self._session.collection is None and self._session.library is not None:
            is_there = partial(has_collection, self._session.library)
            self.background.submit("begun", is_there, self._on_begun, _ignore)

    def _on_begun(self, is_there: bool) -> None:
        if is_there and self._session.collection is None:
            self.begun.emit()

    def _show_mpp(self) -> None:
        """Ask for microns per pixel where the slide in front does not say them."""
        front = self._places.front
        is_asked = front is not None and front.mpp is None
        self.rows.setRowVisible(self.mpp, is_asked)
        if front is not None and is_asked:
            self.mpp.show_value(self._session.mpp_of(front.fingerprint))
            self.mpp.setEnabled(front.fingerprint not in self._session.records)

    def _on_mpp(self, value: float) -> None:
        front = self._places.front
        if front is not None:
            self._session.typed_mpp[front.fingerprint] = value

    def _on_done(self, report: IndexReport) -> None:
        failures = [reason for _, reason in report.failures]
        if report.indexed or report.skipped:
            self.told.emit(
                self._places.masked_text(" ".join([self._done_words(report), *report.remarks])),
                False,
            )
            if self._indexing is not None:
                self._places.note_indexed(*self._indexing)
            self.indexed.emit(report.collection)
        if failures:
            more = f" ({len(failures) - 1} more places)" if len(failures) > 1 else ""
            self.told.emit(self._places.masked_text(failures[0]) + more, True)

    def _done_words(self, report: IndexReport) -> str:
        if report.tiles:
            return f"{report.tiles} tiles were embedded."
        name = "" if self._indexing is None else self._places.title(self._indexing[0].fingerprint)
        return (
            f"All tiles of {name} were in {report.collection} already: none was embedded anew. To "
            "index it otherwise, choose another set-up."
        )

    def _on_ended(self, job: Job) -> None:
        self._looks.stop()
        self.growing.emit("")
        if job.state == "cancelled":
            kept = f"Stopped. Each {SHARD_ROWS} tiles are kept once all of them are embedded"
            self.told.emit(f"{kept}; index the slide again to go on there.", False)
        self.show_state()

    def close_down(self) -> None:
        """Stop the job and the thread."""
        self._looks.stop()
        self.jobs.cancel()
        self.background.close()


def _ignore(_: Any) -> None:
    """Nothing hangs on it: without a place the tiles come in order."""
