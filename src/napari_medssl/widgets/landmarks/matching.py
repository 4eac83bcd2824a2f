"""Look at all images in the background, and find landmarks in them whenever a template changes.

Two threads: one looks at images, one after the other; one compares, an image at a time, those on
the canvas first. So a click is answered in every open image at once, also while others are still
being looked at. A few images are asked for ahead, so that nobody waits for the window to draw.

Where the compute process ends under an image, that image is tried again, once by itself, and then
when the person goes on: the next time there may be memory enough.

More than 300 lines: what is to be looked at and what is to be compared depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_medssl.backend.compute_process import ComputeLostError
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.backend.match_landmarks import ImageMatches, PlacedTemplate, SeenImage
from napari_medssl.state.landmark_items import Point
from napari_medssl.state.landmarks import LandmarkStore
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.landmarks.engine import Engine
from napari_medssl.widgets.landmarks.session import LandmarkSession, Offer

_AHEAD = 3  # more would keep the next click waiting


class Matching(QObject):
    """Keeps what the program says about all points up to date.

    Parameters
    ----------
    session
        What it works on.
    make_engine
        Returns what compares images, for the set that is open.
    shown
        Returns the ids of the images on the canvas, which come first.
    parent
        Qt parent.

    Signals
    -------
    progressed
        How many images have been looked at, and how many there are.
    failed
        Why an image could not be compared.
    settled
        All that was asked for is done.
    """

    progressed = Signal(int, int)
    failed = Signal(str)
    settled = Signal()

    def __init__(
        self,
        session: LandmarkSession,
        make_engine: Callable[[], Engine],
        shown: Callable[[], Iterable[int]],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._make_engine = make_engine
        self._shown = shown
        self._engine: Engine | None = None
        self._lookers = Background("medssl-landmark-look", self)
        self._matchers = Background("medssl-landmark-match", self)
        self._looking: int | None = None
        self._matching: set[int] = set()
        self._pending: dict[int, dict[int, None]] = {}  # image: landmarks
        self._prepared: set[tuple[str, str]] = set()
        self._lost: dict[int, dict[int, None]] = {}  # image: landmarks not compared, as above
        session.set_changed.connect(self.start_anew)
        session.list_changed.connect(self._look_next)
        session.templates_changed.connect(self._on_templates)
        session.templates_changed.connect(self._try_lost)
        session.current_changed.connect(self._try_lost)

    @property
    def threads(self) -> tuple[Background, Background]:
        """What has to be closed at the end."""
        return self._lookers, self._matchers

    @property
    def engine(self) -> Engine:
        """What compares images, made when first needed."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    @property
    def is_busy(self) -> bool:
        """True while images are looked at or compared."""
        return self._looking is not None or bool(self._matching)

    def start_anew(self) -> None:
        """Forget all and begin with the set that is open, or with another model."""
        self._lookers.drop("look")
        for image in self._matching:
            self._matchers.drop(_slot(image))
        self._engine = None
        self._looking = None
        self._matching.clear()
        self._pending.clear()
        self._prepared.clear()
        self._lost.clear()
        self._session.problems.clear()
        if self._session.seen:
            self._session.forget_seen()
        self._look_next()

    def templates(self, names: Iterable[int] | None = None) -> list[PlacedTemplate]:
        """Return the templates whose features are there, an entry for each image."""
        session = self._session
        store = session.store
        points: dict[int, dict[str, tuple[float, float]]] = {}
        for name in store.names() if names is None else names:
            for point in store.templates(name):
                if point.place is not None and point.image in session.seen:
                    points.setdefault(point.image, {})[store.name(name).name] = point.place
        return [PlacedTemplate(session.seen[image].key, of) for image, of in points.items()]

    def close(self) -> None:
        """Stop both threads."""
        self._pending.clear()
        for thread in self.threads:
            thread.close()

    # -- looking ---------------------------------------------------------------------------------

    def _in_turn(self, images: Iterable[int]) -> list[int]:
        """Return images in the order in which they are wanted: those on the canvas first."""
        wanted = dict.fromkeys(images)
        first = [key for key in (self._session.front, self._session.image) if key in wanted]
        shown = [key for key in self._shown() if key in wanted]
        return list(dict.fromkeys([*first, *shown, *wanted]))

    def _look_next(self) -> None:
        session = self._session
        if self._looking is not None or session.folder is None:
            return
        images = session.store.images()
        waiting = [key for key in images if key not in session.seen and key not in session.problems]
        self.progressed.emit(len(images) - len(waiting), len(images))
        if not waiting:
            self._tell_if_settled()
            return
        self._looking = key = self._in_turn(waiting)[0]
        work = partial(self.engine.look, session.store.image(key).source)
        store = session.store
        self._lookers.submit(
            "look", work, partial(self._on_seen, store, key), partial(self._on_unseen, store, key)
        )

    def _on_seen(self, store: LandmarkStore, image: int, seen: SeenImage) -> None:
        self._looking = None
        if store is self._session.store:
            self._session.note_seen(image, seen)
            for name in store.names():
                templates = store.templates(name)
                if any(point.image == image for point in templates):
                    self._on_templates(name)
                elif templates:
                    self._pending.setdefault(image, {})[name] = None
            self._match_next()
        self._look_next()

    def _on_unseen(self, store: LandmarkStore, image: int, error: BaseException) -> None:
        self._looking = None
        is_there = store is self._session.store and image in store
        if is_there and not isinstance(error, Cancelled) and not self._is_tried_again(image, error):
            text = error_text(error)
            self._session.note_problem(image, text)
            self.failed.emit(text)
        self._look_next()

    # -- comparing -------------------------------------------------------------------------------

    def _on_templates(self, name: int) -> None:
        """Compare a landmark anew in all images: its templates changed."""
        session = self._session
        templates = session.store.templates(name)
        for pair in [pair for pair in session.offers if pair[1] == name]:
            del session.offers[pair]
        if not templates:
            for names in (*self._pending.values(), *self._lost.values()):
                names.pop(name, None)
            session.store.forget_found(name)
            return
        for image in session.seen:
            self._pending.setdefault(image, {})[name] = None
        self._match_next()

    def ask_again(self, names: Iterable[int]) -> None:
        """Compare landmarks anew in all images."""
        for name in names:
            self._on_templates(name)

    def _match_next(self) -> None:
        if self._session.folder is None:
            return
        for image in self._in_turn(list(self._pending)):
            if len(self._matching) >= _AHEAD:
                return
            if image not in self._matching:
                self._match(image, list(self._pending.pop(image)))
        self._tell_if_settled()

    def _match(self, image: int, names: list[int]) -> None:
        """Find landmarks in an image, those whose templates are known and lie in others."""
        store = self._session.store
        asked = {n: store.templates(n) for n in names if n in store}
        # A template is not searched in the image that it is from.
        asked = {n: t for n, t in asked.items() if t and all(p.image != image for p in t)}
        templates = self.templates(asked)
        known = {label for template in templates for label in template.points}
        labels = {store.name(name).name: name for name in asked}
        labels = {label: name for label, name in labels.items() if label in known}
        if image in self._session.seen and labels:
            self._begin(image, templates, labels, asked)

    def _begin(
        self,
        image: int,
        templates: list[PlacedTemplate],
        labels: dict[str, int],
        asked: dict[int, tuple[Point, ...]],
    ) -> None:
        session = self._session
        self._matching.add(image)
        seen = session.seen[image].key
        fresh = {(template.key, seen) for template in templates} - self._prepared
        self._prepared |= fresh
        keys = sorted({template for template, _ in fresh})
        work = partial(_matched, self.engine, templates, seen, list(labels), keys)
        done = partial(self._on_matched, session.store, image, labels, asked)
        self._matchers.submit(_slot(image), work, done, partial(self._on_unmatched, image, asked))

    def _on_matched(
        self,
        store: LandmarkStore,
        image: int,
        labels: dict[str, int],
        asked: dict[int, tuple[Point, ...]],
        found: ImageMatches,
    ) -> None:
        self._matching.discard(image)
        session = self._session
        if store is session.store and image in store:
            if found.gone:
                self._look_again(found.gone)
            for match in found.matches:
                name = labels[match.label]  # it may be called otherwise by now
                # The templates may be others, too; then it is asked for again.
                if name in store and store.templates(name) == asked[name]:
                    offer = Offer(tuple(match.candidates), match.is_present)
                    session.offer((image, name), offer)
        self._match_next()

    def _on_unmatched(self, image: int, names: Iterable[int], error: BaseException) -> None:
        self._matching.discard(image)
        if self._is_tried_again(image, error):
            self._pending.setdefault(image, {}).update(dict.fromkeys(names))
        elif not isinstance(error, Cancelled):
            if isinstance(error, ComputeLostError):
                self._lost.setdefault(image, {}).update(dict.fromkeys(names))
            self.failed.emit(error_text(error))
        self._match_next()

    def _is_tried_again(self, image: int, error: BaseException) -> bool:
        """Whether an image is tried again at once: the process ended, for the first time."""
        if not isinstance(error, ComputeLostError) or image not in self._session.store:
            return False
        self._prepared.clear()  # it went with the process
        is_first = image not in self._lost
        if is_first:
            self._lost[image] = {}
            name = self._session.store.image(image).name
            self.failed.emit(
                f"The compute process ended while it worked on {name!r}. It began anew and tries "
                "again."
            )
        return is_first

    def _try_lost(self, *_: object) -> None:
        """Try again where the process ended twice: the person goes on."""
        lost, self._lost = self._lost, {}
        for image, names in lost.items():
            if image in self._session.problems:
                self._session.note_problem(image, "")
            if names:
                self._pending.setdefault(image, {}).update(names)
        if lost:
            self._look_next()
            self._match_next()

    def _look_again(self, keys: Iterable[str]) -> None:
        """Look again at images whose features the process has lost."""
        lost = set(keys)
        images = [image for image, seen in self._session.seen.items() if seen.key in lost]
        self._prepared = {pair for pair in self._prepared if not lost & set(pair)}
        self._session.forget_seen(images)
        self._look_next()

    def _tell_if_settled(self) -> None:
        if not self.is_busy and not self._pending:
            self.settled.emit()


def _slot(image: int) -> str:
    return f"match {image}"


def _matched(
    engine: Engine,
    templates: list[PlacedTemplate],
    image: str,
    labels: list[str],
    fresh: list[str],
) -> ImageMatches:
    if fresh:
        engine.prepare(fresh, [image])
    return engine.match(templates, [image], labels)[0]
