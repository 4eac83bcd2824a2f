"""The page "Convert": slides to OME-Zarr in the background, to be stopped and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.convert_slide import ConvertConfig
from napari_medssl.backend.convert_slides import Batch, Task, convert_all, verify_all
from napari_medssl.backend.jobs import Job
from napari_medssl.io.slides.places import local_path
from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets.slides.session import SlidesSession

_REASON = (
    "No slide has to be converted to be viewed or searched. A store helps where other programs do "
    "not read the format, or the disk is slow. Lossless is about seven times the size of the slide."
)


class ConvertPanel(QWidget):
    """Convert the slides marked in the list.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, session: SlidesSession, selected: Callable[[], list[int]], parent: Any = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._selected = selected
        self._folder: Path | None = None
        self._batch: Batch | None = None
        self._is_verifying = False
        self.form: ConfigForm[ConvertConfig] = ConfigForm(ConvertConfig, skip=("threads", "chunk"))
        self.form.set_value("mpp", 1.0)  # where a person begins who wants another one than
        self.form.set_value("mpp", None)  # that of the slide
        self.reason = QLabel(_REASON)
        self.reason.setWordWrap(True)
        self.where = QLabel()
        self.where.setWordWrap(True)
        self.where.setToolTip("Where the stores are written: NAME.ome.zarr")
        self.choose = PushButton("Where ...", "Choose a folder for the stores", self.ask_folder)
        self.convert = PushButton(
            "Convert",
            "Convert the slides marked in the list; those stopped before go on where they were",
            self.start,
        )
        self.verify = PushButton(
            "Verify",
            "Read the stores of the slides marked and compare every file with what was written",
            self.start_verifying,
        )
        self.jobs = JobPanel(self, shown=session.masked_text)
        self.jobs.ended.connect(self._on_ended)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.reason)
        layout.addWidget(self.form)
        layout.addWidget(self.where)
        layout.addLayout(row_of([self.choose, self.convert, self.verify]))
        layout.addWidget(self.jobs)
        layout.addStretch(1)
        session.masked_changed.connect(self._show_where)
        self._show_where()

    def ask_folder(self) -> None:
        """Ask for a folder for the stores."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the stores")
        if chosen:
            self.set_folder(Path(chosen))

    def set_folder(self, folder: Path | None) -> None:
        """Write stores to a folder; beside each slide for None."""
        self._folder = folder
        self._show_where()

    def start(self) -> None:
        """Convert the slides marked in the list, or the one in front."""
        try:
            tasks = self._tasks()
            config = replace(self.form.config(), threads=max(1, (os.cpu_count() or 2) - 1))
        except UserError as error:
            self.told.emit(str(error), True)
            return
        self._start(Batch(tasks, config), is_verifying=False)

    def start_verifying(self) -> None:
        """Verify the stores of the slides marked in the list, or of the one in front."""
        entries = self._session.entries(self._keys()).values()
        tasks = [self._task(entry, Path(entry.converted)) for entry in entries if entry.converted]
        if not tasks:
            self.told.emit("None of the slides marked has a store. Convert it first.", True)
            return
        self._start(Batch(tuple(tasks)), is_verifying=True)

    def _start(self, batch: Batch, *, is_verifying: bool) -> None:
        if self.jobs.is_busy:
            return
        self.told.emit("", True)
        self._batch, self._is_verifying = batch, is_verifying
        self._enable(False)
        many = f"{len(batch.tasks)} slides" if len(batch.tasks) > 1 else batch.tasks[0].title
        work, verb = (verify_all, "Verifying") if is_verifying else (convert_all, "Converting")
        self.jobs.start(work, batch, title=f"{verb} {many}")

    def _enable(self, is_on: bool) -> None:
        for button in (self.convert, self.verify):
            button.setEnabled(is_on)

    def _keys(self) -> list[int]:
        return self._selected() or [k for k in [self._session.current] if k is not None]

    def _task(self, entry: SlideEntry, out: Path) -> Task:
        title = entry.title(is_masked=self._session.is_masked)
        size = max(1, entry.width * entry.height // 1_000_000)
        return Task(title, entry.source, entry.fingerprint, out, size)

    def _tasks(self) -> tuple[Task, ...]:
        tasks, outs = [], set()
        for key in self._keys():
            entry = self._session.entry(key)
            out = self._place(entry.source)
            if out in outs:
                raise UserError(
                    f"Two of the slides would be written to {out.name!r}. Choose no folder, or "
                    "convert them one by one."
                )
            outs.add(out)
            tasks.append(self._task(entry, out))
        if not tasks:
            raise UserError("No slide is marked. Click one in the list first.")
        return tuple(tasks)

    def _place(self, source: str) -> Path:
        path = local_path(source)
        name = (path or Path(source.rstrip("/"))).name
        stem = name.removesuffix(".zarr").removesuffix(".ome")
        stem = Path(stem).stem if stem == name else stem
        if self._folder is not None:
            return self._folder / f"{stem}.ome.zarr"
        if path is None:
            raise UserError(f"{source!r} lies on a server. Choose a folder for its store.")
        out = path.with_name(f"{stem}.ome.zarr")
        if out == path:
            raise UserError(f"{name!r} is an OME-Zarr store already. Choose another folder.")
        return out

    def _on_ended(self, job: Job) -> None:
        self._enable(True)
        batch, self._batch = self._batch, None
        if batch is None:
            return
        outcome, count = batch.outcome, len(batch.outcome.stores)
        if not self._is_verifying:
            self._note(batch)
        if job.state == "cancelled":
            goes_on = "" if self._is_verifying else " Convert goes on where it was."
            self.told.emit(f"Stopped.{goes_on}", False)
        elif outcome.failures:
            self.told.emit(" ".join(outcome.failures), True)
        elif job.state == "done" and self._is_verifying:
            words = "The store is" if count == 1 else f"All {count} stores are"
            self.told.emit(f"{words} as written.", False)
        elif job.state == "done":
            words = f"{count} slide{'s' * (count != 1)} converted."
            notes = " ".join(dict.fromkeys(outcome.notes))
            self.told.emit(f"{words} {notes}".strip(), False)

    def _note(self, batch: Batch) -> None:
        library = self._session.library
        if not library.is_closed:
            for number, store in batch.outcome.stores.items():
                task = batch.tasks[number]
                library.note_made(task.source, task.fingerprint, converted=str(store))

    def _show_where(self) -> None:
        place = "beside each slide" if self._folder is None else f"to {self._folder}"
        self.where.setText(self._session.masked_text(f"Stores are written {place}."))
