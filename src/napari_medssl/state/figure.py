"""One image of a project: where its file is, what a person said about it, its boxes and history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl.io.boxes import Box
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.history import History, box_from_row, box_to_row
from napari_medssl.state.queue import ReviewState

_SAMPLE = 1 << 16


def fingerprint_of(path: Path) -> str:
    """Return a text that tells files apart: size and SHA-256 of the first and last 64 KiB.

    Empty if the file cannot be read. A full hash of a large PDF would take seconds.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            digest = hashlib.sha256()
            for start in (0, max(0, size - _SAMPLE)):
                stream.seek(start)
                digest.update(stream.read(_SAMPLE))
    except OSError:
        return ""
    return f"{size}:{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class FigureInfo:
    """What is known of an image file.

    `path` is relative to the folder that holds the project where it can be, with forward slashes.
    `page` is the page of a PDF, counted from 1, None for other files. `width` and `height` are in
    pixels, 0 until the image was read. `fingerprint` is that of `fingerprint_of`.
    """

    key: str
    path: str
    page: int | None = None
    width: int = 0
    height: int = 0
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """Name for a person: the file's, with the page of a PDF."""
        name = self.path.rsplit("/", 1)[-1]
        return name if self.page is None else f"{name}#page={self.page}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FigureInfo:
        """Return what `to_json` gave; KeyError, TypeError or ValueError if it is none."""
        page = data["page"]
        return cls(
            str(data["key"]),
            str(data["path"]),
            None if page is None else int(page),
            int(data["width"]),
            int(data["height"]),
            str(data["fingerprint"]),
        )


@dataclass(slots=True)
class Figure:
    """A figure of an open project.

    `store` is None until the size of the image is known. `sequence` numbers the last journal
    record that is already in the figure's own file, `changed` the last one about this figure.
    """

    info: FigureInfo
    state: ReviewState = ReviewState.TO_DO
    store: BoxStore | None = None
    sequence: int = 0
    is_dirty: bool = False
    changed: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes, none if the image was never read."""
        return self.store.boxes() if self.store is not None else ()

    def encode(self, sequence: int) -> bytes:
        """Return the content of the figure's file, all journal records up to `sequence` in it."""
        data: dict[str, Any] = {
            "sequence": sequence,
            "info": self.info.to_json(),
            "state": self.state.value,
            "extra": self.extra,
        }
        if self.store is not None:
            data["next_id"] = self.store.next_id
            data["boxes"] = {str(k): box_to_row(box) for k, box in self.store.as_dict().items()}
            data["history"] = self.store.history.to_json(box_to_row)
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")

    @classmethod
    def decode(cls, data: bytes) -> Figure:
        """Return the figure of a file.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            If the file is damaged.
        """
        content = json.loads(data)
        figure = cls(
            FigureInfo.from_json(content["info"]),
            ReviewState(content["state"]),
            None,
            int(content["sequence"]),
            extra=dict(content.get("extra", {})),
        )
        if "boxes" in content:
            boxes = {int(key): box_from_row(row) for key, row in content["boxes"].items()}
            figure.store = BoxStore(
                figure.info.width,
                figure.info.height,
                boxes,
                History.from_json(content["history"], box_from_row),
                int(content["next_id"]),
            )
        return figure
