"""Search against an oracle that compares every pair in float64, and what is left out of it."""

import threading

import numpy as np
import pytest
from index_world import DIM, fingerprint, make_set_up, make_tiles, make_vectors, put_slide

from napari_medssl._errors import UserError
from napari_medssl.index import Tile, open_collection
from napari_medssl.index.arrays import SHARD_ROWS

COUNTS = (1500, 300, 0, 2100)
PATIENTS = ("ann", "bob", "bob", "")


@pytest.fixture
def halves(library):
    """Four slides; their embeddings as they are stored, by number."""
    stored = {}
    for number, (count, patient) in enumerate(zip(COUNTS, PATIENTS, strict=True)):
        vectors = make_vectors(count, seed=number)
        put_slide(library, number, vectors, patient=patient)
        stored[number] = vectors.astype(np.float16)
    return stored


def oracle(halves, query, numbers):
    """Every tile of the slides with its similarity, best first."""
    every = []
    for number in numbers:
        tiles = make_tiles(len(halves[number]))
        for row, vector in enumerate(halves[number].astype(np.float64)):
            every.append((float(vector @ query), fingerprint(number), *tiles[["x", "y"]][row]))
    return sorted(every, reverse=True)


def told(hits):
    return [(round(hit.similarity, 5), hit.tile.slide, hit.tile.x, hit.tile.y) for hit in hits]


def due(rows):
    return [(round(value, 5), slide, x, y) for value, slide, x, y in rows]


def test_search_is_what_comparing_every_pair_gives(library, halves):
    found = open_collection(library)
    queries = make_vectors(5, seed=9)
    result = found.search(queries, 20)
    assert result.recall == 1.0
    for query, hits in zip(queries, result.hits, strict=True):
        assert told(hits) == due(oracle(halves, query.astype(np.float64), range(4))[:20])


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"exclude_slides": {fingerprint(0)}}, (1, 2, 3)),
        ({"exclude_patients": {"bob"}}, (0, 3)),
        ({"exclude_patients": {""}}, (0, 1, 2, 3)),  # nobody's slides are not one patient's
        ({"exclude_slides": {fingerprint(3)}, "exclude_patients": {"ann"}}, (1, 2)),
        ({"exclude_slides": {"unknown"}}, (0, 1, 2, 3)),
    ],
)
def test_nothing_is_found_in_what_is_excluded(library, halves, options, numbers):
    query = make_vectors(1, seed=5)
    hits = open_collection(library).search(query, 30, **options).hits[0]
    assert told(hits) == due(oracle(halves, query[0].astype(np.float64), numbers)[:30])


def test_when_all_is_excluded_nothing_is_found(library, halves):
    found = open_collection(library)
    every = {fingerprint(number) for number in range(4)}
    assert found.search(make_vectors(2), 3, exclude_slides=every).hits == ((), ())


def test_more_than_there_is_gives_all_there_is(library, halves):
    hits = open_collection(library).search(make_vectors(1), 10_000).hits[0]
    assert len(hits) == sum(COUNTS)
    assert len({(hit.tile.slide, hit.tile.x, hit.tile.y) for hit in hits}) == sum(COUNTS)


def test_a_tile_finds_itself_first_unless_it_is_excluded(library, halves):
    found = open_collection(library)
    tile = found.nearest_tile(fingerprint(1), (70, 40))
    assert (tile.x, tile.y, tile.size) == (64, 32, 32)
    assert tile.holds((70, 40))
    assert not tile.holds((96, 40))
    corner = found.nearest_tile(fingerprint(1), (64, 32))
    assert corner == tile
    vector = found.vector(tile)
    np.testing.assert_allclose(vector, halves[1][50 + 2].astype(np.float32), atol=1e-3)
    first = found.search(vector, 2).hits[0][0]
    assert first.tile == tile
    assert first.similarity == pytest.approx(1, abs=1e-3)
    hits = found.search(vector, 2, exclude_tiles=[tile]).hits[0]
    assert len(hits) == 2
    assert tile not in [hit.tile for hit in hits]


def test_a_point_on_glass_has_the_nearest_tile(library, halves):
    found = open_collection(library)
    tile = found.nearest_tile(fingerprint(1), (-500, -500))
    assert (tile.x, tile.y) == (0, 0)
    assert not tile.holds((-500, -500))


def test_the_scores_of_a_slide_are_its_cosines(library, halves):
    query = make_vectors(1, seed=3)[0]
    scores = open_collection(library).score_slide(3 * query, fingerprint(3))
    np.testing.assert_allclose(scores.similarity, halves[3].astype(np.float32) @ query, atol=1e-6)
    assert (scores.tiles == make_tiles(COUNTS[3])).all()


def test_a_slide_that_is_being_indexed_has_the_scores_of_its_tiles_so_far(library):
    vectors = make_vectors(2 * SHARD_ROWS + 9)
    vectors[3] = 0
    put_slide(library, 1, vectors, stop_after=1)
    found = open_collection(library)
    assert found.slides == ()
    assert found.search(vectors[0], 5).hits == ((),)
    query = make_vectors(1, seed=3)[0]
    scores = found.score_slide(query, fingerprint(1))
    is_read = np.arange(SHARD_ROWS) != 3
    due = vectors[:SHARD_ROWS].astype(np.float16).astype(np.float32) @ query
    np.testing.assert_allclose(scores.similarity, due[is_read], atol=1e-6)
    assert (scores.tiles == make_tiles(len(vectors))[:SHARD_ROWS][is_read]).all()
    put_slide(library, 1, vectors)
    found.refresh()
    assert len(found.score_slide(query, fingerprint(1)).tiles) == len(vectors) - 1


def test_the_length_of_a_query_does_not_matter(library, halves):
    found = open_collection(library)
    query = make_vectors(1, seed=3)
    assert told(found.search(7 * query, 5).hits[0]) == told(found.search(query, 5).hits[0])


def test_slides_are_told_with_patient_and_tiles(library, halves):
    slides = open_collection(library).slides
    assert [slide.tiles for slide in slides] == list(COUNTS)
    assert [slide.patient for slide in slides] == list(PATIENTS)
    assert open_collection(library).tile_count == sum(COUNTS)


def test_what_does_not_fit_is_told(library, halves):
    found = open_collection(library)
    with pytest.raises(UserError, match=r"A query has 3 dimensions.*have 16"):
        found.search(np.ones(3))
    with pytest.raises(UserError, match="not finite or zero"):
        found.search(np.full(DIM, np.nan))
    with pytest.raises(UserError, match="not finite or zero"):
        found.search(np.zeros(DIM))
    with pytest.raises(UserError, match="due is 1 or more"):
        found.search(np.ones(DIM), 0)
    with pytest.raises(UserError, match="is not in the library"):
        found.score_slide(np.ones(DIM), "unknown")
    with pytest.raises(UserError, match="shows no tissue"):
        found.nearest_tile(fingerprint(2), (0, 0))
    with pytest.raises(UserError, match="no tile at x 7, y 7"):
        found.vector(Tile(fingerprint(0), 7, 7, 32, 1.0))


def test_threads_may_search_while_the_library_changes(library, halves):
    found = open_collection(library)
    query = make_vectors(1, seed=3)
    errors = []

    def search():
        try:
            for _ in range(30):
                assert len(found.search(query, 10).hits[0]) == 10
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10, 14):
        put_slide(library, number, make_vectors(40, seed=number))
        found.refresh()
    for thread in threads:
        thread.join()
    assert not errors
    assert found.tile_count == sum(COUNTS) + 160


def test_several_encoders_lie_side_by_side(library):
    put_slide(library, 1, make_vectors(40))
    other = make_set_up(encoder="other", dim=8)
    put_slide(library, 1, make_vectors(40, dim=8), set_up=other)
    assert open_collection(library, "made").set_up.dim == DIM
    assert open_collection(library, "other").set_up.dim == 8
    assert open_collection(library, other.name).set_up == other
    with pytest.raises(UserError, match=r"holds 2 collections that fit.*--encoder"):
        open_collection(library)
    with pytest.raises(UserError, match="nothing of encoder 'uni'"):
        open_collection(library, "uni")


def test_combined_examples_rank_what_is_liked_above_what_is_not(library):
    """Two clusters; one example of each."""
    axes = np.eye(DIM, dtype=np.float32)
    rng = np.random.default_rng(0)

    def around(axis, count):
        values = axes[axis] + axes[5] + 0.1 * rng.normal(size=(count, DIM))
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    vectors = np.concatenate([around(0, 30), around(1, 30), make_vectors(500)])
    put_slide(library, 1, vectors.astype(np.float32))
    found = open_collection(library)
    tiles = found.tiles(fingerprint(1))
    one, other = (
        Tile(fingerprint(1), *map(int, tiles[k][["x", "y", "size"]]), 1.0) for k in (0, 30)
    )
    np.testing.assert_allclose(found.combine([one]), found.vector(one), atol=1e-6)
    plain = found.score_slide(found.vector(one), fingerprint(1)).similarity
    ranked = found.score_slide(found.combine([one], [other]), fingerprint(1)).similarity
    unwanted = slice(30, 60)
    assert ranked[unwanted].mean() < plain[unwanted].mean() - 0.1
    assert ranked[:30].min() > ranked[unwanted].max()
    both = found.score_slide(found.combine([one, other]), fingerprint(1)).similarity
    assert both[:60].min() > both[60:].mean()
