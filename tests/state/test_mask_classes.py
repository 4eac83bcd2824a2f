"""Classes of a set: a number has one name and one colour in all images and is given once."""

import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.mask_classes import (
    MOST,
    MaskClass,
    clash,
    class_names,
    classes_from_rows,
    classes_to_rows,
    recolored,
    renamed,
    with_added,
    with_model,
)
from napari_medssl.state.mask_items import MaskImage

EYES = {
    1: MaskImage("a", "/a", model="one", classes=("vessel",)),
    2: MaskImage("b", "/b", model="other", classes=("disc",)),
    3: MaskImage("c", "/c"),
}


def test_a_new_class_gets_the_number_above_all_that_mean_something():
    classes, first = with_added({}, [1])
    classes, second = with_added(classes, [1], "drusen")
    assert (first, second) == (2, 3)
    assert classes == {2: MaskClass("class 2"), 3: MaskClass("drusen")}
    full, last = with_added({MOST: MaskClass("z")}, [1, 3])
    assert last == 2  # a gap, when nothing is left above
    with pytest.raises(UserError, match="255 classes already"):
        with_added(full, range(MOST + 1))


def test_a_class_that_a_person_added_clashes_with_one_of_another_name_by_a_model():
    classes, _ = with_added({}, [], "Drusen")
    assert clash(classes, ("vessel", "disc")) == 1
    assert clash(classes, ("drusen",)) == clash(classes, ()) == clash({}, ("vessel",)) == 0
    classes, _ = with_model({}, ("vessel",))
    classes, _ = renamed(classes, {}, 1, "vessel", "artery")
    assert clash(classes, ("vessel",)) == 0
    assert clash(classes, ("disc",)) == 0
    assert clash(classes, ("disc",), is_painted=True) == 1
    assert clash(classes, ("artery",), is_painted=True) == 0


def test_a_class_that_a_person_added_and_a_model_learned_keeps_the_name_that_it_is_given_later():
    classes, _ = with_added({}, [], "nucleus")
    classes, called = with_model(classes, ("nucleus",))
    assert called == ("nucleus",)
    for name in ("cell nucleus", "kernel"):
        former = classes[1].name
        classes, _ = renamed(classes, {}, 1, former, name)
        assert with_model(classes, ("nucleus",))[1] == (name,)
        assert clash(classes, ("nucleus",), is_painted=True) == 0
    classes, _ = with_model(classes, ("kernel",))  # trained again
    classes, _ = renamed(classes, {}, 1, "kernel", "core")
    assert with_model(classes, ("kernel",))[1] == ("core",)


def test_names_are_given_once():
    classes, _ = with_added({}, [], "Drusen")
    with pytest.raises(UserError, match="Class 1 is called 'Drusen' already"):
        with_added(classes, [], "drusen")
    classes, number = with_added(classes, [])
    with pytest.raises(UserError, match="Give another name"):
        renamed(classes, {}, number, "class 2", " DRUSEN ")


def test_a_class_of_a_model_is_renamed_in_all_its_images_and_those_to_come():
    classes, _ = with_model({}, ("vessel",))
    classes, changed = renamed(classes, EYES, 1, "vessel", "artery")
    assert {key: item.classes for key, item in changed.items()} == {1: ("artery",)}
    assert with_model(classes, ("vessel",))[1] == ("artery",)
    assert class_names(classes, EYES[2]) == {1: "disc"}  # what another model means by it
    assert class_names(classes, EYES[3]) == {1: "artery"}
    same, changed = renamed(classes, EYES, 1, "disc", "papilla")
    assert same == classes
    assert changed[2].classes == ("papilla",)


def test_a_class_without_a_name_is_called_by_its_number():
    classes, _ = renamed({}, EYES, 3, "class 3", "  ")
    assert classes == {3: MaskClass("class 3")}


def test_colours_are_kept_and_others_are_refused():
    classes = recolored({}, 2, "class 2", "#FF8800")
    assert classes == {2: MaskClass("class 2", "#ff8800")}
    assert classes_from_rows(classes_to_rows(classes)) == classes
    with pytest.raises(UserError, match="'red' is no colour"):
        recolored(classes, 2, "", "red")
    with pytest.raises(ValueError, match="class 300"):
        classes_from_rows([[300, "a", "", ""]])
