"""What the widget works on: a set of landmarks, the point in front, what the program offers for it.

No Qt here: lists, layers and buttons are views of this.

More than 300 lines: one class, the state that all parts share; every method says what it raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psygnal import Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.landmark_values import Candidate
from napari_medssl.backend.match_landmarks import SeenImage
from napari_medssl.backend.measurements import with_renamed
from napari_medssl.state.history import Edit
from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage, LandmarkItem, LandmarkName, Point
from napari_medssl.state.landmark_queue import next_point
from napari_medssl.state.landmarks import LandmarkStore, PointId, Proposal

NO_SET = "No images are open. Open some first."
_SAME_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Offer:
    """The places that the program offers for a point, the best first; `is_present` of the best."""

    candidates: tuple[Candidate, ...]
    is_present: bool

    @property
    def proposal(self) -> Proposal:
        """What the program says."""
        best = self.candidates[0] if self.candidates else None
        if best is None or not self.is_present:
            return Proposal(None, None, 0.0 if best is None else best.score)
        return Proposal(best.x, best.y, best.score)


class LandmarkSession:
    """The state that the parts of the widget share.

    Attributes
    ----------
    set_changed
        Another set is open, or none.
    items_changed
        Images, landmarks or points changed; with the `Edit`.
    list_changed
        Images or landmarks were added, taken away or changed, by more than the size of an image.
    templates_changed
        The templates of the landmark with this id changed.
    current_changed
        Another image or landmark is in front.
    front_changed
        Another image is the template.
    seen_changed
        The features of the image with this id are there, or gone.
    offers_changed
        What the program offers for a point changed.
    measurements_changed
        Definitions were added to those of the set.
    renamed
        Landmarks have other names now: former to present name. The definitions of the set have
        them too.
    """

    set_changed = Signal()
    items_changed = Signal(Edit)
    list_changed = Signal()
    templates_changed = Signal(int)
    current_changed = Signal()
    front_changed = Signal()
    seen_changed = Signal(int)
    offers_changed = Signal(object)
    measurements_changed = Signal()
    renamed = Signal(object)

    def __init__(self) -> None:
        self.folder: LandmarkFolder | None = None
        self.image: int | None = None
        self.name: int | None = None
        self.front: int | None = None
        self.seen: dict[int, SeenImage] = {}
        self.problems: dict[int, str] = {}
        self.offers: dict[PointId, Offer] = {}
        self._empty = LandmarkStore()

    # -- the set ---------------------------------------------------------------------------------

    @property
    def store(self) -> LandmarkStore:
        """Images, landmarks and points; an empty store while no set is open."""
        return self._empty if self.folder is None else self.folder.store

    def use(self, folder: LandmarkFolder | None) -> None:
        """Work on another set; the former one is left open, for the caller to close."""
        if self.folder is not None:
            self.store.changed.disconnect(self._on_changed)
        self.folder = folder
        self.seen, self.problems, self.offers = {}, {}, {}
        self.image = self.name = self.front = None
        if folder is not None:
            self.store.changed.connect(self._on_changed)
            self._choose_front()
            self.image = self.front
            self._choose_name()
        self.set_changed.emit()
        self.front_changed.emit()
        self.current_changed.emit()

    def checked_folder(self) -> LandmarkFolder:
        """Return the set; UserError if none is open."""
        if self.folder is None:
            raise UserError(NO_SET)
        return self.folder

    # -- what is in front ------------------------------------------------------------------------

    @property
    def current(self) -> PointId | None:
        """Ids of the image and the landmark in front, None if one of them is none."""
        return None if self.image is None or self.name is None else (self.image, self.name)

    def checked_current(self) -> PointId:
        """Return `current`; UserError if there is none."""
        if self.current is None:
            raise UserError(NO_SET if self.image is None else "The list has no landmark yet.")
        return self.current

    @property
    def point(self) -> Point | None:
        """The point in front."""
        return None if self.current is None else self.store.point(*self.current)

    def choose(self, image: int | None = None, name: int | None = None) -> None:
        """Put an image, a landmark or both in front; what is None stays."""
        before = (self.image, self.name)
        self.image = self.image if image is None else image
        self.name = self.name if name is None else name
        if before != (self.image, self.name):
            self.current_changed.emit()

    def set_front(self, image: int) -> None:
        """Make an image the template: clicks on it place landmarks for all others."""
        if image != self.front:
            self.front = image
            self.front_changed.emit()
        self.choose(image)

    def step_image(self, by: int) -> None:
        """Put the next image of the list in front, or the one before."""
        images = self.store.images()
        if images:
            at = images.index(self.image) if self.image in images else -1
            self.choose(images[(at + by) % len(images)])

    def step_name(self, by: int) -> None:
        """Put the next landmark of the list in front, or the one before."""
        names = self.store.names()
        if names:
            at = names.index(self.name) if self.name in names else -1
            self.choose(name=names[(at + by) % len(names)])

    def step_queue(self, by: int = 1) -> bool:
        """Go to the least certain point, or on from there; False if all are decided about."""
        found = next_point(self.store, self.current, by)
        if found is not None:
            self.choose(*found)
        return found is not None

    # -- points ----------------------------------------------------------------------------------

    def place(self, image: int, x: float, y: float, *, is_moved: bool = False) -> None:
        """Put the landmark in front at a place of an image, where a person clicked.

        On the template it becomes a template and the next free landmark comes in front; if the
        list has none, one is added.

        Parameters
        ----------
        image
            Id.
        x, y
            Place in pixels.
        is_moved
            The person means to move a point that is decided about already.

        Raises
        ------
        UserError
            If the point is decided about and `is_moved` is not set, or it is locked.
        """
        is_template = image == self.front
        with self.store.edit("place landmark"):  # with the name that it may need
            name = self._name_to_place(image, is_moved=is_moved)
            point = self.store.point(image, name)
            if point.is_decided and not is_moved:
                told = "marked as not in this image" if point.place is None else "placed here"
                raise UserError(
                    f"{self.store.name(name).name!r} is {told} already. Drag it, or move it by a "
                    "click with Shift held."
                )
            self.store.place(image, name, x, y, is_template=True if is_template else None)
        following = self.store.next_free(image) if is_template and not is_moved else None
        self.choose(image, name if following is None else following)

    def _name_to_place(self, image: int, *, is_moved: bool) -> int:
        """Return the landmark that a click on an image means."""
        store = self.store
        if self.name is not None and self.name in store:
            is_free = not store.point(image, self.name).is_decided
            if is_free or is_moved or image != self.front or store.next_free(image) is not None:
                return self.name
        free = store.next_free(image)
        if free is not None:
            return free
        if self.folder is not None and self.folder.template and store.names():
            raise UserError(
                "All landmarks of the list are placed in this image. Add one to the list first."
            )
        number = len(store.names()) + 1
        while store.find_name(f"landmark {number}") is not None:
            number += 1
        return store.add_name(f"landmark {number}")

    def offer(self, pair: PointId, offer: Offer) -> None:
        """Take in what the program offers for a point."""
        self.offers[pair] = offer
        self.store.propose({pair: offer.proposal})
        self.offers_changed.emit(pair)

    def step_candidate(self, by: int = 1) -> tuple[int, int]:
        """Move the point in front to the next place that the program offers.

        Returns
        -------
        tuple of int
            Number of that place, from 1, and how many there are.

        Raises
        ------
        UserError
            If nothing is offered, or a person put the point somewhere else: it would be lost.
        """
        pair = self.checked_current()
        offer, point = self.offers.get(pair), self.store.point(*pair)
        candidates = () if offer is None else offer.candidates
        if not candidates:
            raise UserError(
                "The program offers no place for this landmark here. Place it in the template "
                "first, or wait until it was compared."
            )
        at = next((n for n, c in enumerate(candidates) if _is_at(point, c)), None)
        if point.is_decided and at is None:
            told = "was marked as not in this image" if point.place is None else "was placed here"
            raise UserError(
                f"{self.store.name(pair[1]).name!r} {told} by hand. Clear it first (Delete) to see "
                "what the program offers."
            )
        if at is None:
            at = -1 if by > 0 else 0
        at = (at + by) % len(candidates)
        chosen = candidates[at]
        self.store.pick(*pair, Proposal(chosen.x, chosen.y, chosen.score))
        return at + 1, len(candidates)

    def cycle_of(self, pair: PointId) -> float | None:
        """Return by how many pixels of the template the way back misses, None if not known."""
        offer, point = self.offers.get(pair), self.store.point(*pair)
        if offer is None or point.score is None:
            return None
        return next((c.cycle for c in offer.candidates if _is_at(point, c)), None)

    # -- features --------------------------------------------------------------------------------

    def note_seen(self, image: int, seen: SeenImage) -> None:
        """Take in that the features of an image are there."""
        if image in self.store:
            self.seen[image] = seen
            self.problems.pop(image, None)
            self.store.note_size(image, seen.width, seen.height)
            self.seen_changed.emit(image)

    def note_problem(self, image: int, text: str) -> None:
        """Take in why an image cannot be compared; an empty text forgets it."""
        self.problems.pop(image, None)
        if text:
            self.problems[image] = text
        self.seen_changed.emit(image)

    def forget_seen(self, images: Sequence[int] | None = None) -> None:
        """Take in that features are gone, by default of all images."""
        for image in list(self.seen) if images is None else images:
            self.seen.pop(image, None)
            self.seen_changed.emit(image)

    # -- inside ----------------------------------------------------------------------------------

    def _choose_front(self) -> None:
        """Let the image with the most templates be the template, else the first."""
        counts = dict.fromkeys(self.store.images(), 0)
        for item in self.store.as_dict().values():
            if isinstance(item, Point) and item.is_template and item.image in counts:
                counts[item.image] += 1
        self.front = max(counts, key=lambda key: counts[key]) if counts else None

    def _choose_name(self) -> None:
        names = self.store.names()
        free = None if self.image is None else self.store.next_free(self.image)
        self.name = free if free is not None else next(iter(names), None)

    def _on_changed(self, edit: Edit[LandmarkItem]) -> None:
        if _changes_list(edit):
            self._follow_list()
            self._follow_names(edit)
        self.items_changed.emit(edit)
        for name in self._changed_templates(edit):
            if name in self.store:
                self.templates_changed.emit(name)

    def _changed_templates(self, edit: Edit[LandmarkItem]) -> list[int]:
        """Return the landmarks whose templates an edit changed."""
        found: dict[int, None] = {}
        for key in {**edit.before, **edit.after}:
            sides = [
                (p.image, p.name, p.place) if isinstance(p, Point) and p.is_template else None
                for p in (edit.before.get(key), edit.after.get(key))
            ]
            if sides[0] != sides[1]:
                found.update({side[1]: None for side in sides if side is not None})
        return list(found)

    def _follow_names(self, edit: Edit[LandmarkItem]) -> None:
        """Let definitions have the names of the landmarks, also when a rename is undone."""
        renames = {}
        for key in edit.updated:
            before, after = edit.before[key], edit.after[key]
            if isinstance(before, LandmarkName) and isinstance(after, LandmarkName):
                renames[before.name] = after.name
        renames = {former: name for former, name in renames.items() if former != name}
        if renames:
            folder = self.checked_folder()
            folder.remember(measurements=with_renamed(folder.measurements, renames))
            self.renamed.emit(renames)

    def _follow_list(self) -> None:
        """Let what is in front be there after images or landmarks came or went."""
        store, former = self.store, (self.image, self.name, self.front)
        for key in [key for key in self.seen if key not in store]:
            del self.seen[key]
        if self.front not in store.images():
            self._choose_front()
        if self.image not in store.images():
            self.image = self.front
        if self.name not in store.names():
            self._choose_name()
        self.list_changed.emit()
        if former[2] != self.front:
            self.front_changed.emit()
        if former[:2] != (self.image, self.name):
            self.current_changed.emit()


def _changes_list(edit: Edit[LandmarkItem]) -> bool:
    """Whether more changed than points and sizes: each image that is read notes its size."""
    for key in {**edit.before, **edit.after}:
        before, after = edit.before.get(key), edit.after.get(key)
        if isinstance(before, LandmarkImage) and isinstance(after, LandmarkImage):
            if replace(before, width=after.width, height=after.height) != after:
                return True
        elif not isinstance(before if after is None else after, Point):
            return True
    return False


def _is_at(point: Point, candidate: Candidate) -> bool:
    place = point.place
    return place is not None and (
        abs(place[0] - candidate.x) < _SAME_PX and abs(place[1] - candidate.y) < _SAME_PX
    )
