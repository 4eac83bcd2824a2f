"""The landmarks of a set of images with states, undo and events: the truth that views mirror.

- An id belongs to an image, to a landmark of the list, or to the point of one landmark in one
  image. Points are made as "undefined" when first asked for and go with their image or landmark.
- What a person does is a step of the history. What the program finds (`propose`) is none: it is
  noted, on disk like everything else, and never touches what a person made.
- What a person may do wrong raises `UserError` with the line to show.

More than 300 lines: one class, whose every public method documents what it raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from napari_medssl._errors import UserError
from napari_medssl.io.color import Color
from napari_medssl.io.image_names import clean_image_name, free_name
from napari_medssl.io.landmarks import State, clean_name
from napari_medssl.state.colors import next_color
from napari_medssl.state.history import Edit, History
from napari_medssl.state.items import ItemStore
from napari_medssl.state.landmark_items import (
    LandmarkImage,
    LandmarkItem,
    LandmarkName,
    Point,
    Tally,
    fit_item,
)

UNDO_DEPTH = 1000

PointId = tuple[int, int]
"""Ids of an image and of a landmark of the list."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the program says of a point: a place and its score, or, without a place, "absent"."""

    x: float | None
    y: float | None
    score: float


@dataclass(slots=True)
class _Kinds:
    """Ids of images and of landmarks in their order, and of the points by both."""

    images: tuple[int, ...]
    names: tuple[int, ...]
    points: dict[PointId, int]


class LandmarkStore(ItemStore[LandmarkItem]):
    """Images, landmarks and points, each edit of a person one entry of the history.

    Parameters
    ----------
    items, history, next_id
        As of `ItemStore`.

    Attributes
    ----------
    tallies
        What `state.landmark_queue` has added up, by image: kept until a point of it changes. Views
        ask for them all at every change, of thousands of points.
    """

    item_name = "landmark"

    def __init__(
        self,
        items: Iterable[LandmarkItem] | Mapping[int, LandmarkItem] = (),
        history: History[LandmarkItem] | None = None,
        next_id: int = 1,
    ) -> None:
        self._known: _Kinds | None = None
        self._rows: dict[int, tuple[Point, ...]] = {}
        self.tallies: dict[int, Tally] = {}
        super().__init__(items, history or History(UNDO_DEPTH), next_id)

    def fit(self, item: LandmarkItem) -> LandmarkItem:
        """Return the item; ValueError if it is not sound."""
        return fit_item(item)

    # -- asking ----------------------------------------------------------------------------------

    def images(self) -> tuple[int, ...]:
        """Return the ids of the images, in the order in which they were added."""
        return self._kinds().images

    def names(self) -> tuple[int, ...]:
        """Return the ids of the landmarks, in the order of the list."""
        return self._kinds().names

    def image(self, key: int) -> LandmarkImage:
        """Return an image; KeyError if there is no such one."""
        item = self._items[key]
        if not isinstance(item, LandmarkImage):
            raise KeyError(key)
        return item

    def name(self, key: int) -> LandmarkName:
        """Return a landmark of the list; KeyError if there is no such one."""
        item = self._items[key]
        if not isinstance(item, LandmarkName):
            raise KeyError(key)
        return item

    def point(self, image: int, name: int) -> Point:
        """Return a landmark in an image; "undefined" if nothing is known of it."""
        key = self._kinds().points.get((image, name))
        item = None if key is None else self._items[key]
        return item if isinstance(item, Point) else Point(image, name)

    def points_of(self, image: int) -> tuple[Point, ...]:
        """Return the points of an image in the order of the list."""
        row = self._rows.get(image)
        if row is None:
            row = self._rows[image] = tuple(self.point(image, name) for name in self.names())
        return row

    def templates(self, name: int) -> tuple[Point, ...]:
        """Return the points that other images are compared with, in the order of the images."""
        points = (self.point(image, name) for image in self.images())
        return tuple(point for point in points if point.is_template)

    def find_name(self, name: str) -> int | None:
        """Return the id of the landmark of this name, None if there is none."""
        return next((key for key in self.names() if self.name(key).name == name), None)

    def find_image(self, name: str) -> int | None:
        """Return the id of the image of this name, None if there is none."""
        return next((key for key in self.images() if self.image(key).name == name), None)

    def next_free(self, image: int) -> int | None:
        """Return the first landmark of the list that a person has not decided about in an image."""
        return next((p.name for p in self.points_of(image) if not p.is_decided), None)

    def _kinds(self) -> _Kinds:
        if self._known is None:
            images = [k for k, item in self._items.items() if isinstance(item, LandmarkImage)]
            names = {k: i for k, i in self._items.items() if isinstance(i, LandmarkName)}
            points = {
                (item.image, item.name): key
                for key, item in self._items.items()
                if isinstance(item, Point)
            }
            ordered = sorted(names, key=lambda key: (names[key].order, key))
            self._known = _Kinds(tuple(sorted(images)), tuple(ordered), points)
        return self._known

    def _put(self, values: Mapping[int, LandmarkItem | None], name: str) -> None:
        if any(
            item is None or key not in self._items or isinstance(item, LandmarkName)
            for key, item in values.items()
        ):
            self._known = None
        for key, item in values.items():
            for side in (item, self._items.get(key)):
                if isinstance(side, Point):
                    self._rows.pop(side.image, None)
                    self.tallies.pop(side.image, None)
                elif isinstance(side, LandmarkName):
                    self._rows.clear()
                    self.tallies.clear()
        super()._put(values, name)

    # -- images ----------------------------------------------------------------------------------

    def add_images(self, images: Sequence[LandmarkImage]) -> tuple[int, ...]:
        """Add images and return their ids; those whose file is there already are not added.

        A name that is in use gets the name of its folder before it, or else a number.
        """
        known = {self.image(key).source for key in self.images()}
        taken = {self.image(key).name for key in self.images()}
        fresh = []
        for image in images:
            if image.source in known:
                continue
            known.add(image.source)
            name = free_name(clean_image_name(image.name) or "image", image.ref, taken)
            taken.add(name)
            fresh.append(replace(image, name=name))
        return self.add(*fresh, name="add images") if fresh else ()

    def remove_images(self, keys: Iterable[int]) -> None:
        """Take images off the set with their points; the files stay."""
        self._remove_with_points({self.image(key): key for key in keys}.values(), "remove images")

    def note_size(self, key: int, width: int, height: int) -> None:
        """Take in how large an image is, in pixels."""
        if key in self._items:
            self.note({key: replace(self.image(key), width=width, height=height)})

    def set_spacing(self, keys: Iterable[int], spacing_mm: tuple[float, float] | None) -> None:
        """Say how far apart the pixels of images are, `(x, y)` in mm; None if not known."""
        if spacing_mm is not None and not all(1e-6 <= side <= 1e6 for side in spacing_mm):
            raise UserError(
                f"A pixel of {spacing_mm!r} mm came; due is a size above 0. Look it up in the "
                "header of the image."
            )
        changed = {key: replace(self.image(key), spacing_mm=spacing_mm) for key in keys}
        self.update(changed, "set pixel size")

    # -- the list --------------------------------------------------------------------------------

    def add_name(self, name: str, color: Color | None = None, description: str = "") -> int:
        """Add a landmark at the end of the list and return its id.

        Raises
        ------
        UserError
            If the name is empty or in use.
        """
        others = [self.name(key) for key in self.names()]
        color = color or next_color(item.color for item in others)
        order = max((item.order for item in others), default=-1) + 1
        item = LandmarkName(self._checked_name(name), color, description, order)
        return self.add(item, name="add landmark")[0]

    def rename(self, key: int, name: str) -> None:
        """Give a landmark another name; UserError if it is empty or in use."""
        before = self.name(key)
        if clean_name(name) != before.name:
            fresh = replace(before, name=self._checked_name(name))
            self.update({key: fresh}, "rename landmark")

    def recolor(self, key: int, color: Color) -> None:
        """Give a landmark another colour."""
        self.update({key: replace(self.name(key), color=color)}, "recolour landmark")

    def describe(self, key: int, description: str) -> None:
        """Say in words what a landmark is."""
        item = replace(self.name(key), description=description)
        self.update({key: item}, "describe landmark")

    def move_name(self, key: int, by: int) -> None:
        """Move a landmark up (negative) or down the list."""
        keys = list(self.names())
        place = keys.index(key)
        keys.insert(min(max(place + by, 0), len(keys) - 1), keys.pop(place))
        values = {k: replace(self.name(k), order=n) for n, k in enumerate(keys)}
        self.update(values, "reorder landmarks")

    def remove_name(self, key: int) -> None:
        """Take a landmark off the list, with its points in all images."""
        self.name(key)
        self._remove_with_points([key], "remove landmark")

    def _checked_name(self, name: str) -> str:
        name = clean_name(name)
        if not name:
            raise UserError("A landmark needs a name.")
        if self.find_name(name) is not None:
            raise UserError(f"There is a landmark {name!r} already. Choose another name.")
        return name

    def _remove_with_points(self, keys: Iterable[int], name: str) -> None:
        gone = set(keys)
        points = [key for pair, key in self._kinds().points.items() if gone & set(pair)]
        self.remove([*gone, *points], name)

    # -- points of a person ----------------------------------------------------------------------

    def place(
        self, image: int, name: int, x: float, y: float, *, is_template: bool | None = None
    ) -> None:
        """Put a landmark at a place that a person chose; it is confirmed.

        Parameters
        ----------
        image, name
            Ids.
        x, y
            Place in pixels, brought into the image if its size is known.
        is_template
            Whether other images are compared with it; by default as before.

        Raises
        ------
        UserError
            If it is locked.
        """
        former = self._free(image, name)
        x, y = self._inside(image, x, y)
        point = Point(image, name, "confirmed", x, y, None, former.is_template)
        if is_template is not None:
            point = replace(point, is_template=is_template)
        label = self.name(name).name
        self._change([point], f"{'move' if former.place else 'place'} {label}")

    def pick(self, image: int, name: int, found: Proposal) -> None:
        """Take another place that the program offers; UserError if the point is locked."""
        former = self._free(image, name)
        point = Point(image, name, "found", found.x, found.y, found.score, is_picked=True)
        self._change([replace(point, is_template=former.is_template)], "next candidate")

    def confirm(self, ids: Iterable[PointId]) -> int:
        """Say that points are where they belong; return how many could be confirmed."""
        points = [self.point(*pair) for pair in ids]
        found = [point for point in points if point.state == "found"]
        fresh = [replace(p, state="confirmed", score=None, is_picked=False) for p in found]
        self._change(fresh, "confirm")
        return len(found)

    def set_absent(self, ids: Iterable[PointId]) -> None:
        """Say that images do not show landmarks; UserError if one is locked."""
        self._change([Point(*pair, "absent") for pair in self._all_free(ids)], "not in this image")

    def clear(self, ids: Iterable[PointId]) -> None:
        """Make points undefined; UserError if one is locked."""
        self._change([Point(*pair) for pair in self._all_free(ids)], "clear")

    def set_locked(self, ids: Iterable[PointId], is_locked: bool) -> None:
        """Lock points, so that nobody changes them, or unlock them.

        Raises
        ------
        UserError
            If there is nothing to lock: the point is undefined.
        """
        points = [self.point(*pair) for pair in ids]
        if is_locked and any(point.state == "undefined" for point in points):
            raise UserError("There is nothing to lock: the landmark is undefined in this image.")
        if is_locked:
            fresh = [replace(point, state="locked", is_picked=False) for point in points]
        else:
            fresh = [
                replace(p, state="absent" if p.place is None else "confirmed", score=None)
                for p in points
                if p.state == "locked"
            ]
        self._change(fresh, "lock" if is_locked else "unlock")

    def set_template(self, image: int, name: int, is_template: bool) -> None:
        """Compare other images with a point too, or no more.

        Raises
        ------
        UserError
            If a person has not said where it is.
        """
        point = self.point(image, name)
        if is_template and not point.is_placed:
            raise UserError(
                "Only a point that a person placed or confirmed can be a template. Confirm it "
                "first."
            )
        self._change([replace(point, is_template=is_template)], "use as template")

    def use_as_templates(self, ids: Iterable[PointId]) -> None:
        """Compare other images with points that a person placed; one entry of the history."""
        points = [replace(self.point(*pair), is_template=True) for pair in ids]
        self._change(points, "use as templates")

    def conflicts(self, points: Iterable[Point]) -> tuple[PointId, ...]:
        """Return which points of a person `put` would have to overwrite with these."""
        pairs = []
        for point in points:
            former = self.point(point.image, point.name)
            if former.is_by_person and _says(former) != _says(point):
                pairs.append((point.image, point.name))
        return tuple(pairs)

    def put(self, points: Iterable[Point], name: str, *, overwrite: bool = False) -> int:
        """Take in points from elsewhere: a file, or another image. One entry of the history.

        Parameters
        ----------
        points
            What to take in. Locked points here stay as they are, and so do those that are there
            already; one that other images are compared with remains such a template.
        name
            What the history says.
        overwrite
            Whether points of a person may be overwritten: ask with `conflicts` first.

        Returns
        -------
        int
            How many were taken in.
        """
        listed = list(points)
        kept = set() if overwrite else set(self.conflicts(listed))
        taken = [
            point
            for point in listed
            if (point.image, point.name) not in kept
            and self.point(point.image, point.name).state != "locked"
        ]
        self._change([self._fitted_in(point) for point in taken], name)
        return len(taken)

    def _fitted_in(self, point: Point) -> Point:
        """Return a point from elsewhere with what only this set knows of it."""
        former = self.point(point.image, point.name)
        if former.is_by_person and _says(former) == _says(point):
            return former
        is_template = former.is_template and point.is_placed
        return replace(point, is_template=is_template)

    def copied(self, source: int, target: int, names: Iterable[int] | None = None) -> list[Point]:
        """Return the points of an image as they would lie in another, to be `put` there.

        Places are scaled by the sizes of both images, if those are known. What has no place in
        the source is left out.
        """
        one, other = self.image(source), self.image(target)
        has_sizes = all((one.width, one.height, other.width, other.height))
        across = other.width / one.width if has_sizes else 1.0
        down = other.height / one.height if has_sizes else 1.0
        points = []
        for name in self.names() if names is None else names:
            place = self.point(source, name).place
            if place is not None:
                x = (place[0] + 0.5) * across - 0.5
                y = (place[1] + 0.5) * down - 0.5
                points.append(Point(target, name, "confirmed", x, y))
        return points

    # -- points of the program -------------------------------------------------------------------

    def propose(self, found: Mapping[PointId, Proposal]) -> int:
        """Note what the program found; what a person made is left alone. No step of the history.

        Returns
        -------
        int
            How many points are otherwise now.
        """
        fresh = []
        for (image, name), told in found.items():
            if image not in self._items or name not in self._items:
                continue  # gone while it was searched
            if self.point(image, name).is_by_person:
                continue
            state: State = "absent" if told.x is None else "found"
            fresh.append(Point(image, name, state, told.x, told.y, told.score))
        return self._note_points(fresh)

    def forget_found(self, name: int) -> int:
        """Make what the program said of a landmark undefined: its template is gone."""
        points = (self.point(image, name) for image in self.images())
        stale = [p for p in points if p.state != "undefined" and not p.is_by_person]
        return self._note_points([Point(point.image, name) for point in stale])

    def replay(self, kind: str, edit: Edit[LandmarkItem]) -> None:
        """See `ItemStore.replay`."""
        self._known = None
        self._rows.clear()
        self.tallies.clear()
        super().replay(kind, edit)

    # -- inside ----------------------------------------------------------------------------------

    def _note_points(self, points: Sequence[Point]) -> int:
        keys = self._keys_of([(point.image, point.name) for point in points])
        values = dict(zip(keys, points, strict=True))
        changed = sum(self._items[key] != point for key, point in values.items())
        self.note(values)
        return changed

    def _change(self, points: Sequence[Point], name: str) -> None:
        """Make points as a person wants them: one entry of the history."""
        if points:
            keys = self._keys_of([(point.image, point.name) for point in points])
            self.update(dict(zip(keys, points, strict=True)), name)

    def _keys_of(self, pairs: Sequence[PointId]) -> list[int]:
        """Return the ids of points; those that were never touched are made, "undefined".

        That is no step of the history: undo puts a point back, it never takes its id away, so that
        no point is ever there twice.
        """
        known = self._kinds().points
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        if missing:
            for image, name in missing:
                self.image(image), self.name(name)
            first = self._next_id
            self._next_id += len(missing)
            self.note({first + n: Point(*pair) for n, pair in enumerate(missing)})
            known = self._kinds().points
        return [known[pair] for pair in pairs]

    def _free(self, image: int, name: int) -> Point:
        point = self.point(image, name)
        if point.state == "locked":
            raise UserError(
                f"The landmark {self.name(name).name!r} is locked in "
                f"{self.image(image).name!r}. Unlock it first."
            )
        return point

    def _all_free(self, ids: Iterable[PointId]) -> list[PointId]:
        listed = list(ids)
        for pair in listed:
            self._free(*pair)
        return listed

    def _inside(self, key: int, x: float, y: float) -> tuple[float, float]:
        image = self.image(key)
        if not image.width or not image.height:
            return x, y
        return min(max(x, -0.5), image.width - 0.5), min(max(y, -0.5), image.height - 0.5)


def _says(point: Point) -> tuple[object, ...]:
    """Return what a person would see of a point."""
    return point.place, point.state, point.is_visible
