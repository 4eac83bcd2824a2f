"""The shared selection and the review queue."""

from __future__ import annotations

import pytest

from napari_medssl.io.boxes import Box
from napari_medssl.state.queue import (
    BENEFIT_OF_EMPTY,
    ReviewQueue,
    ReviewState,
    expected_benefit,
)
from napari_medssl.state.selection import Selection


def test_selection_tells_each_change_once_with_its_source():
    selection, heard = Selection("ab"), []
    selection.changed.connect(lambda items, source: heard.append((items, source)))
    view = object()
    assert selection.union("bc", view)
    assert not selection.union("a", view)
    assert selection.intersection("bcd")
    assert selection.toggle("bx")
    assert selection.difference("x")
    assert selection.clear()
    assert heard == [
        (frozenset("abc"), view),
        (frozenset("bc"), None),
        (frozenset("cx"), None),
        (frozenset("c"), None),
        (frozenset(), None),
    ]


def test_selection_is_a_collection():
    selection = Selection([1, 2])
    assert (len(selection), 1 in selection, sorted(selection)) == (2, True, [1, 2])


def scored(*scores: float | None) -> list[Box]:
    return [Box(0, 0, 1, 1, score) for score in scores]


def test_certain_boxes_are_worth_no_look():
    assert expected_benefit(scored(1.0, 1.0, None)) == 0


def test_doubt_is_worth_more_the_nearer_to_one_half():
    values = [expected_benefit(scored(p)) for p in (0.99, 0.8, 0.65, 0.5)]
    assert values == sorted(values)
    assert values[-1] == 2


def test_figure_without_boxes_is_worth_a_look():
    assert expected_benefit([]) == BENEFIT_OF_EMPTY


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def queue():
    clock = Clock()
    queue = ReviewQueue(clock)
    queue.clock = clock
    benefit = {"a": 0.1, "b": 3.0, "c": 2.0, "d": 1.0}
    queue.fill(dict.fromkeys("abcd", ReviewState.TO_DO), benefit)
    return queue


def test_queue_is_ordered_by_benefit_with_unsure_then_checked_last(queue):
    queue.set_state("b", ReviewState.DONE)
    queue.set_state("c", ReviewState.UNSURE)
    assert queue.order() == ["d", "a", "c", "b"]


def test_next_goes_on_from_the_present_figure_and_round(queue):
    assert queue.next_unchecked() == "b"
    assert queue.next_unchecked("c") == "d"
    assert queue.next_unchecked("a") == "b"


def test_next_goes_on_after_the_figure_just_decided(queue):
    queue.set_state("c", ReviewState.DONE)
    assert queue.next_unchecked("c") == "d"


def test_unsure_figures_come_when_nothing_else_is_left(queue):
    for key in "abd":
        queue.set_state(key, ReviewState.REJECTED)
    queue.set_state("c", ReviewState.UNSURE)
    assert queue.next_unchecked("d") == "c"
    assert queue.next_unchecked("c") is None


def test_eta_is_the_median_pace_without_pauses(queue):
    queue.fill(dict.fromkeys("abcdefgh", ReviewState.TO_DO), {})
    queue.begin()
    for key, seconds in (("a", 10), ("b", 4000), ("c", 20), ("d", 30)):
        queue.clock.now += seconds
        queue.set_state(key, ReviewState.DONE)
    progress = queue.progress()
    assert (progress.total, progress.done, progress.left) == (8, 4, 4)
    assert progress.eta_s == 4 * 20


def test_eta_is_unknown_at_first(queue):
    assert queue.progress().eta_s is None


def test_state_of_unknown_figure_is_a_key_error(queue):
    with pytest.raises(KeyError):
        queue.set_state("nobody", ReviewState.DONE)
