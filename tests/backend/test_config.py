"""A config class is described, written and read back; wrong values are told in one line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.config import FieldSpec, check, describe, from_json, option, to_json


@dataclass(frozen=True)
class Config:
    """All kinds of fields."""

    data: Path = option(help="Folder of images.")
    steps: int = option(10, help="Steps.", min=1, max=100)
    rate: float = option(0.5, help="Rate.", min=0.0, unit="1/s")
    score: float | None = option(None, help="Score.", min=0, max=1)
    kind: Literal["photo", "plot"] = option("photo", help="Kind.")
    form: str = option("coco", help="Format.", choices=("coco", "yolo"), advanced=True)
    flip: bool = option(False, help="Flip.")
    sizes: tuple[int, ...] = option((1, 2), help="Sizes.", min=1)
    pair: tuple[float, float] = option((0.0, 1.0), help="Two.")


def read(**values):
    return from_json(Config, {"data": "x", **values})


def test_describe_tells_every_field_in_order():
    specs = {spec.name: spec for spec in describe(Config)}
    assert list(specs) == [
        "data",
        "steps",
        "rate",
        "score",
        "kind",
        "form",
        "flip",
        "sizes",
        "pair",
    ]
    assert specs["data"] == FieldSpec(
        "data", "path", None, is_required=True, help="Folder of images."
    )
    assert specs["steps"] == FieldSpec("steps", "int", 10, help="Steps.", min=1, max=100)
    assert specs["score"].is_optional
    assert specs["kind"].choices == ("photo", "plot")
    assert (specs["form"].kind, specs["form"].advanced) == ("choice", True)
    assert (specs["sizes"].kind, specs["sizes"].is_list) == ("int", True)


def test_a_config_survives_json():
    config = Config(Path("a b"), steps=3, score=0.25, kind="plot", sizes=(4,))
    assert from_json(Config, to_json(config)) == config


def test_fields_not_named_keep_their_default():
    assert read() == Config(Path("x"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stepps": 1}, r"'stepps' is unknown; did you mean 'steps'\?"),
        ({"zzz": 1}, "'zzz' is unknown; known: data, steps"),
        ({"steps": "3"}, "'steps' is '3'; due is a whole number"),
        ({"steps": True}, "'steps' is True; due is a whole number"),
        ({"steps": 2.5}, r"'steps' is 2\.5; due is a whole number"),
        ({"steps": None}, "'steps' is None; due is a whole number"),
        ({"steps": 0}, "'steps' is 0; due is 1 to 100"),
        ({"rate": -1}, "'rate' is -1; due is at least 0 1/s"),
        ({"rate": float("nan")}, "'rate' is nan; due is at least 0"),
        ({"rate": float("inf")}, "'rate' is inf; due is at least 0"),
        ({"score": 1.5}, r"'score' is 1\.5; due is 0 to 1"),
        ({"kind": "chart"}, "'kind' is 'chart'; choose one of photo, plot"),
        ({"flip": 1}, "'flip' is 1; due is true or false"),
        ({"sizes": 3}, "'sizes' is 3; due is a list"),
        ({"sizes": [1, 0]}, "'sizes' is 0; due is at least 1"),
        ({"pair": [1, 2, 3]}, r"'pair' is \[1, 2, 3\]; due are 2 values"),
        ({"data": 3}, "'data' is 3; due is a path"),
    ],
)
def test_wrong_values_are_told_in_one_line(values, said):
    with pytest.raises(UserError, match=said):
        read(**values)


def test_a_required_field_must_be_given():
    with pytest.raises(UserError, match="'data' is missing and has no default"):
        from_json(Config, {})


def test_check_finds_a_config_built_with_a_wrong_value():
    with pytest.raises(UserError, match="'steps' is 1000"):
        check(Config(Path("x"), steps=1000))


def test_a_type_that_no_form_can_show_is_a_fault_of_the_class():
    @dataclass(frozen=True)
    class Odd:
        field: dict

    with pytest.raises(TypeError, match="'field' has type"):
        describe(Odd)
    with pytest.raises(TypeError, match="is no dataclass"):
        describe(int)
