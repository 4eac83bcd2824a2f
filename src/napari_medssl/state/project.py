"""A project: the figures of one job, shared by the window and the command line.

A folder `NAME.medssl` holds
- `project.json`: format, version and the list of figures;
- `figures/KEY.json`: file, state, boxes and history of one figure;
- `journal.jsonl`: every change since those files were written;
- `removed/`, `damaged/`: figures taken off the list, copies of files that could not be read;
- `lock`: who has the project open.
Every change goes to the journal at once; the other files are only written by `save` and `close`.
docs/adr tells why it is a folder.

More than 300 lines: one class, whose every public method documents what it raises.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.io.files import write_all_whole, write_whole
from napari_medssl.io.limits import one_line
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.figure import Figure, FigureInfo, fingerprint_of
from napari_medssl.state.history import Edit, box_to_row
from napari_medssl.state.journal import Journal, Record
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.project_copy import ProjectCopy
from napari_medssl.state.project_files import (
    Loaded,
    encode_header,
    figure_path,
    load_project,
    put_away,
    report_damage,
)
from napari_medssl.state.queue import ReviewState

SUFFIX = ".medssl"
_log = logging.getLogger(__name__)


class Project:
    """Figures with boxes and states, saved as they change. Use from one thread at a time.

    Make one with `create` or `open`; call `close` at the end, or use it as a context manager.

    Attributes
    ----------
    figures_changed
        Emitted with the keys of figures that were added or removed.
    state_changed
        Emitted with the key of a figure whose state a person set.
    boxes_changed
        Emitted with the key of a figure when an edit of its boxes is finished.
    model_changed
        Emitted with the name of the model that the project uses from now on.
    """

    figures_changed = Signal(tuple)
    state_changed = Signal(str)
    boxes_changed = Signal(str)
    model_changed = Signal(str)

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self._lock = lock
        self._figures: dict[str, Figure] = {}
        self._removed: set[str] = set()
        self._models: tuple[str, ...] = ()
        self._must_save = False
        self._sequence = 0
        self._next_key = 1
        self._journal: Journal | None = None

    # -- open and close --------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path | str) -> Project:
        """Make a project folder and open it.

        Raises
        ------
        UserError
            If something is at that place already, or the place cannot be written to.
        """
        folder = _absolute(folder)
        if folder.exists():
            raise UserError(
                f"{str(folder)!r} exists already, a new project needs a new name. "
                "Open it or choose another."
            )
        try:
            (folder / "figures").mkdir(parents=True)
            write_whole(folder / "project.json", encode_header(0, 1, ()))
        except OSError as error:
            raise UserError(
                f"Cannot make the project {str(folder)!r}: {error.strerror}. Choose another place."
            ) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str, *, repair: bool = False) -> Project:
        """Open a project and take in what the journal holds.

        Parameters
        ----------
        folder
            The folder `NAME.medssl`.
        repair
            Go on with what can be read if some files are damaged; copies of those are kept.

        Raises
        ------
        UserError
            If it is no project, is open elsewhere or was made by a newer version.
        ProjectDamagedError
            If files are damaged and `repair` is not set. Nothing was changed.
        """
        folder = _absolute(folder)
        if not (folder / "project.json").is_file() and not (folder / "figures").is_dir():
            raise UserError(
                f"{str(folder)!r} is no project: it has no project.json. "
                f"Choose a folder whose name ends in {SUFFIX}."
            )
        project = cls(folder, FolderLock(folder / "lock"))
        try:
            project._take(load_project(folder), repair)
            (folder / "figures").mkdir(exist_ok=True)
            project._journal = Journal(folder / "journal.jsonl")
            if project._dirty():
                project.save()
        except BaseException:
            project._lock.release()
            raise
        return project

    @classmethod
    def open_or_create(cls, folder: Path | str) -> Project:
        """Open a project, or make it if nothing is at that place."""
        return cls.open(folder) if _absolute(folder).exists() else cls.create(folder)

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self) -> None:
        """Write all files and empty the journal; UserError if the disk refuses, nothing is lost."""
        dirty = [key for key, figure in self._figures.items() if figure.is_dirty]
        write_all_whole(
            {
                figure_path(self.folder, key): self._figures[key].encode(self._sequence)
                for key in dirty
            }
        )
        header = encode_header(self._sequence, self._next_key, self._figures, self._models)
        write_whole(self.folder / "project.json", header)
        for key in sorted(self._removed):
            put_away(figure_path(self.folder, key), self.folder / "removed")
        self._removed.clear()
        self._must_save = False
        self._open_journal.compact()
        for key in dirty:
            self._figures[key].is_dirty, self._figures[key].sequence = False, self._sequence

    def close(self) -> None:
        """Save and let go of the folder; closing twice is no fault.

        Raises
        ------
        UserError
            If changes could not be written at all. If only the files could not be brought up to
            date, the journal has the changes and the next `open` takes them in.
        """
        if self._journal is None:
            return
        try:
            if self._dirty():
                self.save()
        except UserError:
            _log.warning("project files not brought up to date", exc_info=True)
        self._leave_to_journal()

    def _leave_to_journal(self) -> None:
        """Let go of the folder with the changes in the journal: the next `open` takes them in."""
        journal, self._journal = self._open_journal, None
        is_saved = journal.close()
        self._lock.release()
        if not is_saved:
            raise UserError(
                f"The last changes of {str(self.folder)!r} could not be written: {journal.error}."
            )

    def save_as(self, folder: Path | str) -> Project:
        """Copy the project to a new folder, close this one and return the new one, open.

        Paths of images are made relative to the new place where they can be; images that lie
        in the project folder are copied.
        """
        copy = ProjectCopy(self, folder)
        copy.write()
        target = copy.finish()
        assert target is not None, "nothing else uses the project meanwhile"
        self.leave()  # quick: this one is most often a draft that goes now
        return target

    def copy_changes(self, target: Project, known: dict[str, int]) -> None:
        """Put into another project what changed here since the last time, and save it there.

        Parameters
        ----------
        target
            A project that nobody uses yet.
        known
            Key of a figure to the number of its last change that `target` has; updated.
        """
        for key in [key for key in known if key not in self._figures]:
            del known[key], target._figures[key]
            figure_path(target.folder, key).unlink(missing_ok=True)
        for key, figure in list(self._figures.items()):
            changed = figure.changed
            if known.get(key) == changed:
                continue
            path = self._resolve(figure.info.path)
            if path.is_relative_to(self.folder) and path.is_file():
                path = _copy_into(path, target.folder / path.relative_to(self.folder))
            copy = Figure.decode(figure.encode(self._sequence))
            copy.info = replace(copy.info, path=target._stored_path(path))
            copy.is_dirty, copy.sequence = True, 0
            target._adopt(key, copy)
            known[key] = changed
        target._next_key, target._models = self._next_key, self._models
        target.save()

    def leave(self) -> None:
        """Let go of the folder with the changes in the journal: the next `open` takes them in.

        Quicker than `close`, which writes the files as well; UserError as there.
        """
        if self._journal is not None:
            self._leave_to_journal()

    @property
    def sequence(self) -> int:
        """The number of the last change."""
        return self._sequence

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._journal is None

    @property
    def has_work(self) -> bool:
        """True if a person made or decided anything here."""
        return any(self.has_work_in(key) for key in self._figures)

    def has_work_in(self, key: str) -> bool:
        """Return whether a figure has edits or a state other than to do."""
        figure = self._figures[key]
        return figure.state != ReviewState.TO_DO or (
            figure.store is not None and len(figure.store.history) > 0
        )

    @property
    def save_error(self) -> str | None:
        """Why changes cannot be written to disk now, None if they can."""
        return self._open_journal.error

    @property
    def is_saved(self) -> bool:
        """True if every change is on disk."""
        return self._journal is None or self._journal.pending == 0

    def set_autosave(self, longest_s: float) -> None:
        """Say how long a change may wait for others before it is written."""
        self._open_journal.delay_s = max(0.0, longest_s)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every change is on disk; return False if that did not come about."""
        return self._open_journal.flush(timeout_s)

    # -- figures ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._figures)

    def __contains__(self, key: str) -> bool:
        return key in self._figures

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._figures))

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the figures in the order in which they were added."""
        return tuple(self._figures)

    def info(self, key: str) -> FigureInfo:
        """Return what is known of a figure's file."""
        return self._figures[key].info

    def state(self, key: str) -> ReviewState:
        """Return what a person said about a figure."""
        return self._figures[key].state

    def boxes(self, key: str) -> tuple[Box, ...]:
        """Return the boxes of a figure, none if its image was never read."""
        return self._figures[key].boxes()

    def stored_path(self, key: str) -> Path:
        """Return where the image file was when it was added, whether it is still there or not."""
        return self._resolve(self._figures[key].info.path)

    def path(self, key: str) -> Path:
        """Return where the image file is.

        Raises
        ------
        UserError
            If it is neither where it was nor beside the project.
        """
        stored = self.stored_path(key)
        for candidate in (stored, self.folder.parent / stored.name):
            if candidate.is_file():
                return candidate
        raise UserError(
            f"The image {str(stored)!r} is gone. Put it back or beside the project folder."
        )

    def find(self, path: Path | str, page: int | None = None) -> str | None:
        """Return the key of the figure of an image file, None if it is not in the project."""
        stored = self._stored_path(_absolute(path))
        for key, figure in self._figures.items():
            if figure.info.path == stored and figure.info.page == page:
                return key
        return None

    def add_images(
        self,
        images: Iterable[tuple[Path, int | None]],
        fingerprints: Mapping[Path, str] | None = None,
    ) -> tuple[str, ...]:
        """Add image files `(path, page)`; return their keys, those already there included.

        Give `fingerprints` of many files that were taken in a thread: reading them takes time.
        """
        prints = fingerprints or {}
        known = {(f.info.path, f.info.page): key for key, f in self._figures.items()}
        keys, new = [], []
        for path, page in images:
            stored = self._stored_path(_absolute(path))
            key = known.get((stored, page))
            if key is None:
                key = f"{self._next_key:06d}"
                self._next_key += 1
                fingerprint = prints[path] if path in prints else fingerprint_of(Path(path))
                info = FigureInfo(key, stored, page, fingerprint=fingerprint)
                self._adopt(key, Figure(info))
                self._note(key, {"op": "image", "info": info.to_json()})
                known[(stored, page)] = key
                new.append(key)
            keys.append(key)
        if new:
            self.figures_changed.emit(tuple(new))
        return tuple(keys)

    def remove(self, keys: Iterable[str]) -> None:
        """Take figures off the list; what was made of them is kept in the folder `removed`."""
        gone = tuple(key for key in keys if key in self._figures)
        for key in gone:
            # Written first: a figure that only the journal knows would leave nothing to keep.
            data = self._figures[key].encode(self._sequence)
            write_whole(figure_path(self.folder, key), data)
            self._note(key, {"op": "remove"})
            del self._figures[key]
            self._removed.add(key)
        if gone:
            self.figures_changed.emit(gone)

    def store(self, key: str, size: tuple[int, int] | None = None) -> BoxStore:
        """Return the box store of a figure; its edits are saved as they are made.

        Parameters
        ----------
        key
            Key of the figure.
        size
            Width and height of the image in pixels, as just read. Needed the first time.

        Raises
        ------
        UserError
            If the image has another size than when its boxes were made.
        ValueError
            If the size was never given.
        """
        figure = self._figures[key]
        info = figure.info
        if figure.store is None:
            if size is None:
                raise ValueError(f"the size of {info.name!r} is not known yet, give it")
            figure.info = replace(info, width=int(size[0]), height=int(size[1]))
            self._note(key, {"op": "size", "width": int(size[0]), "height": int(size[1])})
            self._attach(key, BoxStore(*size))
        elif size is not None and size != (info.width, info.height):
            raise UserError(
                f"{info.name!r} is {size[0]} x {size[1]} px now but was {info.width} x "
                f"{info.height} px when its boxes were made. Put the former file back, or take "
                "the figure off the list and add it anew."
            )
        store = self._figures[key].store
        assert store is not None
        return store

    def set_state(self, key: str, state: ReviewState) -> None:
        """Set what a person says about a figure."""
        figure = self._figures[key]
        if figure.state != state:
            figure.state = state
            self._note(key, {"op": "state", "state": state.value})
            self.state_changed.emit(key)

    def image_boxes(self, states: Iterable[ReviewState] = tuple(ReviewState)) -> list[ImageBoxes]:
        """Return the boxes of all figures in one of the states whose images were read."""
        wanted = set(states)
        return [
            ImageBoxes(
                figure.info.name,
                figure.info.width,
                figure.info.height,
                figure.boxes(),
                {"state": figure.state.value},
            )
            for figure in self._figures.values()
            if figure.store is not None and figure.state in wanted
        ]

    # -- model -----------------------------------------------------------------------------------

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were chosen for this project, the one in use last; none at first."""
        return self._models

    @property
    def model(self) -> str:
        """The model that finds the panels of this project; "" means the shipped one."""
        return self._models[-1] if self._models else ""

    def use_model(self, name: str) -> None:
        """Find panels with another model from now on: a registered name or a file."""
        if name != self.model:
            self._set_models((*self._models, name))

    def revert_model(self) -> str:
        """Go back to the model before the present one; return its name, "" for the shipped one.

        Raises
        ------
        UserError
            If no model was ever chosen.
        """
        if not self._models:
            raise UserError(
                f"The project {str(self.folder)!r} uses the shipped model and has used no other: "
                "there is none to go back to."
            )
        self._set_models(self._models[:-1])
        return self.model

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise RuntimeError(f"project {self.folder.name!r} is closed")
        return self._journal

    def _dirty(self) -> bool:
        return (
            self._must_save
            or bool(self._removed)
            or any(figure.is_dirty for figure in self._figures.values())
        )

    def _stored_path(self, path: Path) -> str:
        base = self.folder.parent
        return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()

    def _resolve(self, stored: str) -> Path:
        return self.folder.parent / stored

    def _adopt(self, key: str, figure: Figure) -> None:
        self._figures[key] = figure
        if figure.store is not None:
            self._attach(key, figure.store)

    def _attach(self, key: str, store: BoxStore) -> None:
        self._figures[key].store = store
        store.edited.connect(partial(self._on_edited, key))

    def _on_edited(self, key: str, kind: str, edit: Edit[Box]) -> None:
        self._note(key, {"op": "edit", "kind": kind, "edit": edit.to_json(box_to_row)})
        self.boxes_changed.emit(key)

    def _note(self, key: str, record: Record) -> None:
        self._sequence += 1
        self._figures[key].is_dirty, self._figures[key].changed = True, self._sequence
        self._open_journal.append({"seq": self._sequence, "key": key, **record})

    def _set_models(self, models: tuple[str, ...]) -> None:
        self._sequence += 1
        self._models, self._must_save = models, True
        record = {"seq": self._sequence, "key": "", "op": "models", "models": list(models)}
        self._open_journal.append(record)
        self.model_changed.emit(self.model)

    def _take(self, loaded: Loaded, repair: bool) -> None:
        if loaded.damaged:
            report_damage(self.folder, loaded.damaged, repair)
        self._sequence, self._next_key = loaded.sequence, loaded.next_key
        self._removed, self._models = set(loaded.removed), loaded.models
        self._must_save = bool(loaded.damaged)
        for key, figure in loaded.figures.items():
            self._adopt(key, figure)


def _copy_into(path: Path, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    except OSError as error:
        raise UserError(
            f"The figure {path.name!r} cannot be copied to {str(target.parent)!r}: "
            f"{one_line(error)}. Choose another place for the project."
        ) from error
    return target


def _absolute(path: Path | str) -> Path:
    return Path(path).expanduser().absolute()
