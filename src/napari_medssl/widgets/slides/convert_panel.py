"""The page "Convert": slides to OME-Zarr in the background, to be stopped and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.convert_slide import ConvertConfig, convert_slide
from napari_medssl.backend.jobs import Job, OnProgress, Progress, ShouldStop
from napari_medssl.io.slides.places import local_path
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets.slides.session import SlidesSession

_REASON = (
    "No slide has to be converted to be viewed or searched. A store helps where other programs do "
    "not read the format, or the disk is slow. Lossless is about seven times the size of the slide."
)


@dataclass(frozen=True)
class Task:
    """One slide to convert: its id, name to show, source and store."""

    key: int
    title: str
    source: str
    out: Path


@dataclass
class Outcome:
    """What became of the slides: stores by id, errors, and what a person should know."""

    stores: dict[int, Path] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Slides to convert one after the other. `outcome` is filled as they are done."""

    tasks: tuple[Task, ...]
    config: ConvertConfig
    outcome: Outcome


def convert_all(batch: Batch, *, on_progress: OnProgress, should_stop: ShouldStop) -> Outcome:
    """Convert the slides of a batch; one that fails does not stop the others.

    Raises
    ------
    Cancelled
        If asked to stop; the stores that are done are in `batch.outcome`.
    """
    outcome = batch.outcome
    for number, task in enumerate(batch.tasks, start=1):
        lead = (
            task.title if len(batch.tasks) == 1 else f"{number} of {len(batch.tasks)}: {task.title}"
        )

        def report(progress: Progress, lead: str = lead) -> None:
            on_progress(replace(progress, message=f"{lead}, {progress.message}"))

        try:
            found = convert_slide(
                task.source, task.out, batch.config, on_progress=report, should_stop=should_stop
            )
        except UserError as error:
            outcome.failures.append(str(error))
            continue
        outcome.stores[task.key] = found.store.path
        outcome.notes += found.warnings
    return outcome


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
        self.form: ConfigForm[ConvertConfig] = ConfigForm(ConvertConfig, skip=("threads", "chunk"))
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
        self.jobs = JobPanel(self)
        self.jobs.ended.connect(self._on_ended)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.reason)
        layout.addWidget(self.form)
        layout.addWidget(self.where)
        layout.addLayout(row_of([self.choose, self.convert]))
        layout.addWidget(self.jobs)
        layout.addStretch(1)
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
        keys = self._selected() or [k for k in [self._session.current] if k is not None]
        try:
            tasks = self._tasks(keys)
            config = replace(self.form.config(), threads=max(1, (os.cpu_count() or 2) - 1))
        except UserError as error:
            self.told.emit(self._session.masked_text(str(error)), True)
            return
        if self.jobs.is_busy:
            return
        self.told.emit("", True)
        self._batch = Batch(tasks, config, Outcome())
        self.convert.setEnabled(False)
        many = f"{len(tasks)} slides" if len(tasks) > 1 else tasks[0].title
        self.jobs.start(convert_all, self._batch, title=f"Converting {many}")

    def _tasks(self, keys: list[int]) -> tuple[Task, ...]:
        tasks, outs = [], set()
        for key in keys:
            entry = self._session.entry(key)
            out = self._place(entry.source)
            if out in outs:
                raise UserError(
                    f"Two of the slides would be written to {out.name!r}. Choose no folder, or "
                    "convert them one by one."
                )
            outs.add(out)
            tasks.append(Task(key, self._session.title(key), entry.source, out))
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
        self.convert.setEnabled(True)
        batch, self._batch = self._batch, None
        if batch is None:
            return
        self._note(batch.outcome.stores)
        outcome = batch.outcome
        if job.state == "cancelled":
            self.told.emit("Stopped. Convert goes on where it was.", False)
        elif outcome.failures:
            self.told.emit(self._session.masked_text(" ".join(outcome.failures)), True)
        elif job.state == "done":
            count = len(outcome.stores)
            words = f"{count} slide{'s' * (count != 1)} converted."
            notes = " ".join(dict.fromkeys(outcome.notes))
            self.told.emit(self._session.masked_text(f"{words} {notes}".strip()), False)

    def _note(self, stores: dict[int, Path]) -> None:
        if self._session.library.is_closed:
            return
        entries = self._session.entries(stores)
        self._session.library.store.note(
            {key: replace(entry, converted=str(stores[key])) for key, entry in entries.items()}
        )

    def _show_where(self) -> None:
        place = "beside each slide" if self._folder is None else f"to {self._folder}"
        self.where.setText(f"Stores are written {place}.")
