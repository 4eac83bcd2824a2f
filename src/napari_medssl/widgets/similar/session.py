"""What the widget works on: a library, one of its collections, examples and what they found.

No Qt here: gallery, thumbnails and layers are views of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_medssl.backend.stain_rank import HitStain, StainAnswer
from napari_medssl.index.collection import SearchCollection
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.results import Hit, SearchResult, Tile
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.state.search_examples import Area, Example

MOST_HITS = 100


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that a search needs, taken at one moment.

    Attributes
    ----------
    collection
        What is searched.
    examples
        What is wanted and what is not.
    slides, patients
        Fingerprints and patients of whom nothing is to be found.
    top
        How many hits at most.
    """

    collection: SearchCollection
    examples: tuple[Example, ...]
    slides: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()
    top: int = MOST_HITS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question found.

    Attributes
    ----------
    question
        The question.
    direction
        Along which was searched, shape (D,).
    result
        What was found, as it was found.
    stain
        What the stain does for the first of the hits, None as long as that is not known.
    is_stainless
        True if the hits are to stand in the order without stain.
    """

    question: Question
    direction: NDArray[np.float32]
    result: SearchResult
    stain: StainAnswer | None = None
    is_stainless: bool = False

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The hits, best first."""
        found = self.result.hits[0]
        if self.stain is None or not self.is_stainless:
            return found
        return (*(found[n] for n in self.stain.order), *found[len(self.stain.hits) :])

    def stains(self) -> dict[Tile, HitStain]:
        """Return what the stain does for each tile of which it is known."""
        known = () if self.stain is None else self.stain.hits
        pairs = zip(self.result.hits[0], known, strict=False)
        return {hit.tile: stain for hit, stain in pairs if stain is not None}


def answer(question: Question) -> Answer:
    """Search; blocks, and imports faiss at the first time.

    Raises
    ------
    UserError
        If no example is wanted, or they do not fit the collection.
    """
    wanted = [one.vector for one in question.examples if one.is_wanted]
    others = [one.vector for one in question.examples if not one.is_wanted]
    collection = question.collection
    dim = collection.set_up.dim
    direction = collection.combine_vectors(
        np.array(wanted, np.float32).reshape(-1, dim), np.array(others, np.float32).reshape(-1, dim)
    )
    found = collection.search(
        direction,
        question.top,
        exclude_slides=question.slides,
        exclude_patients=question.patients,
        exclude_tiles=_tiles_of(question),
    )
    return Answer(question, direction, found)


def _tiles_of(question: Question) -> list[Tile]:
    """Return the examples that are tiles of the collection still."""
    known = {record.fingerprint for record in question.collection.slides}
    tiles = []
    for one in question.examples:
        if one.is_indexed and one.area is not None and one.area.slide in known:
            nearest = question.collection.nearest_tile(one.area.slide, one.area.middle)
            if (nearest.x, nearest.y) == (one.area.x, one.area.y):
                tiles.append(nearest)
    return tiles


def area_of(tile: Tile) -> Area:
    """Return where a tile is."""
    return Area(tile.slide, tile.x, tile.y, tile.size, tile.size)


class SimilarSession:
    """The state that the parts of the widget share.

    Attributes
    ----------
    library_changed
        Another library is open, or none.
    collection_changed
        Another collection is searched, or none.
    slides_changed
        The slides of the collection are others.
    examples_changed
        Examples came or went, or the switches of the search are others.
    answered
        Hits are there, or none are any more.
    ranked
        The same hits stand in another order, or it is known now what the stain does for them.
    """

    library_changed = Signal()
    collection_changed = Signal()
    slides_changed = Signal()
    examples_changed = Signal()
    answered = Signal()
    ranked = Signal()

    def __init__(self) -> None:
        self.library: Library | None = None
        self.folders: tuple[CollectionFolder, ...] = ()
        self.collection: SearchCollection | None = None
        self.records: dict[str, SlideRecord] = {}
        self.examples: tuple[Example, ...] = ()
        self.answer: Answer | None = None
        self.leaves_slide_out = False
        self.leaves_patient_out = False
        self.takes_stain_away = False
        self.typed_mpp: dict[str, float] = {}

    @property
    def hits(self) -> tuple[Hit, ...]:
        """What the examples found, best first."""
        return () if self.answer is None else self.answer.hits

    # -- library ---------------------------------------------------------------------------------

    def use_library(self, library: Library | None, folders: Sequence[CollectionFolder]) -> None:
        """Work on another library; what was searched in the former is dropped."""
        self.library, self.folders = library, tuple(folders)
        self.use_collection(None)
        self.library_changed.emit()

    def use_collection(self, collection: SearchCollection | None) -> None:
        """Search another collection: its vectors do not compare with those of the former."""
        self.collection = collection
        self._read_records()
        self.examples, self.answer = (), None
        self.collection_changed.emit()
        self.slides_changed.emit()
        self.examples_changed.emit()
        self.answered.emit()

    def note_refreshed(self) -> None:
        """Take in that slides came to the collection or went."""
        self._read_records()
        self.slides_changed.emit()
        self.examples_changed.emit()

    def _read_records(self) -> None:
        found = () if self.collection is None else self.collection.slides
        self.records = {record.fingerprint: record for record in found}

    # -- examples --------------------------------------------------------------------------------

    def ask(self, example: Example) -> None:
        """Search for one example alone."""
        self.set_examples((example.turned(True),))

    def add(self, example: Example) -> None:
        """Search with one example more; one at the same place is replaced."""
        others = [one for one in self.examples if not _is_same_place(one, example)]
        self.set_examples((*others, example))

    def remove(self, example: Example) -> None:
        """Search without an example."""
        self.set_examples(tuple(one for one in self.examples if one is not example))

    def turn(self, example: Example) -> None:
        """Make an example that was wanted unwanted, or the other way round."""
        turned = example.turned(not example.is_wanted)
        self.set_examples(tuple(turned if one is example else one for one in self.examples))

    def set_examples(self, examples: Sequence[Example]) -> None:
        """Search with these examples and no others."""
        self.examples = tuple(examples)
        self.examples_changed.emit()

    def leave_out(self, *, slide: bool, patient: bool) -> None:
        """Find nothing in the slides of the wanted examples, or of their patients."""
        if (slide, patient) != (self.leaves_slide_out, self.leaves_patient_out):
            self.leaves_slide_out, self.leaves_patient_out = slide, patient
            self.examples_changed.emit()

    # -- search ----------------------------------------------------------------------------------

    def question(self) -> Question | None:
        """Return what is to be searched, None if no example is wanted."""
        if self.collection is None or not any(one.is_wanted for one in self.examples):
            return None
        own = {one.area.slide for one in self.examples if one.is_wanted and one.area is not None}
        patients = {self.records[one].patient for one in own if one in self.records} - {""}
        is_left_out = self.leaves_slide_out or self.leaves_patient_out
        return Question(
            self.collection,
            self.examples,
            frozenset(own if is_left_out else ()),
            frozenset(patients if self.leaves_patient_out else ()),
        )

    def take(self, found: Answer | None) -> None:
        """Take in what a search found."""
        self.answer = found and replace(found, is_stainless=self.takes_stain_away)
        self.answered.emit()

    def take_stain(self, question: Question, stain: StainAnswer) -> None:
        """Take in what the stain does for the hits of a question, if that is still asked."""
        if self.answer is not None and self.answer.question is question:
            self.answer = replace(self.answer, stain=stain)
            self.ranked.emit()

    def take_stain_away(self, is_on: bool) -> None:
        """Rank the hits with the stain taken away, or as they were found."""
        if is_on != self.takes_stain_away:
            self.takes_stain_away = is_on
            if self.answer is not None:
                self.answer = replace(self.answer, is_stainless=is_on)
            self.ranked.emit()

    def mpp_of(self, slide: str) -> float | None:
        """Return microns per level-0 pixel as the library knows them, or as a person typed them."""
        record = self.records.get(slide)
        return (record.mpp if record is not None else 0.0) or self.typed_mpp.get(slide)


def _is_same_place(one: Example, other: Example) -> bool:
    if one.area is None or other.area is None:
        return one.area is other.area and one.source == other.source
    return one.area == other.area
