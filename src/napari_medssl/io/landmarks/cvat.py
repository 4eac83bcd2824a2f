"""Read points and skeletons of CVAT's XML 1.1, of images and of videos.

`<points>` is a landmark of its label, several if it has several places ("x,y;x,y"); a `<skeleton>`
has one `<points>` for each of its labels. Both lie in an `<image>`, or in a `<track>` with a number
of frame; a frame is named as CVAT names it when it writes one out, "frame_000012". `outside` is
"not in this image", `occluded` a hidden point, `source="auto"` one that a program placed. Boxes,
outlines and the rest are counted and left out. XML with entities is refused.

Places are taken as they stand, as CVAT's own export to COCO keypoints has them.
https://docs.cvat.ai/docs/other/xml_format
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from napari_medssl.io.annotations.documents import parse_xml, show
from napari_medssl.io.annotations.shapes import as_side
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks.collector import Collector, label_or, parse_number, refusal
from napari_medssl.io.landmarks.landmark import Landmark, LandmarkFile, State

_AGAIN = "Export the annotations again, as 'CVAT for images 1.1'."
_NO_SHAPE = frozenset(("attribute", "tag"))


def read_cvat(path: Path) -> LandmarkFile:
    """Return the landmarks in the XML file at `path`."""
    root = parse_xml(path)
    if root.tag != "annotations":
        todo = f"Landmarks in XML are read from CVAT, <annotations>. {_AGAIN}"
        raise refusal(path, f"XML that begins with <{show(str(root.tag))[1:-1]}>", todo)
    gathered = Collector(path, "cvat")
    others = 0
    for image in root.findall("image"):
        name = clean_image_name(image.get("name", ""))
        if not name:
            raise refusal(path, f"image {show(image.get('id'))} has no name", _AGAIN)
        sides = (as_side(parse_number(image.get(side, ""))) for side in ("width", "height"))
        name = gathered.add_image(name, *sides)
        others += sum(_add_shape(shape, name, "", gathered) for shape in image)
    width, height = (_video_side(root, side) for side in ("width", "height"))
    for track in root.findall("track"):
        for shape in track:
            name = gathered.add_image(_frame_name(shape, path), width, height)
            others += _add_shape(shape, name, track.get("label", ""), gathered)
    if others:
        gathered.note(f"{others} boxes, outlines and other shapes left out")
    return gathered.file()


def _add_shape(shape: Element, image: str, label: str, gathered: Collector) -> int:
    """Add the points of a shape of an image; return how many shapes were no points."""
    if shape.tag != "skeleton":
        return _add_points(shape, image, label, gathered)
    return sum(_add_points(part, image, "", gathered) for part in shape)


def _add_points(shape: Element, image: str, label: str, gathered: Collector) -> int:
    """Add the places of one label; return 1 if it is another shape, else 0."""
    if shape.tag != "points":
        return int(shape.tag not in _NO_SHAPE)
    label = label_or(shape.get("label") or label, "")
    what = f"a point of {show(image)}"
    if not label:
        raise refusal(gathered.path, f"{what} has no label", _AGAIN)
    if shape.get("outside") == "1":
        gathered.add(image, Landmark(label, state="absent"))
        return 0
    is_visible = shape.get("occluded") != "1"
    state: State = "found" if shape.get("source") in ("auto", "semi-auto") else "confirmed"
    for x, y in _places(shape.get("points", ""), f"{what}, {show(label)},", gathered.path):
        gathered.add(image, Landmark(label, x, y, state, is_visible=is_visible))
    return 0


def _places(text: str, what: str, path: Path) -> Iterator[tuple[float, float]]:
    """Yield the places of "x,y;x,y"."""
    for pair in text.split(";"):
        values = [parse_number(number) for number in pair.split(",")]
        if len(values) != 2 or values[0] is None or values[1] is None:
            todo = f"Due is x,y;x,y with finite numbers in pixels. {_AGAIN}"
            raise refusal(path, f"{what} has the points {show(text)}", todo)
        yield values[0], values[1]


def _frame_name(shape: Element, path: Path) -> str:
    number = shape.get("frame", "")
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise refusal(path, f"a shape of a track has the frame {show(number)}", _AGAIN)
    return f"frame_{int(number):06d}"


def _video_side(root: Element, side: str) -> int:
    text = root.findtext(f"meta/task/original_size/{side}") or ""
    return as_side(parse_number(text))
