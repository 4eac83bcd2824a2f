"""One frozen dataclass per verb: its fields make the form, the command line and the checkpoint.

Fields are declared with `option`, which keeps help, range, choices and unit as metadata:

    @dataclass(frozen=True)
    class SeparateConfig:
        score: float = option(0.3, help="Least score of a box.", min=0.0, max=1.0)

Allowed types: bool, int, float, str, Path, `Literal`, `T | None`, `tuple[T, ...]` and pairs such as
`tuple[int, int]` of these.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

from napari_medssl._errors import UserError

Kind = Literal["bool", "int", "float", "str", "path", "choice"]
_KINDS: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "str", Path: "path"}
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "path": "a path",
}

C = TypeVar("C")


def option(
    default: Any = MISSING,
    *,
    help: str,  # noqa: A002 - the word of every command line
    min: float | None = None,  # noqa: A002
    max: float | None = None,  # noqa: A002
    choices: tuple[str, ...] = (),
    unit: str = "",
    advanced: bool = False,
) -> Any:
    """Return a dataclass field with what a form and a command line need to know of it.

    Parameters
    ----------
    default
        Value when nothing is said; a field without one must be given.
    help
        One sentence for the tooltip and for `--help`.
    min, max
        Least and greatest value, both allowed.
    choices
        The allowed texts (a `Literal` type says the same).
    unit
        Unit of the number, such as "px" or "s".
    advanced
        Whether a form hides it under "Advanced".
    """
    about = {
        "help": help,
        "min": min,
        "max": max,
        "choices": choices,
        "unit": unit,
        "advanced": advanced,
    }
    return dataclasses.field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field of a config class as forms and command lines see it.

    `kind` is that of the value, or of each item when `is_list`; a list of a fixed length has it
    in `length`. `is_required` fields have no default (`default` is None then); `is_optional`
    ones may be None.
    """

    name: str
    kind: Kind
    default: Any
    is_required: bool = False
    is_optional: bool = False
    is_list: bool = False
    length: int | None = None
    help: str = ""
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    advanced: bool = False

    @property
    def title(self) -> str:
        """The name for people: "batch size"."""
        return self.name.replace("_", " ")


_described: dict[type[Any], tuple[FieldSpec, ...]] = {}


def describe(config_class: type[Any]) -> tuple[FieldSpec, ...]:
    """Return the fields of a config dataclass in order; looked up once for each class.

    Raises
    ------
    TypeError
        If it is no dataclass or a field has a type that a form could not show.
    """
    if not dataclasses.is_dataclass(config_class):
        raise TypeError(f"{config_class!r} is no dataclass: a config is a frozen dataclass.")
    if config_class not in _described:
        hints = typing.get_type_hints(config_class)
        fields = dataclasses.fields(config_class)
        _described[config_class] = tuple(_describe_field(f, hints[f.name]) for f in fields)
    return _described[config_class]


def _describe_field(field: dataclasses.Field[Any], hint: Any) -> FieldSpec:
    inner, is_optional = _without_none(hint)
    is_list = typing.get_origin(inner) is tuple
    length = None
    if is_list:
        items = typing.get_args(inner)
        length, inner = (None if items[-1] is Ellipsis else len(items)), items[0]
    choices = tuple(field.metadata.get("choices", ()))
    if typing.get_origin(inner) is Literal:
        choices, inner = typing.get_args(inner), str
    if inner not in _KINDS:
        raise TypeError(f"Field {field.name!r} has type {hint!r}, which a form cannot show.")
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    about = field.metadata
    return FieldSpec(
        name=field.name,
        kind="choice" if choices else _KINDS[inner],
        default=None if default is MISSING else default,
        is_required=default is MISSING,
        is_optional=is_optional,
        is_list=is_list,
        length=length,
        help=about.get("help", ""),
        min=about.get("min"),
        max=about.get("max"),
        choices=choices,
        unit=about.get("unit", ""),
        advanced=about.get("advanced", False),
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return the type of `T | None` without the None, and whether there was one."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    rest = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return (rest[0] if len(rest) == 1 else hint), len(rest) < len(typing.get_args(hint))


def to_json(config: Any) -> dict[str, Any]:
    """Return a config as a dict of JSON values, in the order of its fields."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(config_class: type[C], values: Mapping[str, Any]) -> C:
    """Return the config that JSON values describe; fields that are not named keep their default.

    Raises
    ------
    UserError
        If a name is unknown, a required one is missing, or a value has a wrong type, is out of
        range or is none of the choices.
    """
    specs = {spec.name: spec for spec in describe(config_class)}
    for name in values:
        if name not in specs:
            near = get_close_matches(name, specs, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(specs)}."
            raise UserError(f"Setting {name!r} is unknown{hint}")
    missing = [spec.name for spec in specs.values() if spec.is_required and spec.name not in values]
    if missing:
        raise UserError(f"Setting {missing[0]!r} is missing and has no default: give a value.")
    return config_class(**{name: check_value(specs[name], value) for name, value in values.items()})


def check(config: C) -> C:
    """Return `config` if every value is of its type, in its range and among its choices.

    Raises
    ------
    UserError
        As `from_json`.
    """
    return from_json(type(config), to_json(config))


def check_value(spec: FieldSpec, value: Any) -> Any:
    """Return `value` as the field holds it: lists as tuples, path texts as `Path`.

    Raises
    ------
    UserError
        If the value does not fit the field.
    """
    if value is None and spec.is_optional:
        return None
    if spec.is_list:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"Setting {spec.name!r} is {value!r}; due is a list.")
        if spec.length not in (None, len(value)):
            raise UserError(
                f"Setting {spec.name!r} is {list(value)!r}; due are {spec.length} values."
            )
        return tuple(_check_single(spec, item) for item in value)
    return _check_single(spec, value)


def _check_single(spec: FieldSpec, value: Any) -> Any:
    if spec.kind == "choice":
        if value not in spec.choices:
            raise UserError(
                f"Setting {spec.name!r} is {value!r}; choose one of {', '.join(spec.choices)}."
            )
        return value
    if not _is_of_kind(spec.kind, value):
        raise UserError(f"Setting {spec.name!r} is {value!r}; due is {_WORDS[spec.kind]}.")
    if spec.kind == "path":
        return Path(value)
    if spec.kind in ("int", "float"):
        _check_range(spec, value)
        return float(value) if spec.kind == "float" else value
    return value


def _is_of_kind(kind: Kind, value: Any) -> bool:
    # bool is an int in Python, but "true" is no number of epochs.
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int)
    if kind == "float":
        return isinstance(value, (int, float))
    return isinstance(value, (str, Path)) if kind == "path" else isinstance(value, str)


def _check_range(spec: FieldSpec, value: float) -> None:
    low = -math.inf if spec.min is None else spec.min
    high = math.inf if spec.max is None else spec.max
    if not low <= value <= high or math.isinf(value):
        unit = f" {spec.unit}" if spec.unit else ""
        due = f"{low:g} to {high:g}" if spec.max is not None else f"at least {low:g}"
        due = f"at most {high:g}" if spec.min is None and spec.max is not None else due
        due = "a finite number" if spec.min is None and spec.max is None else due
        raise UserError(f"Setting {spec.name!r} is {value!r}; due is {due}{unit}.")
