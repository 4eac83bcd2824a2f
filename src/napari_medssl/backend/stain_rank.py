"""Rank hits with the stain taken away, and tell which of them were found for their stain.

Every tile (examples, hits, and others of the library to compare with) is read again, brought to one
stain by itself (Reinhard's transfer, see `io.stain`), and embedded. `s` is a hit's similarity as it
was found and `s'` that with the stain taken away. What a similarity is worth depends on the encoder
and on the library, so both are measured by how far they stand out from the others:

    z = (s - mean of the others) / standard deviation of the others,    z' likewise

The part that the stain brings is `1 - z' / z`, from 0 to 1. A hit is *due to stain* if that is more
than half, and if its stain is indeed that of the query: less than half as far from it as those of
the others are on average (means of L, a and b over tissue, each in standard deviations of the
others). The second half of the rule is there because embeddings of
another look are always a little further apart. A list is driven by stain if more than half of its
hits are due to it. `benchmarks/stain_badge.py` measures how often that is said of true fellows, and
of tiles of another kind that were given the query's stain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.embed_query import load_encoder
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.place_tiles import TilePlace
from napari_medssl.backend.stainless import Seen, Stainless
from napari_medssl.index.collection import SearchCollection
from napari_medssl.index.examples import combine_examples
from napari_medssl.index.results import Hit, Tile
from napari_medssl.index.set_up import SetUp

DUE = 0.5
"""Part of how far a hit stands out that the stain has to bring for the badge."""

NEAR = 0.5
"""Distance of its stain from the query's, as a part of that of others, below which it is alike."""

OTHERS = 64
"""Tiles of the library that hits are compared with."""

_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class StainQuestion:
    """What is ranked anew.

    Attributes
    ----------
    examples
        Where each example is, and whether it is wanted.
    hits, similarity
        Where the hits are, and their similarity as found, shape (H,).
    others, other_similarity
        The same of tiles spread over the library, shape (B,).
    """

    examples: tuple[tuple[TilePlace, bool], ...]
    hits: tuple[TilePlace, ...]
    similarity: NDArray[np.float32]
    others: tuple[TilePlace, ...]
    other_similarity: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HitStain:
    """What the stain does for a hit.

    Attributes
    ----------
    similarity
        With the stain taken away.
    share
        Part of how far the hit stands out that the stain brings, 0 to 1.
    distance
        Of its stain from the query's, as a part of the mean distance of the others; infinite where
        it shows too little stain.
    """

    similarity: float
    share: float
    distance: float

    @property
    def is_due(self) -> bool:
        """True if the hit owes its rank to the stain more than to anything else."""
        return self.share > DUE and self.distance < NEAR


@dataclass(frozen=True, slots=True)
class StainAnswer:
    """What came of it.

    Attributes
    ----------
    hits
        For each hit of the question, in its order; None where it could not be read.
    problem
        Why the first of these could not be read, "" if all were.
    """

    hits: tuple[HitStain | None, ...]
    problem: str = ""

    @property
    def order(self) -> list[int]:
        """Numbers of the hits, best first without stain; those not read last, as they were."""

        def rank(number: int) -> tuple[bool, float]:
            one = self.hits[number]
            return one is None, 0.0 if one is None else -one.similarity

        return sorted(range(len(self.hits)), key=rank)

    @property
    def due(self) -> int:
        """How many hits are due to stain."""
        return sum(one is not None and one.is_due for one in self.hits)

    @property
    def is_driven(self) -> bool:
        """True if more than half of the hits that were read are due to stain."""
        return 2 * self.due > sum(one is not None for one in self.hits)


def ask_stain(
    collection: SearchCollection,
    direction: NDArray[np.floating],
    examples: Sequence[tuple[TilePlace, bool]],
    hits: Sequence[Hit],
    place_of: Callable[[Tile], TilePlace],
) -> StainQuestion:
    """Return what to ask `check_stain` of the hits of a search.

    Parameters
    ----------
    collection
        What was searched.
    direction
        Along which, shape (D,).
    examples
        Where each example is, and whether it is wanted.
    hits
        The hits.
    place_of
        Says where a tile's pixels are.
    """
    others = collection.spread_tiles(OTHERS)
    vectors = np.array([collection.vector(tile) for tile in others], np.float32)
    return StainQuestion(
        tuple(examples),
        tuple(place_of(hit.tile) for hit in hits),
        np.array([hit.similarity for hit in hits], np.float32),
        tuple(map(place_of, others)),
        vectors.reshape(len(others), collection.set_up.dim) @ np.asarray(direction, np.float32),
    )


def check_stain(
    set_up: SetUp,
    encoder: str,
    question: StainQuestion,
    device: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> StainAnswer:
    """Return the similarities of hits with the stain taken away, and what the stain brought.

    Parameters
    ----------
    set_up, encoder, device
        See `embed_query.load_encoder`.
    question
        See `ask_stain`.

    Raises
    ------
    UserError
        If the encoder is not to be had, an example cannot be read, or hardly any other tile can.
    Cancelled
        If it was asked to stop.
    """
    loaded = load_encoder(set_up, encoder, device)
    places = [place for place, _ in question.examples]
    total, done = len(places) + len(question.hits) + len(question.others), 0

    def on_tile() -> None:
        nonlocal done
        if should_stop():
            raise Cancelled
        done += 1
        on_progress(Progress(done, total, "taking the stain away"))

    with closing(Stainless(loaded, set_up)) as stainless:
        asked = stainless.look(places, on_tile)
        hits = stainless.look(question.hits, on_tile)
        others = stainless.look(question.others, on_tile)
    return _answer(question, asked, hits, others)


def _answer(
    question: StainQuestion,
    asked: Sequence[Seen | UserError],
    hits: Sequence[Seen | UserError],
    others: Sequence[Seen | UserError],
) -> StainAnswer:
    for one in asked:
        if isinstance(one, UserError):
            raise one
    examples = [one for one in asked if isinstance(one, Seen)]
    is_read = np.array([isinstance(one, Seen) for one in others], bool)
    if is_read.sum() < 2:
        raise UserError(
            "The stain cannot be taken away: hardly any slide of the library is where it was when "
            "it was indexed. Put them back."
        )
    background = [one for one in others if isinstance(one, Seen)]
    vectors = np.array([one.vector for one in background])
    signs = np.array([is_wanted for _, is_wanted in question.examples], bool)
    own = np.array([one.vector for one in examples])
    direction = combine_examples(own[signs], own[~signs], vectors.mean(axis=0))
    before = _standing(question.other_similarity[is_read])
    after = _standing(vectors @ direction)
    wanted = [one.stain for one, sign in zip(examples, signs, strict=True) if sign]
    distance = stain_distance(np.mean(wanted, axis=0), np.array([one.stain for one in background]))
    found: list[HitStain | None] = []
    for hit, similarity in zip(hits, question.similarity.tolist(), strict=True):
        if isinstance(hit, UserError):
            found.append(None)
            continue
        now = float(np.clip(hit.vector @ direction, -1, 1))
        share = stain_share(before(similarity), after(now))
        found.append(HitStain(now, share, distance(hit.stain)))
    problem = next((str(one) for one in hits if isinstance(one, UserError)), "")
    return StainAnswer(tuple(found), problem)


def stain_distance(
    query: NDArray[np.float64], others: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], float]:
    """Return what says how far a stain (3,) is from the query's, as a part of the others' mean.

    Parameters
    ----------
    query
        Stain of the query, see `stainless.Seen`.
    others
        Those of the others, shape (B, 3); NaN where there was too little.
    """
    known = others[np.isfinite(others).all(axis=1)]
    if len(known) < 2 or not np.isfinite(query).all():
        return lambda stain: float("inf")
    spread = np.maximum(known.std(axis=0), _LEAST_SPREAD)
    usual = max(float((np.abs(known - query) / spread).mean()), _LEAST_SPREAD)

    def distance(stain: NDArray[np.float64]) -> float:
        if not np.isfinite(stain).all():
            return float("inf")
        return float((np.abs(stain - query) / spread).mean()) / usual

    return distance


def stain_share(before: float, after: float) -> float:
    """Return the part of a standing that went with the stain, 0 to 1; 0 where there was none."""
    return 0.0 if before <= 0 else min(1.0, max(0.0, 1 - after / before))


def _standing(similarities: NDArray[np.floating]) -> Callable[[float], float]:
    """Return what says how many standard deviations a similarity stands out from these."""
    mean, spread = float(similarities.mean()), max(float(similarities.std()), _LEAST_SPREAD)
    return lambda similarity: (similarity - mean) / spread
