"""The order in which predictions are looked through."""

from dataclasses import replace

import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.mask_items import ACCEPTED, REJECTED, MaskImage
from napari_medssl.state.mask_queue import (
    keys_of,
    most_undecided_first,
    next_to_correct,
    to_correct,
)


def made(name, uncertainty=None, **more):
    return MaskImage(
        name, f"/cells/{name}", mask="1-1.png", model="m", uncertainty=uncertainty, **more
    )


ITEMS = {
    1: made("a.png", 0.2),
    2: made("b.png", 0.7),
    3: made("c.png", 0.9, review=ACCEPTED),
    4: made("d.png", 0.8, is_edited=True),
    5: MaskImage("e.png", "/cells/e.png"),
    6: made("f.png"),  # of a model that cannot say
    7: replace(made("g.png", None, review=REJECTED), mask=""),
}


def test_labels_are_done_and_the_most_undecided_prediction_leads():
    assert to_correct(ITEMS) == [2, 1, 6, 5, 7]
    assert most_undecided_first(ITEMS) == [3, 4, 2, 1, 6, 5, 7]


def test_what_a_person_asked_for_comes_first_unless_it_is_done():
    assert to_correct(ITEMS, (5, 3, 1, 99, 5)) == [5, 1, 2, 6, 7]


def test_next_is_the_most_useful_one_that_was_not_passed_over():
    assert next_to_correct(ITEMS, 3) == 2
    assert next_to_correct(ITEMS, 1) == 2
    assert next_to_correct(ITEMS, 2) == 1
    assert next_to_correct(ITEMS, 1, passed={2, 1}) == 6
    assert next_to_correct(ITEMS, None, (6,)) == 6
    assert next_to_correct(ITEMS, 6, (6,), {6}) == 2
    assert next_to_correct(ITEMS, 6, (), {2, 1, 5, 7}) is None
    assert next_to_correct({3: ITEMS[3]}, 3) is None
    assert next_to_correct({}, None) is None


def test_images_are_found_by_name_by_file_and_by_source():
    assert keys_of(ITEMS, ["/cells/f.png", "a.png", "other.png", "a.png"]) == [6, 1]
    for names in (["x.png"], []):
        with pytest.raises(UserError, match="No image of this set"):
            keys_of(ITEMS, names)
