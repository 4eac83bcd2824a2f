"""Read keypoints of COCO: `images`, `categories[].keypoints`, `annotations[].keypoints`.

An annotation has x, y, v for each keypoint that its category names. v = 0 is a point that is not
marked (its x and y mean nothing), 1 one that is marked though hidden, 2 a visible one. Annotations
without keypoints (boxes, outlines) are counted and left out. `keypoint_states` and
`keypoint_scores`, lists beside `keypoints`, are our own: see the writer. A second object in an
image numbers its labels ("eye 2").
https://cocodataset.org/#format-data
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from napari_medssl.io.annotations.documents import show
from napari_medssl.io.annotations.shapes import as_score, as_side, numbers
from napari_medssl.io.landmarks.collector import Collector, label_or, refusal
from napari_medssl.io.landmarks.landmark import Landmark, LandmarkFile, State

_AGAIN = "Export the annotations again, as COCO keypoints."


def looks_like_coco(content: Any) -> bool:
    """Say whether parsed JSON is meant as a COCO file."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def read_coco(content: Any, path: Path) -> LandmarkFile:
    """Return the landmarks in the parsed JSON `content` of the file `path`."""
    gathered = Collector(path, "coco")
    names = _keypoint_names(content.get("categories"), path)
    images = _image_names(content["images"], gathered)
    entries = content.get("annotations", [])
    if not isinstance(entries, list):
        raise refusal(path, f"its 'annotations' are {show(entries)}, not a list", _AGAIN)
    others = 0
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise refusal(path, f"annotation {number} is {show(entry)}, not an object", _AGAIN)
        what = f"annotation {show(entry.get('id', number))}"
        if entry.get("keypoints") is None:
            others += 1
            continue
        image, category = entry.get("image_id"), entry.get("category_id")
        if not isinstance(image, int | str) or image not in images:
            raise refusal(path, f"{what} is of the image {show(image)}, which is not there", _AGAIN)
        if not isinstance(category, int | str) or category not in names:
            todo = f"Its category must name the keypoints. {_AGAIN}"
            raise refusal(path, f"{what} is of the category {show(category)}", todo)
        for landmark in _landmarks(entry, names[category], what, path):
            gathered.add(images[image], landmark)
    if others:
        gathered.note(f"{others} annotations without keypoints left out")
    return gathered.file()


def _keypoint_names(categories: Any, path: Path) -> dict[int | str, list[str]]:
    """Return the labels of the keypoints of each category that has any, by its id."""
    found: dict[int | str, list[str]] = {}
    for entry in categories if isinstance(categories, list) else []:
        labels = entry.get("keypoints") if isinstance(entry, dict) else None
        if not labels:
            continue
        identity = entry.get("id")
        if not isinstance(labels, list) or not isinstance(identity, int | str):
            raise refusal(path, f"category {show(entry)} has no list of keypoints and id", _AGAIN)
        found[identity] = [label_or(label, f"point {n}") for n, label in enumerate(labels, start=1)]
    if not found:
        todo = f"Boxes and outlines are no landmarks. {_AGAIN}"
        raise refusal(path, "COCO, but none of its 'categories' has 'keypoints'", todo)
    return found


def _image_names(entries: list[Any], gathered: Collector) -> dict[int | str, str]:
    found: dict[int | str, str] = {}
    for number, entry in enumerate(entries, start=1):
        identity = entry.get("id") if isinstance(entry, dict) else None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(identity, int | str) or not label_or(name, ""):
            what = f"image {number} is {show(entry)}, without an id or file_name"
            raise refusal(gathered.path, what, _AGAIN)
        if identity in found:
            raise refusal(gathered.path, f"two images have the id {show(identity)}", _AGAIN)
        sides = as_side(entry.get("width")), as_side(entry.get("height"))
        found[identity] = gathered.add_image(str(name), *sides)
    return found


def _landmarks(entry: dict[str, Any], labels: list[str], what: str, path: Path) -> list[Landmark]:
    """Return the landmarks of one annotation; those that it does not speak of are left out."""
    values = numbers(entry["keypoints"])
    if values is None or len(values) != 3 * len(labels):
        came = show(entry["keypoints"])
        todo = f"Due are x, y and v for each of {len(labels)} points, all finite. {_AGAIN}"
        raise refusal(path, f"{what} has the keypoints {came}", todo)
    states = _beside(entry.get("keypoint_states"), len(labels))
    scores = _beside(entry.get("keypoint_scores"), len(labels))
    found = []
    for at, label in enumerate(labels):
        x, y, seen = values[3 * at : 3 * at + 3]
        if seen not in (0, 1, 2):
            todo = f"Due is 0, 1 or 2. {_AGAIN}"
            raise refusal(path, f"{what} has the visibility {seen:g} for {show(label)}", todo)
        if states is not None and states[at] is None and not seen:
            continue  # the image has no such landmark: written for the sake of the others
        score = None if scores is None else as_score(scores[at])
        state = _state(None if states is None else states[at], bool(seen), score)
        if seen:
            found.append(Landmark(label, x, y, state, score, is_visible=seen == 2))
        else:
            found.append(Landmark(label, state=state, score=score))
    return found


def _beside(values: Any, count: int) -> list[Any] | None:
    return values if isinstance(values, list) and len(values) == count else None


def _state(said: Any, has_place: bool, score: float | None) -> State:
    """Return the state of a point: what the file says where it fits, else what it must be."""
    usual: State = "undefined"
    if has_place:
        usual = "confirmed" if score is None else "found"
    fits = ("found", "confirmed", "locked") if has_place else ("undefined", "absent", "locked")
    return next((s for s in get_args(State) if s == said and s in fits), usual)
