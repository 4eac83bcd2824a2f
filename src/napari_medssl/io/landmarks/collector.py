"""Gather the landmarks of a file by image while it is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.annotations.shapes import as_number
from napari_medssl.io.image_names import clean_image_name
from napari_medssl.io.landmarks.landmark import (
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    clean_name,
)

MOST_LANDMARKS = 1_000_000
"""Points of one file: ten thousand images with a hundred each."""

MAX_BYTES = 100_000_000
"""Size of the largest file of landmarks."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def refusal(path: Path, what: str, todo: str) -> UserError:
    """Return the error of a file: what came and was due, and what to do."""
    return UserError(f"Cannot read {str(path)!r}: {what}. {todo}")


def parse_number(text: str) -> float | None:
    """Return a decimal number of sensible size, None for all other texts (nan, inf, 1_000)."""
    stripped = text.strip()
    return as_number(float(stripped)) if _NUMBER.fullmatch(stripped) else None


@dataclass(slots=True)
class Collector:
    """Puts each landmark to its image; order of images and landmarks is that of the file."""

    path: Path
    format: str
    _images: dict[str, ImageLandmarks] = field(default_factory=dict)
    _found: dict[str, dict[str, Landmark]] = field(default_factory=dict)
    _used: dict[str, Counter[str]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _count: int = 0
    _renamed: int = 0

    def add_image(self, name: str, width: int = 0, height: int = 0) -> str:
        """Make an image known, even if it gets no landmark; return its name as it is kept."""
        name = clean_image_name(name)
        if name not in self._images:
            self._images[name] = ImageLandmarks(name, (), width, height)
            self._found[name] = {}
            self._used[name] = Counter()
        return name

    def has(self, image: str, label: str) -> bool:
        """Say whether the image has a landmark of this label."""
        return label in self._found.get(image, {})

    def add(self, image: str, landmark: Landmark) -> None:
        """Add a landmark; if its label is taken in this image, it is numbered ("eye 2")."""
        name = self.add_image(image)
        taken = self._found[name]
        label = self._free_label(landmark.label, taken, self._used[name])
        if label != landmark.label:
            self._renamed += 1
            landmark = replace(landmark, label=label)
        taken[label] = landmark
        self._count += 1
        if self._count > MOST_LANDMARKS:
            raise refusal(self.path, f"more than {MOST_LANDMARKS} landmarks", "Split the file.")

    def note(self, text: str) -> None:
        """Tell something that was not kept."""
        self._notes.append(f"{self.path.name}: {text}")

    def file(self) -> LandmarkFile:
        """Return what was gathered; `UserError` if it is nothing at all."""
        if not self._count:
            raise refusal(
                self.path,
                f"no landmarks in this {self.format} file",
                "Give a file with named points.",
            )
        if self._renamed:
            self.note(f"{self._renamed} labels stood twice in an image; they are numbered")
        images = (
            replace(image, landmarks=tuple(self._found[name].values()))
            for name, image in self._images.items()
        )
        return LandmarkFile(tuple(images), self.format, tuple(self._notes), self.path)

    def _free_label(self, label: str, taken: Collection[str], used: Counter[str]) -> str:
        free = label
        while free in taken:
            used[label] += 1
            free = f"{label} {used[label] + 1}"
        return free


def label_or(value: object, instead: str) -> str:
    """Return a label as it is kept, `instead` where `value` is no text or an empty one."""
    return (clean_name(value) if isinstance(value, str) else "") or instead
