"""What a person keeps of searches in a library: the last examples, concepts, marks of tiles.

A folder `LIBRARY/searches` holds `journal.jsonl`, to which every change is appended at once, so
that it survives a kill, and `lock`, which one window at a time holds. The journal is made shorter
when it is opened.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.files import make_folder
from napari_medssl.state.journal import Journal, Record, read_journal
from napari_medssl.state.lock import FolderLock
from napari_medssl.state.search_examples import Area, Example

FOLDER = "searches"
_MOST_DIM = 65_536


@dataclass(frozen=True, slots=True)
class Concept:
    """A named set of examples.

    Attributes
    ----------
    name
        As a person called it.
    collection
        Name of the collection whose encoder made the examples.
    examples
        What is wanted and what is not.
    threshold
        Least similarity that counts as a tile of its kind; None until one was chosen.
    """

    name: str
    collection: str
    examples: tuple[Example, ...]
    threshold: float | None = None


@dataclass
class _Content:
    queries: dict[str, tuple[Example, ...]] = field(default_factory=dict)
    concepts: dict[str, Concept] = field(default_factory=dict)
    marks: dict[Area, str] = field(default_factory=dict)


class SearchNotes:
    """The notes of a library, open for editing. Use from one thread at a time.

    Make one with `open`; call `close` at the end.
    """

    def __init__(self, folder: Path, lock: FolderLock, content: _Content) -> None:
        self.folder = folder
        self._lock = lock
        self._content = content
        self._journal: Journal | None = None

    @classmethod
    def open(cls, library: Path) -> SearchNotes:
        """Open the notes of a library; make them if missing. Damaged lines are passed over.

        Raises
        ------
        UserError
            If another window has them open, or they cannot be written.
        """
        folder = make_folder(library / FOLDER)
        lock = FolderLock(folder / "lock", "searches folder")
        try:
            replay = read_journal(folder / "journal.jsonl")
            content = _Content()
            for record in replay.records:
                _replay(content, record)
            notes = cls(folder, lock, content)
            notes._journal = Journal(folder / "journal.jsonl")
            if len(replay.records) > 2 * len(notes._records()) + 100:
                notes._journal.compact(notes._records())
        except OSError as error:
            lock.release()
            raise UserError(
                f"The searches in {str(folder)!r} cannot be read: {error.strerror or error}."
            ) from error
        except BaseException:
            lock.release()
            raise
        return notes

    @property
    def save_error(self) -> str | None:
        """Why the last change is not on disk, None if it is or will be in a moment."""
        return None if self._journal is None else self._journal.error

    # -- what there is ---------------------------------------------------------------------------

    def query(self, collection: str) -> tuple[Example, ...]:
        """Return the examples that a collection was searched with last."""
        return self._content.queries.get(collection, ())

    def concepts(self, collection: str) -> tuple[Concept, ...]:
        """Return the concepts of a collection, by name."""
        found = self._content.concepts.values()
        return tuple(sorted((c for c in found if c.collection == collection), key=lambda c: c.name))

    @property
    def marks(self) -> Mapping[Area, str]:
        """Marked areas, with their words."""
        return self._content.marks

    # -- editing ---------------------------------------------------------------------------------

    def keep_query(self, collection: str, examples: Sequence[Example]) -> None:
        """Remember the examples of the present search."""
        self._add(_query_record(collection, tuple(examples)))

    def keep_concept(self, concept: Concept) -> None:
        """Add a concept, or put it in the place of the one of that name."""
        self._add(_concept_record(concept))

    def drop_concept(self, collection: str, name: str) -> None:
        """Forget a concept."""
        self._add({"kind": "no concept", "collection": collection, "name": name})

    def mark(self, area: Area, words: str) -> None:
        """Mark an area; no words take the mark off."""
        self._add({"kind": "mark", "area": _area_row(area), "words": words})

    def close(self) -> bool:
        """Write what is left and let go of the folder; return False if something was not saved."""
        journal, self._journal = self._journal, None
        try:
            return journal is None or journal.close()
        finally:
            self._lock.release()

    def _add(self, record: Record) -> None:
        _replay(self._content, record)
        if self._journal is not None:
            self._journal.append(record)

    def _records(self) -> list[Record]:
        content = self._content
        return [
            *(_query_record(name, examples) for name, examples in content.queries.items()),
            *(_concept_record(concept) for concept in content.concepts.values()),
            *(
                {"kind": "mark", "area": _area_row(area), "words": words}
                for area, words in content.marks.items()
            ),
        ]


def _replay(content: _Content, record: Record) -> None:
    """Take in a record; one that makes no sense is passed over."""
    try:
        kind = record["kind"]
        if kind == "query":
            examples = tuple(map(_example, record["examples"]))
            content.queries[str(record["collection"])] = examples
        elif kind == "concept":
            concept = _concept(record)
            content.concepts[f"{concept.collection}/{concept.name}"] = concept
        elif kind == "no concept":
            content.concepts.pop(f"{record['collection']}/{record['name']}", None)
        elif kind == "mark":
            area = _area(record["area"])
            if record["words"]:
                content.marks[area] = str(record["words"])
            else:
                content.marks.pop(area, None)
    except (KeyError, TypeError, ValueError, AttributeError):
        return


def _query_record(collection: str, examples: tuple[Example, ...]) -> Record:
    return {
        "kind": "query",
        "collection": collection,
        "examples": [_example_row(one) for one in examples],
    }


def _concept_record(concept: Concept) -> Record:
    return {
        "kind": "concept",
        "collection": concept.collection,
        "name": concept.name,
        "examples": [_example_row(one) for one in concept.examples],
        "threshold": concept.threshold,
    }


def _concept(record: Record) -> Concept:
    threshold = record["threshold"]
    return Concept(
        str(record["name"]),
        str(record["collection"]),
        tuple(map(_example, record["examples"])),
        None if threshold is None else float(threshold),
    )


def _example_row(example: Example) -> dict[str, Any]:
    vector = np.asarray(example.vector, "<f4").tobytes()
    return {
        "vector": base64.b64encode(vector).decode("ascii"),
        "area": None if example.area is None else _area_row(example.area),
        "source": example.source,
        "is_wanted": example.is_wanted,
        "is_indexed": example.is_indexed,
    }


def _example(row: Mapping[str, Any]) -> Example:
    vector = np.frombuffer(base64.b64decode(row["vector"], validate=True), "<f4")
    if not 0 < len(vector) <= _MOST_DIM or not np.isfinite(vector).all():
        raise ValueError("no embedding")
    area = None if row["area"] is None else _area(row["area"])
    return Example(
        vector.astype(np.float32),
        area,
        str(row["source"]),
        bool(row["is_wanted"]),
        bool(row["is_indexed"]),
    )


def _area_row(area: Area) -> list[Any]:
    return [area.slide, area.x, area.y, area.width, area.height]


def _area(row: Sequence[Any]) -> Area:
    slide, *numbers = row
    x, y, width, height = map(float, numbers)
    return Area(str(slide), x, y, width, height)
