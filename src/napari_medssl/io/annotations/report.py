"""What reading an annotation file gives: boxes, and an account of all that is not a box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medssl.io.boxes import ImageBoxes


@dataclass(frozen=True, slots=True)
class BoxFile:
    """The content of an annotation file, or of a folder of them.

    `images` are in the order of the file. `skipped` has one line for each shape, image or file
    that gave no box; `failures` are those of them that were broken, not merely without an inside
    like points and lines. `notes` has a line for each oddity of what was kept.
    File names are relative to `folder`. `header` holds the other fields of a COCO file (info,
    licenses, categories), to be written back by `write_boxes`.
    """

    images: tuple[ImageBoxes, ...]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    folder: Path = Path()
    header: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """Collects the lines of a `BoxFile` while it is read; `source` opens each of them."""

    source: str
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def skip(self, what: str, reason: str) -> None:
        """Tell that `what` is sound, but is nothing that gives a box."""
        self.skipped.append(f"{self.source}: {what} skipped: {reason}")

    def fail(self, what: str, reason: str) -> None:
        """Tell that `what` is broken and gave no box."""
        self.skip(what, reason)
        self.failures.append(self.skipped[-1])

    def box_file(
        self, images: Iterable[ImageBoxes], folder: Path, header: dict[str, Any] | None = None
    ) -> BoxFile:
        """Return `images` with the lines collected so far."""
        return BoxFile(
            images=tuple(images),
            skipped=tuple(self.skipped),
            notes=tuple(self.notes),
            failures=tuple(self.failures),
            folder=folder,
            header=header or {},
        )

    def note(self, text: str) -> None:
        """Tell something that a person should know about what was kept."""
        self.notes.append(f"{self.source}: {text}")
