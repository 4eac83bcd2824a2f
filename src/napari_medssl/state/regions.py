"""The regions of one slide with classes, undo and events: the truth that every view mirrors.

What a view needs (the dock widget, a Shapes layer):

- `changed` tells of every step of a drag, `edited` of a finished entry; open a drag with
  `with store.edit("move"):` and call `move` or `reshape` inside.
- An id belongs to a region or to a class: `region_keys()`, `class_keys()`. An `Edit` holds both;
  a view asks `isinstance(item, Region)`. Recolouring a class changes the class alone: redraw the
  regions whose `class_key` it is.
- `Region.feature.roi.shape` is a shapely geometry in pixels of level 0, x before y (napari wants
  rows first); `roi.kind` says with which tool it can be edited: "rectangle", "ellipse",
  "polygon", "line", "point", or "mixed", which can only be moved, deleted and given a class.
- A rectangle is made by `io.geojson.feature.rectangle`, an ellipse by `ellipse`; freehand lines
  are polygons.
- `RegionIndex` says which regions lie under the cursor.
- What a person may do wrong raises `UserError` with the line to show.

More than 300 lines: one class, whose every public method documents what it raises.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_medssl._errors import UserError
from napari_medssl.io.color import Color
from napari_medssl.io.geojson.feature import Feature, Roi, flatten
from napari_medssl.state.colors import check_color, next_color
from napari_medssl.state.history import Edit, History
from napari_medssl.state.items import ItemStore
from napari_medssl.state.region_classes import RegionClass
from napari_medssl.state.region_shapes import check_shape, shift, subtract, unite
from napari_medssl.state.spatial import SpatialIndex

UNDO_DEPTH = 500
_SLACK = 1e-6  # pixels: bounds are half open, outlines are not


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a slide: a feature of QuPath, its class told by the id of a `RegionClass`.

    The `class_name` and `class_color` of `feature` are not used here: `RegionStore.features`
    fills them in.
    """

    feature: Feature
    class_key: int | None = None

    @property
    def shape(self) -> BaseGeometry:
        """The shapely geometry in pixels of level 0."""
        return self.feature.roi.shape

    @property
    def name(self) -> str:
        """The name that a person gave it, "" if none."""
        return self.feature.name

    @property
    def is_locked(self) -> bool:
        """True if it must not be moved, reshaped or deleted."""
        return self.feature.is_locked


Item = Region | RegionClass


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Ids of regions and of classes, and how many regions each class has."""

    regions: tuple[int, ...]
    classes: tuple[int, ...]
    counts: Mapping[int | None, int]


class RegionStore(ItemStore[Item]):
    """Regions and their classes, each edit one entry of the history.

    Parameters
    ----------
    items
        Regions and classes to begin with, by id. They are not an edit.
    history, next_id
        As of `ItemStore`.
    """

    item_name = "region"

    def __init__(
        self,
        items: Iterable[Item] | Mapping[int, Item] = (),
        history: History[Item] | None = None,
        next_id: int = 1,
    ) -> None:
        self._known: _Kinds | None = None  # asked for after every edit, also of 20,000 regions
        super().__init__(items, history or History(UNDO_DEPTH), next_id)

    def fit(self, item: Item) -> Item:
        """Return the item as the store would hold it; ValueError if a shape is not sound."""
        if isinstance(item, RegionClass):
            return replace(item, color=check_color(item.color))
        check_shape(item.shape)
        if not item.feature.class_name and item.feature.class_color is None:
            return item
        return replace(item, feature=replace(item.feature, class_name="", class_color=None))

    # -- asking ----------------------------------------------------------------------------------

    def region_keys(self) -> tuple[int, ...]:
        """Return the ids of the regions, in order."""
        return self._kinds().regions

    def class_keys(self) -> tuple[int, ...]:
        """Return the ids of the classes, in order."""
        return self._kinds().classes

    def class_counts(self) -> Mapping[int | None, int]:
        """Return how many regions each class has, and how many have none, under None."""
        return self._kinds().counts

    def _kinds(self) -> _Kinds:
        if self._known is None:
            regions = {k: item for k, item in self._items.items() if isinstance(item, Region)}
            classes = sorted(k for k in self._items if k not in regions)
            counts = Counter(item.class_key for item in regions.values())
            self._known = _Kinds(tuple(sorted(regions)), tuple(classes), counts)
        return self._known

    def _put(self, values: Mapping[int, Item | None], name: str) -> None:
        self._known = None
        super()._put(values, name)

    def replay(self, kind: str, edit: Edit[Item]) -> None:
        """See `ItemStore.replay`."""
        self._known = None
        super().replay(kind, edit)

    def region(self, key: int) -> Region:
        """Return a region; KeyError if the id is that of none."""
        item = self[key]
        if not isinstance(item, Region):
            raise KeyError(key)
        return item

    def region_class(self, key: int | None) -> RegionClass | None:
        """Return the class of an id, None if the id is None or, after a repair, that of none."""
        item = None if key is None else self._items.get(key)
        return item if isinstance(item, RegionClass) else None

    def classes(self) -> tuple[RegionClass, ...]:
        """Return the classes in order of their ids."""
        return tuple(item for item in self.as_dict().values() if isinstance(item, RegionClass))

    def find_class(self, name: str) -> int | None:
        """Return the id of the class of a name, None if there is none."""
        return next((k for k, i in self._items.items() if _is_class(i, name)), None)

    def keys_of_class(self, key: int | None) -> tuple[int, ...]:
        """Return the ids of the regions of a class; of those without one for None."""
        return tuple(k for k in self.region_keys() if self.region(k).class_key == key)

    def feature(self, key: int) -> Feature:
        """Return a region as a feature, its class filled in."""
        region = self.region(key)
        of_class = self.region_class(region.class_key)
        if of_class is None:
            return region.feature
        return replace(region.feature, class_name=of_class.name, class_color=of_class.color)

    def features(self) -> tuple[Feature, ...]:
        """Return all regions as features, to be written or counted."""
        return tuple(self.feature(key) for key in self.region_keys())

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ids of regions, shape (N,), and their bounds x0, y0, x1, y1, shape (N, 4)."""
        keys = self.region_keys()
        shapes = np.array([self.region(key).shape for key in keys], dtype=object)
        return np.array(keys, dtype=np.int64), shapely.bounds(shapes).reshape(-1, 4)

    # -- classes ---------------------------------------------------------------------------------

    def add_class(self, name: str, color: Color | None = None) -> int:
        """Add a class and return its id; without a colour it gets one that is free.

        Raises
        ------
        UserError
            If the name is empty or in use.
        """
        name = self._free_name(name)
        color = color or next_color(item.color for item in self.classes())
        return self.add(RegionClass(name, color), name="add class")[0]

    def rename_class(self, key: int, name: str) -> None:
        """Give a class another name; UserError if it is empty or in use."""
        before = self._class(key)
        if name.strip() != before.name:
            self.update({key: replace(before, name=self._free_name(name))}, "rename class")

    def recolor_class(self, key: int, color: Color) -> None:
        """Give a class another colour."""
        self.update({key: replace(self._class(key), color=color)}, "recolour class")

    def remove_class(self, key: int) -> None:
        """Take a class off the list; its regions stay, without a class."""
        self._class(key)
        with self.edit("delete class"):
            self.set_class(self.keys_of_class(key), None)
            super().remove([key], "delete class")

    def _class(self, key: int) -> RegionClass:
        found = self.region_class(key)
        if found is None:
            raise KeyError(key)
        return found

    def _free_name(self, name: str) -> str:
        name = name.strip()
        if not name:
            raise UserError("A class needs a name.")
        if self.find_class(name) is not None:
            raise UserError(f"There is a class {name!r} already. Choose another name.")
        return name

    # -- regions ---------------------------------------------------------------------------------

    def draw(self, roi: Roi, class_key: int | None = None, name: str = "") -> int:
        """Add a region that a person drew, an annotation with a UUID, and return its id.

        Raises
        ------
        ValueError
            If the shape is empty or not finite.
        KeyError
            If there is no such class.
        """
        if class_key is not None:
            self._class(class_key)
        feature = Feature(roi, id=str(uuid.uuid4()), name=name)
        return self.add(Region(feature, class_key), name=f"draw {roi.kind}")[0]

    def add_features(self, features: Iterable[Feature], name: str = "import") -> tuple[int, ...]:
        """Add features of a file, children beside their parents; return the ids.

        Classes not on the list are put there in the colour of the file. A feature without an
        id, or with one that is in use, gets a new UUID. One entry of the history.
        """
        taken = {self.region(key).feature.id for key in self.region_keys()}
        classes = {item.name: k for k, item in self._items.items() if isinstance(item, RegionClass)}
        with self.edit(name):
            regions = []
            for feature in flatten(features):
                if not feature.id or feature.id in taken:
                    feature = replace(feature, id=str(uuid.uuid4()))
                taken.add(feature.id)
                regions.append(Region(feature, self._class_of(feature, classes)))
            return self.add(*regions, name=name)

    def _class_of(self, feature: Feature, classes: dict[str, int]) -> int | None:
        """Return the id of the class of a feature; make it, and note it in `classes`, if new."""
        name = feature.class_name  # kept to the letter: it is to be written as it was
        if name and name not in classes:
            color = feature.class_color or next_color(item.color for item in self.classes())
            classes[name] = self.add(RegionClass(name, color), name="add class")[0]
        return classes.get(name)

    def move(self, keys: Iterable[int], dx: float, dy: float) -> None:
        """Shift regions together by pixels; UserError if one is locked."""
        moved = {key: self._shifted(self._free(key), dx, dy) for key in keys}
        self.update(moved, "move")

    def _shifted(self, region: Region, dx: float, dy: float) -> Region:
        return replace(region, feature=shift(region.feature, dx, dy))

    def reshape(self, key: int, roi: Roi, name: str = "reshape") -> None:
        """Give a region the shape of `roi`; UserError if it is locked."""
        region = self._free(key)
        self.update({key: _with_shape(region, roi.shape, roi.is_ellipse)}, name)

    def remove(self, keys: Iterable[int], name: str = "delete") -> None:
        """Delete regions; UserError if one is locked, and then none is deleted."""
        listed = list(keys)
        for key in listed:
            self._free(key)
        super().remove(listed, name)

    def set_class(self, keys: Iterable[int], class_key: int | None) -> None:
        """Give regions a class, or none; locked ones too. KeyError if there is no such class."""
        if class_key is not None:
            self._class(class_key)
        values = {key: replace(self.region(key), class_key=class_key) for key in keys}
        self.update(values, "set class")

    def set_name(self, key: int, name: str) -> None:
        """Give a region a name; "" takes it away."""
        self._set_member([key], "rename", name=name)

    def set_locked(self, keys: Iterable[int], is_locked: bool) -> None:
        """Lock regions against changes of shape and deletion, or unlock them."""
        self._set_member(keys, "lock" if is_locked else "unlock", is_locked=is_locked)

    def _set_member(self, keys: Iterable[int], edit_name: str, **members: object) -> None:
        regions = {key: self.region(key) for key in keys}
        self.update(
            {
                key: replace(region, feature=replace(region.feature, **members))  # type: ignore[arg-type]
                for key, region in regions.items()
            },
            edit_name,
        )

    def merge(self, keys: Iterable[int]) -> int:
        """Make one region of several: the first keeps its id, class and name, the others go.

        Areas become their union, points and lines stay apart in one region.

        Raises
        ------
        UserError
            If there are fewer than two, one is locked, they lie in several planes, or areas,
            lines and points are mixed.
        """
        listed = list(dict.fromkeys(keys))
        regions = [self._free(key) for key in listed]
        if len(listed) < 2:
            raise UserError("Select two regions or more to merge.")
        _check_plane(regions)
        shape = unite([region.feature.roi for region in regions])
        if shape is None:
            raise UserError("Areas, lines and points cannot be merged with each other.")
        values: dict[int, Item | None] = dict.fromkeys(listed[1:])
        values[listed[0]] = _with_shape(regions[0], shape)
        self.update(values, "merge")
        return listed[0]

    def subtract(self, key: int, others: Iterable[int]) -> None:
        """Cut the areas of other regions out of a region; the others stay.

        Raises
        ------
        UserError
            If it is locked or no area, no other is one, or nothing would be left of it.
        """
        region = self._free(key)
        cutters = [self.region(other) for other in others if other != key]
        if not region.feature.roi.has_inside or not any(c.feature.roi.has_inside for c in cutters):
            raise UserError("Select an area, and areas to cut out of it.")
        _check_plane([region, *cutters])
        shape = subtract(region.shape, [cutter.shape for cutter in cutters])
        if shape is None:
            raise UserError("Nothing would be left of the region. Delete it instead.")
        self.update({key: _with_shape(region, shape)}, "subtract")

    def _free(self, key: int) -> Region:
        region = self.region(key)
        if region.is_locked:
            what = f"region {region.name!r}" if region.name else "region"
            raise UserError(f"The {what} is locked. Unlock it first.")
        return region


class RegionIndex(SpatialIndex):
    """Which regions lie under a point or touch a rectangle, by their true outlines."""

    def __init__(self, store: RegionStore) -> None:
        super().__init__(store)
        self._regions = store

    def under(self, x: float, y: float, margin: float = 0.0) -> list[int]:
        """Return ids of the regions under a point, as `SpatialIndex.under` orders them.

        Lines and points have no inside: give a `margin` in pixels to catch them.
        """
        point = shapely.Point(x, y)
        found = super().under(x, y, margin + _SLACK)
        return [k for k in found if self._regions.region(k).shape.distance(point) <= margin]

    def touching(self, x0: float, y0: float, x1: float, y1: float) -> list[int]:
        """Return ids, in order, of the regions that share a point with a rectangle in pixels."""
        frame = shapely.box(x0, y0, x1, y1)
        found = super().touching(x0 - _SLACK, y0 - _SLACK, x1 + _SLACK, y1 + _SLACK)
        return [k for k in found if self._regions.region(k).shape.intersects(frame)]


def _is_class(item: Item, name: str) -> bool:
    return isinstance(item, RegionClass) and item.name == name


def _with_shape(region: Region, shape: BaseGeometry, is_ellipse: bool = False) -> Region:
    roi = replace(region.feature.roi, shape=shape, is_ellipse=is_ellipse)
    return replace(region, feature=replace(region.feature, roi=roi))


def _check_plane(regions: Iterable[Region]) -> None:
    if len({region.feature.roi.plane for region in regions}) > 1:
        raise UserError("The regions lie in several planes (z or time). Select those of one.")
