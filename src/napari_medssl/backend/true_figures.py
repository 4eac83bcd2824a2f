"""Read figures with true panel boxes: a folder with `images/` and COCO `annotations.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl._errors import UserError


@dataclass(frozen=True)
class TrueFigure:
    """One figure of the data: where it is, its true boxes (N, 4) and the groups it counts in."""

    path: Path
    truth: np.ndarray
    groups: tuple[tuple[str, str], ...] = ()


def read_true_figures(folder: Path) -> list[TrueFigure]:
    """Return the figures of a folder with `images/` and COCO `annotations.json`.

    `file_name` counts from `folder` or from `folder/images`. Images said to be not annotated are
    left out. Raises `UserError` for a file that is missing or no COCO file.
    """
    path = folder / "annotations.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"Cannot read {str(path)!r}: {error.strerror}. Give a folder that holds images/ and "
            "annotations.json (COCO)."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is no JSON text: {error}.") from error
    try:
        boxes: dict[Any, list[list[float]]] = {}
        for annotation in content["annotations"]:
            x, y, width, height = (float(value) for value in annotation["bbox"])
            boxes.setdefault(annotation["image_id"], []).append([x, y, x + width, y + height])
        return [
            TrueFigure(
                _place(folder, str(image["file_name"])),
                np.array(boxes.get(image["id"], []), dtype=float).reshape(-1, 4),
                _groups(image, len(boxes.get(image["id"], []))),
            )
            for image in content["images"]
            if image.get("annotated", True)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{str(path)!r} is no COCO file ({type(error).__name__}: {error}): due are images with "
            "id and file_name, and annotations with image_id and bbox."
        ) from error


def _place(folder: Path, name: str) -> Path:
    """Return where the image lies; a name that leads out of the folder is refused."""
    path = folder / name if (folder / name).is_file() else folder / "images" / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{name!r} in annotations.json leads out of {str(folder)!r}.")
    return path


def _groups(image: dict[str, Any], boxes: int) -> tuple[tuple[str, str], ...]:
    is_compound = bool(image.get("compound", boxes > 1))
    groups = [("all", "all"), ("kind", "compound" if is_compound else "single")]
    for key in ("source", "granularity", "box_origin"):
        if image.get(key):
            # "hand-placed, edges snapped" and "hand-placed, second annotator" are one origin
            groups.append((key, str(image[key]).split(",")[0]))
    return tuple(groups)
