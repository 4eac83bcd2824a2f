"""Read which licence each figure has, from a CSV table or a COCO file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from napari_medssl._errors import UserError

_LICENCE = ("licence", "license")


def read_licences(path: Path) -> dict[str, str]:
    """Return the licence by file name, without folders.

    A CSV file has the columns `file_name` and `licence` (or `license`); a COCO file has a text
    `licence` or `license` on its images, or a number that its `licenses` explain.

    Raises
    ------
    UserError
        If the file cannot be read or names no licence.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = _of_coco(text) if path.suffix.lower() == ".json" else _of_csv(text)
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise UserError(
            f"Cannot read licences from {str(path)!r} ({type(error).__name__}: {error}). Give a "
            "CSV file with the columns file_name and licence, or a COCO file."
        ) from error
    if not found:
        raise UserError(f"{str(path)!r} names no licence. Give columns file_name and licence.")
    return found


def _of_csv(text: str) -> dict[str, str]:
    found = {}
    for row in csv.DictReader(text.splitlines()):
        licence = next((row[name] for name in _LICENCE if row.get(name)), None)
        if licence and row.get("file_name"):
            found[_base(row["file_name"])] = licence
    return found


def _of_coco(text: str) -> dict[str, str]:
    content = json.loads(text)
    names = {row["id"]: str(row["name"]) for row in content.get("licenses", ())}
    found = {}
    for image in content["images"]:
        licence = next((image[name] for name in _LICENCE if image.get(name) is not None), None)
        if licence is not None:
            found[_base(str(image["file_name"]))] = names.get(licence, str(licence))
    return found


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]
