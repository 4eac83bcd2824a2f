"""Turn a config dataclass into the options of a verb, so that a verb declares only its config.

    @with_config(SeparateConfig)
    def separate(inputs: list[Path], *, config: SeparateConfig) -> None: ...

gives `medssl separate` one option per field: `--score`, `--batch-size`, `--flip/--no-flip`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from napari_medssl.backend.config import FieldSpec, describe, from_json

_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "path": Path}


def with_config(
    config_class: type[Any], *, skip: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that fills the function's `config` parameter from options.

    Parameters
    ----------
    config_class
        A config dataclass, see `napari_medssl.backend.config`.
    skip
        Fields that get no option and keep their default, or that the verb sets itself with
        `dataclasses.replace`.
    """
    specs = [spec for spec in describe(config_class) if spec.name not in skip]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function, eval_str=True)
        kept = [p for name, p in signature.parameters.items() if name != "config"]
        parameters = [*kept, *(_parameter(spec) for spec in specs)]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            given = {spec.name: kwargs.pop(spec.name) for spec in specs if spec.name in kwargs}
            values = {name: _listed(value) for name, value in given.items()}
            return function(*args, config=from_json(config_class, values), **kwargs)

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _parameter(spec: FieldSpec) -> inspect.Parameter:
    """Return the keyword parameter that Typer makes an option of."""
    return inspect.Parameter(
        spec.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if spec.is_required else _listed(spec.default),
        annotation=Annotated[_type(spec), _option(spec)],
    )


def _type(spec: FieldSpec) -> Any:
    kind: Any = Literal[spec.choices] if spec.kind == "choice" else _TYPES[spec.kind]
    if spec.is_list:
        return list[kind]
    return kind | None if spec.is_optional else kind


def _option(spec: FieldSpec) -> Any:
    name = "--" + spec.name.replace("_", "-")
    flag = f"{name}/--no-{name[2:]}" if spec.kind == "bool" else name
    text = f"{spec.help.rstrip('.')} ({spec.unit})." if spec.unit else spec.help
    is_number = spec.kind in ("int", "float")
    return typer.Option(
        flag,
        help=text.replace("[", "\\["),  # Typer reads [..] as markup
        parser=_number_parser(spec) if is_number else None,
        metavar=_metavar(spec) if is_number else None,
        rich_help_panel="Advanced" if spec.advanced else None,
    )


def _metavar(spec: FieldSpec) -> str:
    """Return the number's kind and range as `--help` shows it."""
    return f"<{spec.kind}> {_range(spec)}".strip()


def _range(spec: FieldSpec) -> str:
    if spec.min is not None and spec.max is not None:
        return f"{spec.min:g} to {spec.max:g}"
    if spec.min is not None:
        return f"at least {spec.min:g}"
    return "" if spec.max is None else f"at most {spec.max:g}"


def _number_parser(spec: FieldSpec) -> Callable[[Any], Any]:
    """Return a parser whose error names what came: Typer's own names only what was due."""
    kind = _TYPES[spec.kind]
    word = "a whole number" if spec.kind == "int" else "a number"

    def parse(text: Any) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {word}.") from None
        low = -math.inf if spec.min is None else spec.min
        high = math.inf if spec.max is None else spec.max
        if not low <= value <= high or math.isinf(value):
            due = _range(spec) or "a finite number"
            raise typer.BadParameter(f"{text!r} is out of range: due is {due}.")
        return value

    return parse
