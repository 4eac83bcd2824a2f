"""In which order the images of a set are to be looked at, so that few corrections help much."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from napari_medssl._errors import UserError
from napari_medssl.state.mask_items import MaskImage


def to_correct(items: Mapping[int, MaskImage], wanted: Sequence[int] = ()) -> list[int]:
    """Return the images that nobody has painted, corrected or accepted, the most useful first.

    Those that a person asked for lead; then come predictions, the most undecided first, those of
    which that is not known after them; then images without a mask, in their order. A model learns
    most where it does not know; an image without a prediction says nothing of that.

    Parameters
    ----------
    items
        The images of a set by id.
    wanted
        Ids that a person asked for, such as of a part of a map; others are passed over.
    """
    first = [key for key in dict.fromkeys(wanted) if key in items and not items[key].is_label]
    open_keys = [key for key, item in items.items() if not item.is_label and key not in set(first)]
    return first + most_undecided_first({key: items[key] for key in open_keys})


def most_undecided_first(items: Mapping[int, MaskImage]) -> list[int]:
    """Return images by falling uncertainty; then other predictions, then those without a mask."""

    def rank(key: int) -> tuple[bool, bool, float]:
        item = items[key]
        unknown = item.uncertainty is None
        return not item.has_mask, unknown, -(item.uncertainty or 0.0)

    return sorted(items, key=rank)


def next_to_correct(
    items: Mapping[int, MaskImage],
    current: int | None,
    wanted: Sequence[int] = (),
    passed: Collection[int] = (),
) -> int | None:
    """Return the most useful image that is not in front and was not passed over, None if none is.

    Parameters
    ----------
    items, wanted
        As of `to_correct`.
    current
        The image in front.
    passed
        Images that a person has come to and left as they were.
    """
    queue = (key for key in to_correct(items, wanted) if key != current and key not in passed)
    return next(queue, None)


def keys_of(items: Mapping[int, MaskImage], names: Iterable[str]) -> list[int]:
    """Return the images that are called so or whose file is called so, in the order of the names.

    Raises
    ------
    UserError
        If no image of the set has any of these names.
    """
    by_name: dict[str, int] = {}
    for key, item in items.items():
        for name in (item.source, item.ref.path.name, item.name):
            by_name.setdefault(name, key)
    asked = list(names)
    found = [by_name[name] for name in asked if name in by_name]
    if not found:
        what = f"{asked[0]!r} and others came" if asked else "no name came"
        raise UserError(
            f"No image of this set is asked for: {what}; due are names of its images. Open the "
            "images that the map was made of."
        )
    return list(dict.fromkeys(found))
