"""Segment images off the GUI thread; what a person has edited is never replaced unasked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.compute_process import once_more
from napari_medssl.backend.jobs import Cancelled, Job, OnProgress, Progress, ShouldStop
from napari_medssl.backend.methods_record import made_with
from napari_medssl.backend.segment_live import Segmented
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.io.class_files import class_png
from napari_medssl.io.files import write_whole
from napari_medssl.state.mask_classes import clash
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.state.mask_items import MaskImage
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._base import JobPanel
from napari_medssl.widgets.segmentation.engine import Engine
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession

_SOME = 3


@dataclass(frozen=True)
class _ToDo:
    """An image to segment: its id, its name, its file, and where its mask goes."""

    key: int
    name: str
    source: str
    place: Path


@dataclass(frozen=True)
class _Made:
    """The mask of an image, written, and how it was made; or why there is none."""

    key: int
    mask_name: str
    found: Segmented | None
    error: str = ""
    made_with: str = ""


@dataclass(frozen=True)
class SegmentMany:
    """A job for a `JobPanel`: images in the order of work."""

    images: tuple[_ToDo, ...]
    config: SegmentConfig
    engine: Engine

    @staticmethod
    def run(config: SegmentMany, *, on_progress: OnProgress, should_stop: ShouldStop) -> int:
        """Segment all, write each mask, report it, and return how many there are."""
        total, done = len(config.images), 0
        on_progress(Progress(0, total, "loading the model"))
        lost = partial(on_progress, Progress(0, total, "beginning anew", {"is_lost": True}))
        once_more(partial(config.engine.prepare, config.config, should_stop), lost)
        how = made_with(config.config)
        for number, image in enumerate(config.images):
            if should_stop():
                raise Cancelled
            on_progress(Progress(number, total, image.name))
            try:
                work = partial(config.engine.segment, config.config, image.source, should_stop)
                found = once_more(work, lost)
                write_whole(image.place, class_png(found.mask))
                made = _Made(image.key, image.place.name, found, made_with=how)
                done += 1
            except UserError as error:
                made = _Made(image.key, image.place.name, None, str(error))
            on_progress(Progress(number + 1, total, image.name, {"made": made}))
        return done


class Segmenting(Part):
    """Runs a model over images and puts the masks into the set.

    Parameters
    ----------
    session, layers
        What it works on, and what shows it.
    engine
        What segments.
    config
        Returns what is asked for now; UserError if something is missing.
    classes
        Returns what the model that is asked for calls its classes 1, 2 and so on.
    parent
        Of questions and of the panel.
    """

    def __init__(
        self,
        session: MaskSession,
        layers: MaskLayers,
        engine: Engine,
        config: Callable[[], SegmentConfig],
        classes: Callable[[], Sequence[str]],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._session, self._layers = session, layers
        self._engine, self._config, self._classes = engine, config, classes
        self._folder: MaskFolder | None = None
        self._allowed: set[int] = set()
        self._made = 0
        self._kept: list[MaskImage] = []
        self._failed: list[str] = []
        self._lost = 0
        self.jobs = JobPanel(parent)
        self.jobs.progressed.connect(self._on_progress)
        self.jobs.ended.connect(self._on_ended)
        session.set_changed.connect(self._on_set)
        session.mask_changed.connect(self._on_mask)

    def segment(self) -> None:
        """Segment the image in front; ask first if a person has edited its mask."""
        try:
            key = self._session.checked_image()
            self._layers.take_in()
            item = self._session.store[key]
            done = "edited" if item.is_edited else "accepted"
            text = (
                f"You have {done} the mask of {item.name!r}. Replace it by what the model finds? "
                "Ctrl+Z in the mask takes that back as long as the image stays open."
            )
            if item.is_label and not questions.may(self._parent, "Replace your mask?", text):
                return
            self._start([key], {key} if item.is_label else set())
        except UserError as error:
            self._refuse(error)

    def segment_all(self) -> None:
        """Segment all images but those whose masks a person has edited or accepted."""
        try:
            self._session.checked_image()
            self._layers.take_in()
            items = self._session.store.as_dict()
            keys = [key for key, item in items.items() if not item.is_label]
            if not keys:
                raise UserError(
                    "You have edited or accepted the masks of all images, and none is replaced. To "
                    "segment one anew, put it in front and press Segment."
                )
            kept = [item for item in items.values() if item.is_label]
            self._start(keys, set(), kept)
        except UserError as error:
            self._refuse(error)

    def close(self) -> None:
        """Stop the job."""
        self.jobs.cancel()

    def _start(
        self, keys: Sequence[int], allowed: set[int], kept: Sequence[MaskImage] = ()
    ) -> None:
        if self.jobs.is_busy:
            raise UserError("Images are being segmented. Wait, or press Cancel.")
        config = self._config()
        folder = self._session.checked_folder()
        if not self._may_mix(folder, Path(config.model).stem):
            return
        images = []
        for key in keys:
            item, name = folder.store[key], folder.new_mask_name(key)
            images.append(_ToDo(key, item.name, item.source, folder.mask_place(name)))
        self._folder, self._allowed = folder, allowed
        self._made, self._kept, self._failed, self._lost = 0, list(kept), [], 0
        self.told.emit("", False)
        job = SegmentMany(tuple(images), config, self._engine)
        self.jobs.start(SegmentMany.run, job, title="Segmenting")

    def _may_mix(self, folder: MaskFolder, model: str) -> bool:
        """Ask, once, where a number is a class that a person added and another one of the model."""
        names, items = self._classes(), folder.store.as_dict().values()
        is_painted = any(item.is_edited and not item.model for item in items)
        number = clash(folder.classes, names, is_painted=is_painted)
        if not number or any(item.model == model for item in items):
            return True
        known = folder.classes[number]
        done = "painted" if known.of else "added"
        text = (
            f"Class {number} is {known.name!r}, which you {done}. {model!r} finds "
            f"{names[number - 1]!r} under the same number, which looks the same in the masks. "
            "To get your own class, train a model. Segment all the same?"
        )
        return questions.may(self._parent, "Two classes of one number?", text)

    def _on_set(self) -> None:
        if self._folder is not None and self._session.folder is not self._folder:
            self._folder = None
            self.jobs.cancel()

    def _on_mask(self, key: int) -> None:
        """Leave alone what is painted after the person was asked."""
        self._allowed.discard(key)

    def _on_progress(self, progress: Progress) -> None:
        self._lost += "is_lost" in progress.values
        made: _Made | None = progress.values.get("made")
        folder = self._folder
        if made is None or folder is None or folder.is_closed or made.key not in folder.store:
            return
        if made.found is None:
            self._failed.append(made.error)
            self._session.note_problem(made.key, made.error)
            return
        self._layers.take_in()
        item = folder.store[made.key]
        if item.is_label and made.key not in self._allowed:
            self._kept.append(item)  # edited or accepted while the others were segmented
            return
        found = made.found
        folder.use_mask(
            made.key,
            made.mask_name,
            found.mask,
            model=found.model,
            classes=found.classes,
            made_with=made.made_with,
            uncertainty=found.uncertainty,
        )
        self._made += 1
        self._session.note_problem(made.key, "")
        if self._layers.layer(made.key) is None:
            self._session.mask_changed.emit(made.key)
            if made.key == self._session.image:
                self._layers.refresh()
        else:
            self._layers.replace(made.key, found.mask, was_edited=item.is_label)

    def _on_ended(self, job: Job) -> None:
        if self._folder is None:
            return  # the set was closed: there is nothing to say of it any more
        parts = [f"{self._made} image{'s' * (self._made != 1)} segmented."]
        if job.state == "cancelled":
            parts.insert(0, "Stopped.")
        if self._kept:
            parts.append(_left_words(self._kept))
        if self._lost:
            times = "once" if self._lost == 1 else f"{self._lost} times"
            parts.append(f"The compute process ended {times} and began anew.")
        if self._failed:
            parts.append(f"{len(self._failed)} failed: {self._failed[0]}")
            self.told.emit(" ".join(parts), True)
        elif job.state != "failed":
            self.told.emit(" ".join(parts), False)
        self._folder = None


def _left_words(kept: Sequence[MaskImage]) -> str:
    """Say which masks of a person were left as they were, and what the person did to them."""
    acts = ["edited"] * any(item.is_edited for item in kept)
    acts += ["accepted"] * any(not item.is_edited for item in kept)
    more = len(kept) - _SOME
    some = ", ".join(item.name for item in kept[:_SOME]) + f" and {more} more" * (more > 0)
    return f"Left as you {' or '.join(acts)} {'it' if len(kept) == 1 else 'them'}: {some}."
