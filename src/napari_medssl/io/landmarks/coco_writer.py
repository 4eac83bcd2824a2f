"""Write keypoints of COCO.

One category names the labels of all images in the order in which they are met first; each image
has one annotation. What COCO has no field for stands in two of our own beside `keypoints`:
`keypoint_scores` (null for none) and `keypoint_states` (null for a label that the image does not
have). `bbox` is that of the points that have a place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.io.files import write_whole
from napari_medssl.io.landmarks.landmark import ImageLandmarks, Landmark


def write_coco(images: Sequence[ImageLandmarks], path: Path) -> tuple[str, ...]:
    """Write `images` to the JSON file `path`, whole or not at all; return what was not known."""
    if not all(image.image for image in images):
        raise UserError(
            f"Cannot write {str(path)!r}: COCO names every image, and one has no name. "
            "Name it, or write CSV."
        )
    labels = list(dict.fromkeys(m.label for image in images for m in image.landmarks))
    numbered = list(enumerate(images, start=1))
    content = {
        "images": [
            {"id": n, "file_name": image.image, "width": image.width, "height": image.height}
            for n, image in numbered
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1} | _fields(image, labels)
            for n, image in numbered
            if image.landmarks
        ],
        "categories": [
            {"id": 1, "name": "landmarks", "supercategory": "", "keypoints": labels, "skeleton": []}
        ],
    }
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    unknown = sum(not (image.width and image.height) for image in images)
    return (f"The size of {unknown} images is not known: written as 0 x 0",) if unknown else ()


def _fields(image: ImageLandmarks, labels: list[str]) -> dict[str, Any]:
    by_label = {landmark.label: landmark for landmark in image.landmarks}
    points = [by_label.get(label) for label in labels]
    keypoints = [value for point in points for value in _triple(point)]
    places = [point.place for point in by_label.values() if point.place is not None]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    left, top = min(xs, default=0.0), min(ys, default=0.0)
    width, height = max(xs, default=0.0) - left, max(ys, default=0.0) - top
    return {
        "iscrowd": 0,
        "bbox": [left, top, width, height],
        "area": width * height,
        "segmentation": [],
        "num_keypoints": len(places),
        "keypoints": keypoints,
        "keypoint_states": [point and point.state for point in points],
        "keypoint_scores": [point and point.score for point in points],
    }


def _triple(landmark: Landmark | None) -> tuple[float, float, int]:
    if landmark is None or landmark.place is None:
        return 0, 0, 0
    return (*landmark.place, 2 if landmark.is_visible else 1)
